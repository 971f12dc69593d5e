"""Encoding of networks for surrogates; sampler, ablation and importance share it."""

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...search_space import Architecture, Choice, Genes, Head, SearchSpace, Stem
from ...search_space.cost import COST_CACHE_SIZE, conv_output_size, head_cost, stem_cost
from .architecture_features import (
    PartSums,
    analytic_features,
    block_sums,
    features_from_sums,
    stem_or_head_sums,
    sum_parts,
)
from .gene_features import GENE_PREFIX, GeneFeatures


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network of a space.

    Attributes:
        features: `p` features of the whole network and of its genes.
    """

    genes: Genes
    architecture: Architecture
    features: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Observation:
    """Observed values of a candidate.

    Attributes:
        accuracy: mean over its trainings; None if it was not trained.
        trainings: number of trainings; 1 if it was not trained.
        latency_ms: latency; None if unknown.
    """

    candidate: Candidate
    accuracy: float | None = None
    trainings: int = 1
    latency_ms: float | None = None

    @property
    def key(self) -> str:
        return self.candidate.architecture.key


class _EncodedPart(NamedTuple):
    """Encoded stem, stage or head.

    Attributes:
        layers: resolution and stem, blocks, or head.
        channels, side: channels and size (px) of its output maps.
        terms: its contribution to sums over the network.
        columns: features of its genes.
    """

    layers: tuple[Any, ...]
    channels: int
    side: int
    terms: PartSums
    columns: list[float]


class Encoder:
    """Encodes genes as candidates, part by part with a cache, because networks of a search share most parts.

    Attributes:
        names: names of the features.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._genes = GeneFeatures(space)
        self._fixed = {name: choices[0] for name, choices in space.all_choices.items()}
        stages = [f"stage{number}" for number in range(1, len(space.stages) + 1)]
        self._gene_names = [
            _genes_of(space, *part) for part in (("resolution_px", "stem"), *zip(stages), ("head",))
        ]
        self._stem = lru_cache(COST_CACHE_SIZE)(self._encode_stem)
        self._stage = lru_cache(COST_CACHE_SIZE)(self._encode_stage)
        self._head = lru_cache(COST_CACHE_SIZE)(self._encode_head)
        first = space.decode({gene.name: gene.choices[0] for gene in space.genes})
        macs = (f"{GENE_PREFIX}{stage}.log_macs" for stage in stages)
        self.names = (*analytic_features(first), *self._genes.names, *macs)

    def encode(self, genes: Genes) -> Candidate:
        """The candidate of valid genes of the space."""
        first, *middle, last = (tuple([genes[name] for name in names]) for names in self._gene_names)
        parts = [self._stem(first)]
        for number, chosen in enumerate(middle, start=1):
            parts.append(self._stage(number, parts[-1].channels, parts[-1].side, chosen))
        width, side = parts[-1].channels, parts[-1].side
        parts.append(self._head(width, side, last))
        stem_part, *stages, head_part = parts
        (resolution_px, stem), (head,) = stem_part.layers, head_part.layers
        blocks = tuple([block for stage in stages for block in stage.layers])
        network = Architecture(
            resolution_px, stem, blocks, head, self.space.image_channels, self.space.classes
        )
        whole = features_from_sums([part.terms for part in parts], resolution_px, width, side)
        columns = [column for part in parts for column in part.columns]
        macs = [math.log1p(stage.terms.macs) for stage in stages]
        return Candidate(genes, network, np.array([*whole.values(), *columns, *macs]))

    def _encode_stem(self, chosen: tuple[Choice, ...]) -> _EncodedPart:
        genes, choices = self._choices(0, chosen)
        side = choices["resolution_px"]
        stem = Stem(*(choices[f"stem.{field.name}"] for field in fields(Stem)))
        terms = stem_or_head_sums(stem_cost(stem, self.space.image_channels, side))
        return _EncodedPart(
            (side, stem), stem.out, conv_output_size(side, stem.stride), terms, self._columns(0, genes)
        )

    def _encode_stage(
        self, number: int, channels: int, side: int, chosen: tuple[Choice, ...]
    ) -> _EncodedPart:
        genes, choices = self._choices(number, chosen)
        blocks = self.space.stage_blocks(number, channels, choices)
        terms = []
        for block in blocks:
            terms.append(block_sums(block, channels, side))
            channels, side = block.out, conv_output_size(side, block.stride)
        return _EncodedPart(tuple(blocks), channels, side, sum_parts(terms), self._columns(number, genes))

    def _encode_head(self, channels: int, side: int, chosen: tuple[Choice, ...]) -> _EncodedPart:
        genes, choices = self._choices(-1, chosen)
        head = Head(*(choices[f"head.{field.name}"] for field in fields(Head)))
        terms = stem_or_head_sums(head_cost(head, channels, side, self.space.classes))
        return _EncodedPart((head,), channels, side, terms, self._columns(-1, genes))

    def _choices(self, place: int, chosen: tuple[Choice, ...]) -> tuple[Genes, dict[str, Any]]:
        """The genes of a part by name, and all choices including the fixed ones."""
        genes = dict(zip(self._gene_names[place], chosen, strict=True))
        return genes, {**self._fixed, **genes}

    def _columns(self, place: int, genes: Genes) -> list[float]:
        return self._genes.columns(self._gene_names[place], genes)


def _genes_of(space: SearchSpace, *parts: str) -> tuple[str, ...]:
    return tuple(gene.name for gene in space.genes if gene.name.partition(".")[0] in parts)
