"""Encoding of networks for surrogates; sampler, ablation and importance share it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...search_space import Architecture, CandidateSpace, Cost, Genes, PretrainedSpace, SearchSpace
from ..statistics.arrays import Array, Indices
from .architecture_features import FEATURES, features_from_sums
from .gene_features import GENE_PREFIX, GeneFeatures
from .kernels import ColumnScaler
from .listed_networks import ListedNetworks
from .network_sums import NetworkSummer

SPREAD_SAMPLE = 300
CLIP_STD = 10.0  # networks within a tight limit are up to 5 from the mean of the space


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network of a space.

    Attributes:
        choices: `g` indices of choices, one for each gene of the space.
        identity: bytes that equal architectures share, and no others.
        cost: cost of the network, as `cost(architecture)`.
        features: `p` features of the whole network and of its genes.
    """

    space: CandidateSpace
    choices: Indices
    identity: bytes
    cost: Cost
    features: Array

    @cached_property
    def genes(self) -> Genes:
        return {
            gene.name: gene.choices[choice]
            for gene, choice in zip(self.space.genes, self.choices.tolist(), strict=True)
        }

    @cached_property
    def architecture(self) -> Architecture:
        return self.space.decode(self.genes)


@dataclass(frozen=True, eq=False)
class Observation:
    """Observed values of a candidate.

    Attributes:
        accuracy: mean over its trainings; None if it was not trained.
        trainings: number of trainings; 1 if it was not trained.
        latency_ms: latency; None if unknown.
        feasible: whether no limit is known to be violated.
    """

    candidate: Candidate
    accuracy: float | None = None
    trainings: int = 1
    latency_ms: float | None = None
    feasible: bool = True

    @property
    def key(self) -> str:
        return self.candidate.architecture.key


class Encoder:
    """Encodes genes as candidates.

    Attributes:
        names: names of the features.
    """

    def __init__(self, space: CandidateSpace) -> None:
        self.space = space
        self._genes = GeneFeatures(space)
        self._listed: ListedNetworks | None = None
        if isinstance(space, PretrainedSpace):
            self._listed = ListedNetworks(space, self._genes)
            self.names = self._listed.names
            return
        assert isinstance(space, SearchSpace)
        self._sums = NetworkSummer(space)
        macs = (f"{GENE_PREFIX}stage{number}.log_macs" for number in range(1, len(space.stages) + 1))
        self.names = (*FEATURES, *self._genes.names, *macs)

    @cached_property
    def columns(self) -> ColumnScaler:
        """Scales features by their spread over the space: over networks with uniformly drawn genes."""
        n_choices = [len(gene.choices) for gene in self.space.genes]
        draws = np.random.default_rng(0).integers(0, n_choices, (SPREAD_SAMPLE, len(n_choices)))
        features = np.array([each.features for each in self.encode_choices(draws)])
        return ColumnScaler.of(self.names, features, CLIP_STD)

    def encode(self, genes: Genes) -> Candidate:
        """The candidate of valid genes of the space."""
        return self.encode_choices(self._genes.indices([genes]))[0]

    def encode_choices(self, choices: Indices) -> list[Candidate]:
        """The candidates of `n x g` indices of choices."""
        if self._listed:
            return [Candidate(self.space, *each) for each in self._listed(choices)]
        sums = self._sums(choices)
        whole = features_from_sums(sums.costs[:, :3], sums.terms, sums.shapes)
        features = np.hstack([whole, self._genes.columns(choices), np.log1p(sums.stage_macs)])
        return [
            Candidate(self.space, own, identity, Cost(*costs), row)
            for own, identity, costs, row in zip(
                choices, sums.identities, sums.costs.tolist(), features, strict=True
            )
        ]
