"""Maximizes an acquisition function over networks by an evolutionary algorithm."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ...evaluate.statistics.arrays import Array, Indices
from ...evaluate.surrogate.encoder import Candidate, Encoder


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
        parents: Sequence[Candidate],
        excluded: Collection[bytes],
        is_feasible: Callable[[Candidate], bool],
        rng: random.Random,
    ) -> Candidate | None:
        """The candidate of highest acquisition; None where no offspring was new and feasible.

        Args:
            acquisition: values of networks, higher is better.
            parents: at least one.
            excluded: identities of networks that must not be proposed.
        """
        evaluated: list[tuple[float, Candidate]] = []
        visited = set(excluded)
        generator = np.random.default_rng(rng.getrandbits(64))
        n_choices = np.array([len(gene.choices) for gene in encoder.space.genes], dtype=np.intp)

        def uniform(count: int) -> Indices:
            return generator.integers(0, n_choices, (count, len(n_choices)))

        def children(of: Sequence[Candidate]) -> Callable[[int], Indices]:
            choices = np.array([each.choices for each in of])
            return lambda count: self.offspring(choices, n_choices, count, generator)

        def evaluate(draw: Callable[[int], Indices], count: int) -> bool:
            """Evaluate up to `count` new candidates; False if there were none."""
            new: list[Candidate] = []
            for _ in range(self.max_draws_per_child):
                for candidate in encoder.encode_choices(draw(count)):
                    if len(new) < count and candidate.identity not in visited:
                        visited.add(candidate.identity)
                        if is_feasible(candidate):
                            new.append(candidate)
                if len(new) == count:
                    break
            if new:
                evaluated.extend(zip(acquisition(new).tolist(), new, strict=True))
            return bool(new)

        evaluate(children(parents), self.n_initial)
        evaluate(uniform, self.n_random)
        if not evaluated:
            return None
        for _ in range(self.n_generations):
            elite = sorted(evaluated, key=lambda each: -each[0])[: self.elite_size]
            if not evaluate(children([own for _, own in elite]), self.n_offspring):
                break
        return max(evaluated, key=lambda each: each[0])[1]

    def offspring(
        self, parents: Indices, n_choices: Indices, count: int, rng: np.random.Generator
    ) -> Indices:
        """`count` children by crossover or from one parent, with one to three genes mutated.

        Args:
            parents: `k x g` indices of choices.
            n_choices: `g`, number of choices of each gene.
        """
        shape = count, len(n_choices)
        mothers, fathers = parents[rng.integers(0, len(parents), (2, count))]
        crossed = rng.random((count, 1)) < self.crossover_probability
        children = np.where(crossed & (rng.random(shape) < 0.5), fathers, mothers)
        n_mutations = rng.choice((1, 1, 2, 3), (count, 1))
        ranks = rng.random(shape).argsort(1).argsort(1)
        return np.where(ranks < n_mutations, rng.integers(0, n_choices, shape), children)
