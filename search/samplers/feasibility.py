"""Feasibility of limits, and networks that satisfy them, before anything is trained."""

import math
import random
from collections.abc import Callable, Iterable

from ...evaluate import Constraint, Goals, Latency
from ...search_space import (
    Architecture,
    CandidateSpace,
    Cost,
    Genes,
    NoFeasibleNetworkError,
    cost,
    training_macs,
)
from ...search_space.counting.enumeration import (
    ArchitectureSampler,
    architecture_sampler,
    smallest_architecture,
    smallest_architectures,
)


def constraint_violation(goals: Goals) -> Callable[[Cost], float]:
    """Function of a cost: the sum of the violations of the limits on MACs and parameters."""
    return lambda network_cost: sum(
        max(0.0, violation) for violation in goals.violations(network_cost).values()
    )


def sampler_within(
    space: CandidateSpace, goals: Goals, max_training_macs: float = math.inf
) -> ArchitectureSampler:
    """Uniform sampler of the networks within the limits on MACs and parameters, cached by space and limits.

    Args:
        max_training_macs: see `training_macs`.
    Raises:
        NoFeasibleNetworkError: there is no such network.
    """
    limits: dict[str, float] = {limit.quantity: limit.limit for limit in _cost_constraints(goals)}
    return architecture_sampler(space, limits, max_training_macs)


def sample_unseen_feasible(
    space: CandidateSpace,
    goals: Goals,
    excluded: Iterable[str],
    rng: random.Random,
    max_training_macs: float = math.inf,
) -> Genes | None:
    """Genes of a uniformly sampled network within the limits whose key is not excluded.

    Args:
        max_training_macs: limit on `training_macs`, too.
    Returns:
        None after a bounded number of samples. If one network is left beside `n` excluded ones, it is missed
    with probability (1 - 1 / (n + 1)) ** (10 n + 100), at most 1 in 20,000.
    """
    known = set(excluded)
    try:
        for limit in dict.fromkeys((math.inf, max_training_macs)):  # a sampler for a new limit takes time
            network_sampler = sampler_within(space, goals, limit)
            for _ in range(10 * len(known) + 100):
                network = network_sampler.sample_architecture(rng)
                if network.key not in known and training_macs(network) <= max_training_macs:
                    return space.encode(network)
    except NoFeasibleNetworkError:
        pass
    return None


def require_feasible(space: CandidateSpace, goals: Goals, rng: random.Random) -> None:
    """Check that the limits on MACs and parameters can be satisfied.

    A single limit is decided exactly; with both, a very rare network may be missed.

    Raises:
        NoFeasibleNetworkError: no network within the limits; names the nearest and what to relax.
    """
    limits = _cost_constraints(goals)
    if not limits:
        return
    violation_of = constraint_violation(goals)
    nearest_networks = smallest_architectures(space, {limit.quantity: limit.limit for limit in limits})
    ranked = sorted(nearest_networks, key=lambda network: violation_of(cost(network)))[:3]
    if violation_of(cost(ranked[0])) == 0:
        return
    try:
        sampler_within(space, goals).sample_architecture(rng)
    except NoFeasibleNetworkError:
        raise NoFeasibleNetworkError(
            f"no network of space {space.name} stays under {' and '.join(str(limit) for limit in limits)}; "
            f"nearest: {'; '.join(_cost_text(network, limits) for network in ranked)}; "
            f"relax {' and '.join(_relaxed_options(cost(ranked[0]), limits))}"
        ) from None


def smallest_networks(space: CandidateSpace, rng: random.Random) -> list[Architecture]:
    """The smallest networks of a space by MACs, by depth and by activation bytes: likely the fastest."""
    return list(
        dict.fromkeys(
            [
                smallest_architecture(space, "macs"),
                smallest_architecture(space, "depth"),
                smallest_architecture(space, "activation_bytes"),
            ]
        )
    )


def require_feasible_latency(
    space: CandidateSpace, goals: Goals, measured: list[tuple[Architecture, Latency]]
) -> None:
    """Check that a limit on latency can be satisfied, by the smallest networks of the space.

    Raises:
        NoFeasibleNetworkError: the lower bounds of all of them violate it; names them and what to relax.
    """
    for limit in goals.constraints:
        if limit.quantity != "latency" or not measured:
            continue
        fastest = min(measured, key=lambda pair: pair[1].ratio)[1]
        lowest = (
            fastest.ratio_low if limit.unit == "x" else fastest.latency_ms * fastest.ratio_low / fastest.ratio
        )
        if limit.violation(lowest) > 0:
            smallest_architectures = "; ".join(
                f"{architecture.key} ({latency.latency_ms:.3g}ms, {latency.ratio:.3g}x)"
                for architecture, latency in sorted(measured, key=lambda pair: pair[1].ratio)
            )
            relaxed_limit = fastest.ratio_high if limit.unit == "x" else fastest.latency_ms
            step = 10 ** (math.floor(math.log10(relaxed_limit)) - 2)
            raise NoFeasibleNetworkError(
                f"no network of space {space.name} satisfies {limit}; the smallest ones measured: "
                f"{smallest_architectures}; "
                f"relax --max-latency to at least {math.ceil(relaxed_limit / step) * step:.3g}{limit.unit}"
            )


def _cost_constraints(goals: Goals) -> list[Constraint]:
    return [limit for limit in goals.constraints if limit.quantity != "latency"]


def _cost_text(network: Architecture, limits: list[Constraint]) -> str:
    network_cost = cost(network)
    values = ", ".join(f"{limit.quantity} {getattr(network_cost, limit.quantity):,}" for limit in limits)
    return f"{network.key} ({values})"


def _relaxed_options(network_cost: Cost, limits: list[Constraint]) -> list[str]:
    """Options with the values that would admit the nearest network."""
    return [
        f"--max-{limit.quantity} to {getattr(network_cost, limit.quantity)}"
        for limit in limits
        if limit.violation(getattr(network_cost, limit.quantity)) > 0
    ]
