"""Space-filling designs over the MACs of a space: for samplers, latency predictors and seed studies."""

import math
import random
from bisect import bisect_left
from itertools import pairwise

from ...evaluate import Goals
from ...search_space import Architecture, Genes, SearchSpace, cost
from .feasibility import constraint_violation, sample_unseen_feasible

SAMPLES_PER_NETWORK = 20


def stratified(space: SearchSpace, goals: Goals, count: int, rng: random.Random) -> list[Architecture]:
    """Distinct networks within the limits on cost, one from each of `count` quantiles of MACs.

    Fewer where the space or the limits leave no more.
    """
    feasible = _sample_feasible(space, goals, count, rng)
    ordered = sorted(feasible, key=lambda network: cost(network).macs)
    count = min(count, len(ordered))
    shares = [len(ordered) * number // count for number in range(count + 1)] if count else []
    chosen = [rng.choice(ordered[low:high]) for low, high in pairwise(shares)]
    rng.shuffle(chosen)
    return chosen


def spread_by_macs(
    space: SearchSpace, goals: Goals, count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """Distinct networks within the limits, equally spaced by the logarithm of MACs.

    The order is a van der Corput sequence: every prefix is spread too. Fewer where the space or the limits
    leave no more.
    """
    feasible = _sample_feasible(space, goals, count, rng)
    left = sorted((math.log(cost(network).macs), network.key, network) for network in feasible)
    count = min(count, len(left))
    if not count:
        return {}
    least, most = left[0][0], left[-1][0]
    chosen = []
    for number in range(count):
        target_log_macs = least + (most - least) * number / max(1, count - 1)
        place = min(bisect_left(left, (target_log_macs,)), len(left) - 1)
        if place and target_log_macs - left[place - 1][0] < left[place][0] - target_log_macs:
            place -= 1
        chosen.append(left.pop(place)[2])
    digits = (count - 1).bit_length()
    order = sorted(range(count), key=lambda number: f"{number:0{digits}b}"[::-1])
    return {chosen[number]: feasible[chosen[number]] for number in order}


def _sample_feasible(
    space: SearchSpace, goals: Goals, count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """At least `count` distinct networks within the limits on cost, unless there are fewer."""
    violation_of = constraint_violation(goals)
    sampled: dict[Architecture, Genes] = {}
    for _ in range(SAMPLES_PER_NETWORK * count):
        genes = space.sample(rng)
        network = space.decode(genes)
        if violation_of(cost(network)) == 0:
            sampled[network] = genes
    while len(sampled) < count:
        unseen = sample_unseen_feasible(space, goals, (network.key for network in sampled), rng)
        if unseen is None:
            break
        sampled[space.decode(unseen)] = unseen
    return sampled
