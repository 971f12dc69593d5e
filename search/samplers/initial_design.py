"""Space-filling designs over the MACs of a space: for samplers, latency predictors and seed studies."""

import math
import random
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

from ...evaluate import Constraint, Goals
from ...search_space import Architecture, CandidateSpace, Genes, NoFeasibleNetworkError, cost
from ...search_space.counting.enumeration import ArchitectureSampler, smallest_architecture
from .feasibility import constraint_violation, sample_unseen_feasible, sampler_within

SAMPLES_PER_NETWORK = 20
MACS_LIMITS = 5


def stratified(space: CandidateSpace, goals: Goals, count: int, rng: random.Random) -> list[Architecture]:
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
    space: CandidateSpace, goals: Goals, count: int, rng: random.Random
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
    space: CandidateSpace, goals: Goals, count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """At least `count` distinct networks within the limits on cost, unless there are fewer.

    Genes are sampled uniformly. Samples beyond a limit are replaced by those of `_sample_by_macs`, because
    most networks below a tight limit are close to it.
    """
    violation_of = constraint_violation(goals)
    sampled: dict[Architecture, Genes] = {}
    missing = 0
    for _ in range(SAMPLES_PER_NETWORK * count):
        genes = space.sample(rng)
        network = space.decode(genes)
        if violation_of(cost(network)) == 0:
            sampled[network] = genes
        else:
            missing += 1
    if missing:
        sampled |= _sample_by_macs(space, goals, missing, rng)
    while len(sampled) < count:
        unseen = sample_unseen_feasible(space, goals, (network.key for network in sampled), rng)
        if unseen is None:
            break
        sampled[space.decode(unseen)] = unseen
    return sampled


def _sample_by_macs(
    space: CandidateSpace, goals: Goals, count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """About `count` distinct networks within the limits on cost, spread by the logarithm of MACs.

    Equally many are sampled uniformly below each of `MACS_LIMITS` values of MACs.
    """
    sampled: dict[Architecture, Genes] = {}
    for sampler in _samplers_by_macs(space, goals, rng):
        with suppress(NoFeasibleNetworkError):  # two limits together may leave too few to be found
            for _ in range(math.ceil(count / MACS_LIMITS)):
                network = sampler.sample_architecture(rng)
                sampled[network] = space.encode(network)
    return sampled


def _samplers_by_macs(
    space: CandidateSpace, goals: Goals, rng: random.Random
) -> Iterator[ArchitectureSampler]:
    """Samplers within the limits and below MACs equally spaced by their logarithm."""
    least = cost(smallest_architecture(space, "macs")).macs
    try:
        feasible = cost(sampler_within(space, goals).sample_architecture(rng)).macs
    except NoFeasibleNetworkError:
        return
    limits = {limit.quantity: limit for limit in goals.constraints}
    most = limits["macs"].limit if "macs" in limits else float(feasible)
    for number in range(MACS_LIMITS, 0, -1):
        limits["macs"] = Constraint("macs", least * (most / least) ** (number / MACS_LIMITS))
        try:
            yield sampler_within(space, replace(goals, constraints=tuple(limits.values())))
        except NoFeasibleNetworkError:  # a limit on parameters excludes the smallest networks
            return
