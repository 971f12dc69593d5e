"""The networks that a cascade has in sight: drawn evenly by size, and near to those that do well."""

import math
import random
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from ..evaluate import Goals
from ..search_space import Architecture, Genes, SearchSpace, cost
from .feasible import excess_over, unseen_within_limits

DRAWS_A_NETWORK = 20


def within(space: SearchSpace, goals: Goals, genes: Iterable[Genes]) -> dict[Architecture, Genes]:
    """The networks, of those given, that keep the limits on cost, each once."""
    excess = excess_over(goals)
    decoded = ((space.decode(each), each) for each in genes)
    return {network: each for network, each in decoded if excess(cost(network)) == 0}


def spread_by_macs(
    space: SearchSpace, goals: Goals, count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """Different networks within the limits, spread evenly by the logarithm of MACs.

    They come in such an order that those before any point are spread too. Fewer where the space or the
    limits leave no more.
    """
    found = within(space, goals, (space.sample(rng) for _ in range(DRAWS_A_NETWORK * count)))
    while len(found) < count:
        genes = unseen_within_limits(space, goals, (network.key for network in found), rng)
        if genes is None:
            break
        found[space.decode(genes)] = genes
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


def near(
    space: SearchSpace, goals: Goals, best: Mapping[Architecture, Genes], count: int, rng: random.Random
) -> dict[Architecture, Genes]:
    """Networks within the limits that differ from the best ones in a gene or two, or mix two of them."""
    parents = list(best.values())
    if not parents or not space.genes:
        return {}

    def child() -> Genes:
        mother = rng.choice(parents)
        mixed = space.crossover(mother, rng.choice(parents), rng) if rng.random() < 0.5 else mother
        for gene in rng.sample(space.genes, min(len(space.genes), rng.choice((1, 2)))):
            mixed = {**mixed, gene.name: rng.choice(gene.choices)}
        return mixed

    found = within(space, goals, (child() for _ in range(2 * count)))
    return dict(list(found.items())[:count])
