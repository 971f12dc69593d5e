"""The baseline that NetAdapt must beat: one width multiplier for the whole network."""

from bisect import bisect_right

from bneck.evaluate.inheritance.channel_groups import (
    CHANNEL_DIVISOR,
    channel_groups,
    group_width,
    with_widths,
)
from bneck.evaluate.netadapt.netadapt import CostFunction
from bneck.search_space import Architecture, NoFeasibleNetworkError
from bneck.search_space.architecture import make_divisible

_N_MULTIPLIERS = 1000


def scale_width(architecture: Architecture, factor: float) -> Architecture:
    """All widths times a factor, rounded to multiples of 8 as in MobileNet, at least 8.

    As in MobileNet, a residual may appear or an expansion disappear if two widths become equal.
    """
    return with_widths(
        architecture,
        {
            group: make_divisible(group_width(architecture, group) * factor, CHANNEL_DIVISOR)
            for group in channel_groups(architecture)
        },
    )


def scale_width_to_limit(architecture: Architecture, cost_of: CostFunction, limit: float) -> Architecture:
    """The network of the largest width multiplier whose cost is within a limit.

    The cost must be monotone in the multiplier; it is evaluated for about ten networks.

    Raises:
        NoFeasibleNetworkError: the cost with 8 channels everywhere is above the limit.
    """
    factors = (number / _N_MULTIPLIERS for number in range(1, _N_MULTIPLIERS + 1))
    # the widths of the network itself need not be multiples of 8
    candidates = list(
        dict.fromkeys([*(scale_width(architecture, factor) for factor in factors), architecture])
    )
    n_feasible = bisect_right(candidates, limit, key=cost_of)
    if not n_feasible:
        least = f"{cost_of(candidates[0]):.4g}"
        raise NoFeasibleNetworkError(
            f"no width multiplier brings network {architecture.key} under {limit:.4g}: 8 channels "
            f"everywhere cost {least}; raise the limit"
        )
    return candidates[n_feasible - 1]
