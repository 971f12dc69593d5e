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
    """Different networks within the limits, spread evenly by the logarithm of MACs, in random order.

    Fewer where the space or the limits leave no more.
    """
    draws = (space.sample(rng) for _ in range(DRAWS_A_NETWORK * count))
    found = within(space, goals, draws)
    while len(found) < count:
        genes = unseen_within_limits(space, goals, (network.key for network in found), rng)
        if genes is None:
            break
        found[space.decode(genes)] = genes
    sizes = sorted((math.log(cost(network).macs), network.key, network) for network in found)
    if len(sizes) <= count:
        return {network: found[network] for _, _, network in sizes}
    least, most = sizes[0][0], sizes[-1][0]
    chosen = {}
    for share in rng.sample(range(count), count):
        wanted = least + (most - least) * (share + rng.random()) / count
        place = min(bisect_left(sizes, (wanted,)), len(sizes) - 1)
        if place and wanted - sizes[place - 1][0] < sizes[place][0] - wanted:
            place -= 1
        network = sizes.pop(place)[2]
        chosen[network] = found[network]
    return chosen


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
