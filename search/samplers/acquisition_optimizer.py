"""Maximizes an acquisition function over networks by an evolutionary algorithm."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ...evaluate.statistics.arrays import Array
from ...evaluate.surrogate.encoder import Candidate, Encoder
from ...search_space import Architecture, Genes, SearchSpace
from ...search_space.choices import Choice


@dataclass(frozen=True)
class AcquisitionOptimizer:
    """Settings of the evolutionary algorithm.

    Attributes:
        n_initial: offspring of the parents in the first generation, and `n_random` uniform samples.
        n_offspring: of each of `n_generations` later generations, from the `elite_size` best so far.
        crossover_probability: of a child having two parents; others are mutations of one.
        max_draws_per_child: bounds the search for candidates that are new and feasible.
    """

    n_initial: int = 100
    n_random: int = 25
    n_offspring: int = 50
    n_generations: int = 6
    elite_size: int = 30
    crossover_probability: float = 0.4
    max_draws_per_child: int = 8

    def maximize(
        self,
        acquisition: Callable[[Sequence[Candidate]], Array],
        encoder: Encoder,
        parents: Sequence[Genes],
        excluded: Collection[Architecture],
        is_feasible: Callable[[Architecture], bool],
        rng: random.Random,
    ) -> Candidate | None:
        """The candidate of highest acquisition; None where no offspring was new and feasible.

        Args:
            acquisition: values of networks, higher is better.
            parents: at least one.
            excluded: networks that must not be proposed.
        """
        evaluated: list[tuple[float, Candidate]] = []
        tried: set[frozenset[tuple[str, Choice]]] = set()
        visited = set(excluded)

        def evaluate(genes: Iterator[Genes], count: int) -> bool:
            """Evaluate up to `count` new candidates; False if there were none."""
            new: list[Candidate] = []
            for own in islice(genes, self.max_draws_per_child * count):
                if (choices := frozenset(own.items())) in tried:
                    continue
                tried.add(choices)
                candidate = encoder.encode(own)
                if candidate.architecture in visited:
                    continue
                visited.add(candidate.architecture)
                if is_feasible(candidate.architecture):
                    new.append(candidate)
                    if len(new) == count:
                        break
            if new:
                evaluated.extend(zip(acquisition(new).tolist(), new, strict=True))
            return bool(new)

        space = encoder.space
        evaluate(self.offspring(space, parents, rng), self.n_initial)
        evaluate(iter(lambda: space.sample(rng), None), self.n_random)
        if not evaluated:
            return None
        for _ in range(self.n_generations):
            elite = sorted(evaluated, key=lambda each: -each[0])[: self.elite_size]
            if not evaluate(self.offspring(space, [own.genes for _, own in elite], rng), self.n_offspring):
                break
        return max(evaluated, key=lambda each: each[0])[1]

    def offspring(self, space: SearchSpace, parents: Sequence[Genes], rng: random.Random) -> Iterator[Genes]:
        """Endless children by crossover or from one parent, with one to three genes mutated."""
        while True:
            genes = rng.choice(parents)
            if rng.random() < self.crossover_probability:
                genes = space.crossover(genes, rng.choice(parents), rng)
            count = min(rng.choice((1, 1, 2, 3)), len(space.genes))
            mutated = {gene.name: rng.choice(gene.choices) for gene in rng.sample(space.genes, count)}
            yield {**genes, **mutated}
