"""Networks of a space that differ as much in size as the space allows: what a latency model is fitted to."""

import random
from itertools import pairwise

from ..evaluate import Goals
from ..search_space import Architecture, SearchSpace, cost
from .feasible import excess_over, unseen_within_limits

DRAWS_A_NETWORK = 20


def stratified(space: SearchSpace, goals: Goals, count: int, rng: random.Random) -> list[Architecture]:
    """Different networks within the limits on cost, one from each of `count` equal shares by MACs.

    Fewer where the space or the limits leave no more.
    """
    excess = excess_over(goals)
    found: dict[str, Architecture] = {}
    for _ in range(DRAWS_A_NETWORK * count):
        network = space.decode(space.sample(rng))
        if excess(cost(network)) == 0:
            found[network.key] = network
    while len(found) < count:
        genes = unseen_within_limits(space, goals, found, rng)
        if genes is None:
            break
        network = space.decode(genes)
        found[network.key] = network
    ordered = sorted(found.values(), key=lambda network: cost(network).macs)
    count = min(count, len(ordered))
    shares = [len(ordered) * number // count for number in range(count + 1)] if count else []
    chosen = [rng.choice(ordered[low:high]) for low, high in pairwise(shares)]
    rng.shuffle(chosen)
    return chosen
