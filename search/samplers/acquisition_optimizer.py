"""The network of most worth in the eyes of a model, sought by evolution: judging by a model costs little."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

from ...evaluate.surrogate.encoder import Candidate, Encoder
from ...search_space import Architecture, Genes, SearchSpace
from ...search_space.choices import Choice
from .expected_hypervolume import Array

N_INITIAL_OFFSPRING, N_RANDOM, N_OFFSPRING = 100, 25, 50
GENERATIONS = 6
ELITE = 30
CROSSOVER_PROBABILITY = 0.4
MAX_DRAWS_PER_CHILD = 8


def maximize_acquisition(
    encoder: Encoder,
    parents: Sequence[Genes],
    excluded: Collection[Architecture],
    is_feasible: Callable[[Architecture], bool],
    acquisition: Callable[[Sequence[Candidate]], Array],
    rng: random.Random,
) -> Candidate | None:
    """The best of some generations, each from the best before; none is taken or not allowed.

    The first are children of the parents, and some strangers.

    Args:
        parents: at least one.
        acquisition: of networks, higher is better.
    Returns:
        None where no child was allowed.
    """
    evaluated: list[tuple[float, Candidate]] = []
    tried: set[frozenset[tuple[str, Choice]]] = set()
    visited = set(excluded)

    def add(genes: Iterator[Genes], count: int) -> bool:
        """Whether there was anything new."""
        new: list[Candidate] = []
        for own in islice(genes, MAX_DRAWS_PER_CHILD * count):
            if (choices := frozenset(own.items())) in tried:
                continue
            tried.add(choices)
            seen = encoder.encode(own)
            if seen.architecture in visited:
                continue
            visited.add(seen.architecture)
            if is_feasible(seen.architecture):
                new.append(seen)
                if len(new) == count:
                    break
        if new:
            evaluated.extend(zip(acquisition(new).tolist(), new, strict=True))
        return bool(new)

    add(mutated_offspring(encoder.space, parents, rng), N_INITIAL_OFFSPRING)
    add(iter(lambda: encoder.space.sample(rng), None), N_RANDOM)
    if not evaluated:
        return None
    for _ in range(GENERATIONS):
        elite = sorted(evaluated, key=lambda each: -each[0])[:ELITE]
        if not add(mutated_offspring(encoder.space, [seen.genes for _, seen in elite], rng), N_OFFSPRING):
            break
    return max(evaluated, key=lambda each: each[0])[1]


def mutated_offspring(space: SearchSpace, parents: Sequence[Genes], rng: random.Random) -> Iterator[Genes]:
    """Networks that mix two parents or stem from one, with one to three genes drawn anew; without end."""
    while True:
        genes = rng.choice(parents)
        if rng.random() < CROSSOVER_PROBABILITY:
            genes = space.crossover(genes, rng.choice(parents), rng)
        count = min(rng.choice((1, 1, 2, 3)), len(space.genes))
        drawn = {gene.name: rng.choice(gene.choices) for gene in rng.sample(space.genes, count)}
        yield {**genes, **drawn}
