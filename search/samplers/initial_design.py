"""Networks of a space that differ as much in size as the space allows: what a latency model is fitted to."""

import math
import random
from bisect import bisect_left
from itertools import pairwise

from ...evaluate import Goals
from ...search_space import Architecture, Genes, SearchSpace, cost
from .feasibility import excess_over, unseen_within_limits

DRAWS_A_NETWORK = 20


def stratified(space: SearchSpace, goals: Goals, count: int, rng: random.Random) -> list[Architecture]:
    """Different networks within the limits on cost, one from each of `count` equal shares by MACs.

    Fewer where the space or the limits leave no more.
    """
    found = _draw_within(space, goals, count, rng)
    ordered = sorted(found, key=lambda network: cost(network).macs)
    count = min(count, len(ordered))
    shares = [len(ordered) * number // count for number in range(count + 1)] if count else []
    chosen = [rng.choice(ordered[low:high]) for low, high in pairwise(shares)]
    rng.shuffle(chosen)
    return chosen


def spread_by_macs(
    space: SearchSpace, goals: Goals, count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """Different networks within the limits, spread evenly by the logarithm of MACs.

    They come in such an order that those before any point are spread too. Fewer where the space or the
    limits leave no more.
    """
    found = _draw_within(space, goals, count, rng)
    left = sorted((math.log(cost(network).macs), network.key, network) for network in found)
    count = min(count, len(left))
    if not count:
        return {}
    least, most = left[0][0], left[-1][0]
    chosen = []
    for number in range(count):
        wanted = least + (most - least) * number / max(1, count - 1)
        place = min(bisect_left(left, (wanted,)), len(left) - 1)
        if place and wanted - left[place - 1][0] < left[place][0] - wanted:
            place -= 1
        chosen.append(left.pop(place)[2])
    digits = (count - 1).bit_length()
    order = sorted(range(count), key=lambda number: f"{number:0{digits}b}"[::-1])
    return {chosen[number]: found[chosen[number]] for number in order}


def _draw_within(
    space: SearchSpace, goals: Goals, count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """Different networks within the limits on cost: `count`, unless the space or the limits leave fewer."""
    excess = excess_over(goals)
    drawn: dict[Architecture, Genes] = {}
    for _ in range(DRAWS_A_NETWORK * count):
        genes = space.sample(rng)
        network = space.decode(genes)
        if excess(cost(network)) == 0:
            drawn[network] = genes
    while len(drawn) < count:
        unseen = unseen_within_limits(space, goals, (network.key for network in drawn), rng)
        if unseen is None:
            break
        drawn[space.decode(unseen)] = unseen
    return drawn
