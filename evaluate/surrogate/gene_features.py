"""Genes of a space as numeric columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ...search_space import SearchSpace
from ...search_space.choices import Choice, Gene

GENE_PREFIX = "gene:"


@dataclass(frozen=True)
class GeneFeatures:
    """Numeric genes: one column in equal steps from -1 to 1. Categorical genes: one per choice but the first.

    Inactive genes are 0.
    """

    space: SearchSpace

    @property
    def names(self) -> tuple[str, ...]:
        """`gene:stage2.kernel` or `gene:stage2.attention=se`."""
        return tuple(name for gene in self.space.genes for name in _columns(gene))

    def row(self, genes: Mapping[str, Choice]) -> list[float]:
        return self.columns(self._values, genes)

    def columns(self, names: Iterable[str], genes: Mapping[str, Choice]) -> list[float]:
        inactive = self.space.inactive_genes(genes)
        values: list[float] = []
        for name in names:
            values += self._zeros[name] if name in inactive else self._values[name][genes[name]]
        return values

    @cached_property
    def _values(self) -> dict[str, dict[Choice, list[float]]]:
        return {
            gene.name: {choice: _values(gene, choice) for choice in gene.choices} for gene in self.space.genes
        }

    @cached_property
    def _zeros(self) -> dict[str, list[float]]:
        return {gene.name: [0.0] * len(_columns(gene)) for gene in self.space.genes}


def gene_part(name: str) -> str | None:
    """Part of the network of a gene's column, such as `stage2`; None for other columns."""
    return name.removeprefix(GENE_PREFIX).partition(".")[0] if name.startswith(GENE_PREFIX) else None


def _columns(gene: Gene) -> list[str]:
    if isinstance(gene.choices[0], str):
        return [f"{GENE_PREFIX}{gene.name}={choice}" for choice in gene.choices[1:]]
    return [GENE_PREFIX + gene.name]


def _values(gene: Gene, choice: Choice) -> list[float]:
    if isinstance(choice, str):
        return [1.0 if choice == other else -1.0 for other in gene.choices[1:]]
    ranked = sorted(gene.choices)
    return [2 * ranked.index(choice) / (len(ranked) - 1) - 1]
