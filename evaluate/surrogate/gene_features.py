"""Genes of a space as numeric columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...search_space import CandidateSpace
from ...search_space.choices import Choice, Gene
from ..statistics.arrays import Array, Indices

GENE_PREFIX = "gene:"


@dataclass(frozen=True)
class GeneFeatures:
    """Numeric genes: a column for each choice, 1 from that choice on. Categorical genes: one-hot columns.

    All columns of an inactive gene are 0. A gene that is always active has no column for its first choice,
    which would be constant or redundant.
    """

    space: CandidateSpace

    @cached_property
    def names(self) -> tuple[str, ...]:
        """`gene:stage2.kernel>=5` or `gene:stage2.attention=se`."""
        return tuple(
            f"{GENE_PREFIX}{gene.name}{'=' if isinstance(choice, str) else '>='}{choice}"
            for place, gene in enumerate(self.space.genes)
            for choice in self._choices(place)
        )

    def indices(self, rows: Sequence[Mapping[str, Choice]]) -> Indices:
        """`n x g`: the index of each choice among those of its gene."""
        genes = self.space.genes
        found = [[gene.choices.index(row[gene.name]) for gene in genes] for row in rows]
        return np.array(found, dtype=np.intp).reshape(len(rows), len(genes))

    def columns(self, choices: Indices) -> Array:
        """`n x c` values of `n x g` indices of choices."""
        places, values = self._values
        active = self._active[np.arange(len(self.space.genes)), choices[:, self._depth_genes]]
        found = values[np.arange(len(places)), choices[:, places]]
        return np.where(active[:, places], found, 0.0)

    def _choices(self, place: int) -> Sequence[Choice]:
        """The choices of a gene that have a column, in ascending order if they are numbers."""
        gene = self.space.genes[place]
        choices = gene.choices if isinstance(gene.choices[0], str) else sorted(gene.choices)
        n_states = len(self.space.genes[self._depth_genes[place]].choices)
        return choices[1:] if self._active[place, :n_states].all() else choices

    @cached_property
    def _values(self) -> tuple[Indices, Array]:
        """The gene of each column, and its value for each choice."""
        rows = [
            (place, [_value(gene, own, choice) for own in gene.choices])
            for place, gene in enumerate(self.space.genes)
            for choice in self._choices(place)
        ]
        return np.array([place for place, _ in rows], dtype=np.intp), self._table([row for _, row in rows])

    @cached_property
    def _depth_genes(self) -> Indices:
        """For each gene, the place of the depth of its stage; its own where that is no gene."""
        places = {gene.name: place for place, gene in enumerate(self.space.genes)}
        found = [places.get(f"{part_of(name)}.depth", place) for name, place in places.items()]
        return np.array(found, dtype=np.intp)

    @cached_property
    def _active(self) -> NDArray[np.bool_]:
        """Whether a gene is active, for each choice of the gene of `_depth_genes`."""
        genes = self.space.genes
        depths = [genes[place] for place in self._depth_genes]
        rows = [
            [float(self.space.is_active(gene.name, {depth.name: choice})) for choice in depth.choices]
            for gene, depth in zip(genes, depths, strict=True)
        ]
        return self._table(rows) > 0

    def _table(self, rows: Sequence[Sequence[float]]) -> Array:
        """Rows of different lengths, filled up with zeros."""
        table = np.zeros((len(rows), max((len(row) for row in rows), default=0)))
        for filled, row in zip(table, rows, strict=True):
            filled[: len(row)] = row
        return table


def gene_part(name: str) -> str | None:
    """Part of the network of a gene's column, such as `stage2`; None for other columns."""
    return part_of(name.removeprefix(GENE_PREFIX)) if name.startswith(GENE_PREFIX) else None


def part_of(gene: str) -> str:
    """Part of the network of a gene or of its column, such as `stage2` or `stem`."""
    return re.split("[.>=]", gene, maxsplit=1)[0]


def _value(gene: Gene, own: Choice, choice: Choice) -> float:
    """Value of the column of `choice` where a gene is `own`."""
    if isinstance(choice, str):
        return float(own == choice)
    ranked = sorted(gene.choices)
    return float(ranked.index(own) >= ranked.index(choice))
