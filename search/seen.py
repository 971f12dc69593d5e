"""Networks as a sampler's models see them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluate.features import analytic_features
from ..evaluate.gene_features import GeneFeatures, stage_macs, stage_names
from ..search_space import Architecture, Genes, SearchSpace


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


class Sight:
    """From genes to networks as they are seen.

    Attributes:
        names: of the features.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._genes = GeneFeatures(space)
        first = space.decode({gene.name: gene.choices[0] for gene in space.genes})
        self.names = (*analytic_features(first), *self._genes.names, *stage_names(space))

    def see(self, genes: Genes, architecture: Architecture) -> Seen:
        """The network that the genes decode to."""
        whole = analytic_features(architecture).values()
        stages = stage_macs(self.space, genes, architecture)
        return Seen(genes, architecture, np.array([*whole, *self._genes.row(genes), *stages]))
