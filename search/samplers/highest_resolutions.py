"""The first networks of a search over pretrained networks, which are its baseline too."""

from collections.abc import Callable

from ...evaluate import Goals, Latency
from ...search_space import Architecture, PretrainedSpace, cost
from ...search_space.architecture import FineTuning
from .expected_accuracy import ExpectedAccuracy
from .feasibility import constraint_violation

MAX_ENQUEUED = 4
MAX_WORSE = 0.1  # of expected accuracy


def highest_resolutions(
    space: PretrainedSpace, goals: Goals, latency_of: Callable[[Architecture], Latency]
) -> list[Architecture]:
    """Each pretrained network at the highest resolution within the limits, with all of it tuned.

    Those of the highest expected accuracy first, at most `MAX_ENQUEUED`, without those that are expected to
    be worse by `MAX_WORSE`. Latency is taken to grow with the resolution; some resolutions are measured if
    there is a limit on it.
    """
    found = [
        network for parent in space.parents if (network := _highest(space, parent.name, goals, latency_of))
    ]
    expected_accuracy = ExpectedAccuracy(space)
    expected = {network: expected_accuracy(network) for network in found}
    found = [each for each in found if expected[each] >= max(expected.values()) - MAX_WORSE]
    return sorted(found, key=lambda network: -expected[network])[:MAX_ENQUEUED]


def _highest(
    space: PretrainedSpace, parent: str, goals: Goals, latency_of: Callable[[Architecture], Latency]
) -> Architecture | None:
    """By bisection over the resolutions; None if the lowest violates a limit."""
    violation = constraint_violation(goals)
    left = [
        network
        for network in space.candidates
        if network.fine_tuning == FineTuning(parent, space.tuned[0]) and violation(cost(network)) == 0
    ]
    has_latency_limit = goals.latency_limit is not None
    best = None if has_latency_limit or not left else left[-1]
    while has_latency_limit and left:
        middle = len(left) // 2
        network = left[middle]
        if goals.violations(cost(network), latency_of(network)).get("latency", 0.0) <= 0:
            best, left = network, left[middle + 1 :]
        else:
            left = left[:middle]
    return best
