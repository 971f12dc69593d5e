"""The network of most worth in the eyes of a model, sought by evolution: judging by a model costs little."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

from ...search_space import Architecture, Genes, SearchSpace
from ...search_space.space import Choice
from .encoding import Seen, Sight
from .expected_hypervolume import Array

FIRST, STRANGERS, CHILDREN = 100, 25, 50
GENERATIONS = 6
ELITE = 30
CROSSED = 0.4
TRIES = 8


def most_worth(
    sight: Sight,
    parents: Sequence[Genes],
    taken: Collection[Architecture],
    allowed: Callable[[Architecture], bool],
    worth: Callable[[Sequence[Seen]], Array],
    rng: random.Random,
) -> Seen | None:
    """The best of some generations, each from the best before; none is taken or not allowed.

    The first are children of the parents, and some strangers.

    Args:
        parents: at least one.
        worth: of networks, higher is better.
    Returns:
        None where no child was allowed.
    """
    found: list[tuple[float, Seen]] = []
    tried: set[frozenset[tuple[str, Choice]]] = set()
    met = set(taken)

    def add(genes: Iterator[Genes], count: int) -> bool:
        """Whether there was anything new."""
        new: list[Seen] = []
        for own in islice(genes, TRIES * count):
            if (choices := frozenset(own.items())) in tried:
                continue
            tried.add(choices)
            seen = sight.see(own)
            if seen.architecture in met:
                continue
            met.add(seen.architecture)
            if allowed(seen.architecture):
                new.append(seen)
                if len(new) == count:
                    break
        if new:
            found.extend(zip(worth(new).tolist(), new, strict=True))
        return bool(new)

    add(children(sight.space, parents, rng), FIRST)
    add(iter(lambda: sight.space.sample(rng), None), STRANGERS)
    if not found:
        return None
    for _ in range(GENERATIONS):
        elite = sorted(found, key=lambda each: -each[0])[:ELITE]
        if not add(children(sight.space, [seen.genes for _, seen in elite], rng), CHILDREN):
            break
    return max(found, key=lambda each: each[0])[1]


def children(space: SearchSpace, parents: Sequence[Genes], rng: random.Random) -> Iterator[Genes]:
    """Networks that mix two parents or stem from one, with one to three genes drawn anew; without end."""
    while True:
        genes = rng.choice(parents)
        if rng.random() < CROSSED:
            genes = space.crossover(genes, rng.choice(parents), rng)
        count = min(rng.choice((1, 1, 2, 3)), len(space.genes))
        drawn = {gene.name: rng.choice(gene.choices) for gene in rng.sample(space.genes, count)}
        yield {**genes, **drawn}
