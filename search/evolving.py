"""The network of most worth in the eyes of a model, sought by evolution: judging by a model costs little."""

import random
from collections.abc import Callable, Iterator, Sequence

from ..search_space import Architecture, Genes, SearchSpace
from ..search_space.space import Choice
from .improvement import Array
from .seen import Seen, Sight

FIRST, STRANGERS, CHILDREN = 100, 25, 50
GENERATIONS = 6
ELITE = 30
CROSSED = 0.4
TRIES = 8


def most_worth(
    sight: Sight,
    parents: Sequence[Genes],
    allowed: Callable[[Architecture], bool],
    worth: Callable[[Sequence[Seen]], Array],
    rng: random.Random,
) -> Seen | None:
    """The best of some generations, each from the best before; none is there that is not allowed.

    The first are children of the parents, and some strangers.

    Args:
        parents: at least one.
        worth: of networks, higher is better.
    Returns:
        None where no child was allowed.
    """
    found: dict[Architecture, tuple[float, Seen]] = {}
    tried: set[frozenset[tuple[str, Choice]]] = set()

    def add(genes: Iterator[Genes], count: int) -> bool:
        """Whether there was anything new."""
        new: dict[Architecture, Seen] = {}
        for _ in range(TRIES * count):
            own = next(genes)
            if (choices := frozenset(own.items())) in tried:
                continue
            tried.add(choices)
            network = sight.space.decode(own)
            if network not in found and network not in new and allowed(network):
                new[network] = sight.see(own, network)
                if len(new) == count:
                    break
        if new:
            worths = worth(list(new.values())).tolist()
            found.update(zip(new, zip(worths, new.values(), strict=True), strict=True))
        return bool(new)

    add(children(sight.space, parents, rng), FIRST)
    add(iter(lambda: sight.space.sample(rng), None), STRANGERS)
    if not found:
        return None
    for _ in range(GENERATIONS):
        elite = sorted(found.values(), key=lambda each: -each[0])[:ELITE]
        if not add(children(sight.space, [seen.genes for _, seen in elite], rng), CHILDREN):
            break
    return max(found.values(), key=lambda each: each[0])[1]


def children(space: SearchSpace, parents: Sequence[Genes], rng: random.Random) -> Iterator[Genes]:
    """Networks that mix two parents or stem from one, with one to three genes drawn anew; without end."""
    while True:
        genes = rng.choice(parents)
        if rng.random() < CROSSED:
            genes = space.crossover(genes, rng.choice(parents), rng)
        count = min(rng.choice((1, 1, 2, 3)), len(space.genes))
        drawn = {gene.name: rng.choice(gene.choices) for gene in rng.sample(space.genes, count)}
        yield {**genes, **drawn}
