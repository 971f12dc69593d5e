"""Networks as a sampler's models see them."""

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...evaluate.surrogate.architecture_features import (
    Terms,
    analytic_features,
    block_terms,
    end_terms,
    features_of,
    together,
)
from ...evaluate.surrogate.gene_features import GENE, GeneFeatures
from ...search_space import Architecture, Choice, Genes, Head, SearchSpace, Stem
from ...search_space.cost import REMEMBERED, head_cost, side_after, stem_cost


@dataclass(frozen=True, eq=False)
class Seen:
    """A network of a space.

    Attributes:
        features: `p`, what its whole and each of its genes tell.
    """

    genes: Genes
    architecture: Architecture
    features: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Known:
    """A network of which something was found.

    Attributes:
        accuracy: mean of all trainings; None where it was not trained.
        trainings: how many; 1 where it was not trained.
        latency_ms: None where it was not asked for.
    """

    seen: Seen
    accuracy: float | None = None
    trainings: int = 1
    latency_ms: float | None = None

    @property
    def key(self) -> str:
        return self.seen.architecture.key


class _Part(NamedTuple):
    """Stem, a stage or head, as some choices make it.

    Attributes:
        made: the stem after the resolution, blocks, or the head.
        channels, side: of the maps behind it.
        terms: what it adds to the network's.
        columns: of its genes.
    """

    made: tuple[Any, ...]
    channels: int
    side: int
    terms: Terms
    columns: list[float]


class Sight:
    """From genes to networks as they are seen: part by part, for networks of a search share most of theirs.

    Attributes:
        names: of the features.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._genes = GeneFeatures(space)
        self._fixed = {name: choices[0] for name, choices in space.all_choices.items()}
        stages = [f"stage{number}" for number in range(1, len(space.stages) + 1)]
        self._names = [
            _genes_of(space, *part) for part in (("resolution_px", "stem"), *zip(stages), ("head",))
        ]
        self._begin = lru_cache(REMEMBERED)(self._begin_of)
        self._stage = lru_cache(REMEMBERED)(self._stage_of)
        self._end = lru_cache(REMEMBERED)(self._end_of)
        first = space.decode({gene.name: gene.choices[0] for gene in space.genes})
        macs = (f"{GENE}{stage}.log_macs" for stage in stages)
        self.names = (*analytic_features(first), *self._genes.names, *macs)

    def see(self, genes: Genes) -> Seen:
        """The network of genes that are all the space's own."""
        first, *middle, last = (tuple([genes[name] for name in names]) for names in self._names)
        parts = [self._begin(first)]
        for number, chosen in enumerate(middle, start=1):
            parts.append(self._stage(number, parts[-1].channels, parts[-1].side, chosen))
        width, side = parts[-1].channels, parts[-1].side
        parts.append(self._end(width, side, last))
        begin, *stages, end = parts
        (resolution_px, stem), (head,) = begin.made, end.made
        blocks = tuple([block for stage in stages for block in stage.made])
        network = Architecture(
            resolution_px, stem, blocks, head, self.space.image_channels, self.space.classes
        )
        whole = features_of([part.terms for part in parts], resolution_px, width, side)
        columns = [column for part in parts for column in part.columns]
        macs = [math.log1p(stage.terms.macs) for stage in stages]
        return Seen(genes, network, np.array([*whole.values(), *columns, *macs]))

    def _begin_of(self, chosen: tuple[Choice, ...]) -> _Part:
        genes, choices = self._choices(0, chosen)
        side = choices["resolution_px"]
        stem = Stem(*(choices[f"stem.{field.name}"] for field in fields(Stem)))
        terms = end_terms(stem_cost(stem, self.space.image_channels, side))
        return _Part((side, stem), stem.out, side_after(side, stem.stride), terms, self._columns(0, genes))

    def _stage_of(self, number: int, channels: int, side: int, chosen: tuple[Choice, ...]) -> _Part:
        genes, choices = self._choices(number, chosen)
        blocks = self.space.stage_blocks(number, channels, choices)
        terms = []
        for block in blocks:
            terms.append(block_terms(block, channels, side))
            channels, side = block.out, side_after(side, block.stride)
        return _Part(tuple(blocks), channels, side, together(terms), self._columns(number, genes))

    def _end_of(self, channels: int, side: int, chosen: tuple[Choice, ...]) -> _Part:
        genes, choices = self._choices(-1, chosen)
        head = Head(*(choices[f"head.{field.name}"] for field in fields(Head)))
        terms = end_terms(head_cost(head, channels, side, self.space.classes))
        return _Part((head,), channels, side, terms, self._columns(-1, genes))

    def _choices(self, place: int, chosen: tuple[Choice, ...]) -> tuple[Genes, dict[str, Any]]:
        """The genes of a part by name, and all choices with what is fixed."""
        genes = dict(zip(self._names[place], chosen, strict=True))
        return genes, {**self._fixed, **genes}

    def _columns(self, place: int, genes: Genes) -> list[float]:
        return self._genes.columns(self._names[place], genes)


def _genes_of(space: SearchSpace, *parts: str) -> tuple[str, ...]:
    return tuple(gene.name for gene in space.genes if gene.name.partition(".")[0] in parts)
