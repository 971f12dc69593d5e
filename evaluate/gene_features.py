"""A space's genes as columns of numbers, for models that learn what each choice does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..search_space import Architecture, SearchSpace
from ..search_space.cost import operators
from ..search_space.space import Choice, Gene

GENE = "gene:"


@dataclass(frozen=True)
class GeneFeatures:
    """One column for a gene of numbers, in even steps from -1 to 1; one for each word but the first.

    A gene that changes nothing, for a depth leaves its block out, is 0 throughout.
    """

    space: SearchSpace

    @property
    def names(self) -> tuple[str, ...]:
        """`gene:stage2.kernel` or `gene:stage2.attention=se`."""
        return tuple(name for gene in self.space.genes for name in _columns(gene))

    def row(self, genes: Mapping[str, Choice]) -> list[float]:
        idle = self.space.without_effect(genes)
        found: list[float] = []
        for name, values in self._values.items():
            found += self._nothing[name] if name in idle else values[genes[name]]
        return found

    def matrix(self, many: Sequence[Mapping[str, Choice]]) -> NDArray[np.float64]:
        """A row for each network."""
        return np.array([self.row(genes) for genes in many]).reshape(len(many), len(self.names))

    @cached_property
    def _values(self) -> dict[str, dict[Choice, list[float]]]:
        return {
            gene.name: {choice: _values(gene, choice) for choice in gene.choices} for gene in self.space.genes
        }

    @cached_property
    def _nothing(self) -> dict[str, list[float]]:
        return {gene.name: [0.0] * len(_columns(gene)) for gene in self.space.genes}


def stage_names(space: SearchSpace) -> tuple[str, ...]:
    """Of the columns that `stage_macs` fills, each beside its stage's genes."""
    return tuple(f"{GENE}stage{number}.log_macs" for number in range(1, len(space.stages) + 1))


def stage_macs(space: SearchSpace, genes: Mapping[str, Choice], architecture: Architecture) -> list[float]:
    """The logarithm of 1 + MACs of each stage of a network, whose choices cost more together than alone."""
    depths = (
        int(genes.get(f"stage{number}.depth", stage.depth[0]))
        for number, stage in enumerate(space.stages, start=1)
    )
    stages = [place for place, depth in enumerate(depths) for _ in range(depth)]
    macs = [0] * len(space.stages)
    for operator in operators(architecture):
        first, _, rest = operator.name.partition(".")
        if first == "blocks":
            macs[stages[int(rest.partition(".")[0])]] += operator.macs
    return [math.log1p(own) for own in macs]


def part_of(name: str) -> str | None:
    """The part of a network that a gene's column tells of, such as `stage2`; None for other columns."""
    return name.removeprefix(GENE).partition(".")[0] if name.startswith(GENE) else None


def _columns(gene: Gene) -> list[str]:
    if isinstance(gene.choices[0], str):
        return [f"{GENE}{gene.name}={choice}" for choice in gene.choices[1:]]
    return [GENE + gene.name]


def _values(gene: Gene, choice: Choice) -> list[float]:
    if isinstance(choice, str):
        return [1.0 if choice == other else -1.0 for other in gene.choices[1:]]
    ranked = sorted(gene.choices)
    return [2 * ranked.index(choice) / (len(ranked) - 1) - 1]
