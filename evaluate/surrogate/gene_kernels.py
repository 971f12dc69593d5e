"""Covariance components of genes and sizes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..statistics.arrays import Array
from .architecture_features import MACS
from .gene_features import gene_part

SIZES_LINEAR, SIZES_SMOOTH, GENES_LINEAR, GENES_SMOOTH = (
    "sizes_linear",
    "sizes_smooth",
    "genes_linear",
    "genes_smooth",
)
PART_PREFIX = "part "  # prefix of the component of one part of the network
SIZE_NAMES = (MACS, "log_params", "log_activation_bytes")

_CLIP_STD = 3.0
_EPSILON = 1e-9  # smaller values are rounding errors
_GENES_LENGTH_SCALE = 2.0  # in standard deviations


@dataclass(frozen=True, eq=False)
class ScaledGenes:
    """Scaled genes and sizes of `n` networks.

    Attributes:
        sizes: `n x 3`, logarithms of MACs, parameters and activation bytes.
        parts: `n x g` genes by part of the network: resolution, stem, stages, head.
    """

    sizes: Array
    parts: Mapping[str, Array]

    @property
    def count(self) -> int:
        """Number of gene columns."""
        return sum(genes.shape[1] for genes in self.parts.values())


@dataclass(frozen=True, eq=False)
class StandardScaler:
    """Standardization of some columns.

    Attributes:
        places: indices of the columns.
        centre, scale: their means and standard deviations.
    """

    places: tuple[int, ...]
    centre: Array
    scale: Array

    @classmethod
    def of(cls, places: Sequence[int], features: Array) -> "StandardScaler":
        """Fit to the trained networks; constant columns become 0."""
        columns = features[:, places]
        centre, scale = columns.mean(0), columns.std(0)
        return cls(tuple(places), centre, np.where(scale > _EPSILON * np.abs(centre), scale, np.inf))

    def standardise(self, features: Array) -> Array:
        """Standardized columns, clipped to three standard deviations."""
        out: Array = np.clip((features[:, self.places] - self.centre) / self.scale, -_CLIP_STD, _CLIP_STD)
        return out


@dataclass(frozen=True, eq=False)
class GeneScaler:
    """Scales columns to `ScaledGenes`."""

    sizes: StandardScaler
    parts: Mapping[str, StandardScaler]

    @classmethod
    def of(cls, names: Sequence[str], features: Array) -> "GeneScaler | None":
        """Fit to the trained networks; None without gene columns."""
        parts: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            if part := gene_part(name):
                parts.setdefault(part, []).append(index)
        if not parts:
            return None
        sizes = [index for index, name in enumerate(names) if name in SIZE_NAMES]
        own = {part: StandardScaler.of(places, features) for part, places in parts.items()}
        return cls(StandardScaler.of(sizes, features), own)

    def places(self, features: Array) -> ScaledGenes:
        return ScaledGenes(
            self.sizes.standardise(features),
            {name: part.standardise(features) for name, part in self.parts.items()},
        )


def gene_kernels(one: ScaledGenes, other: ScaledGenes) -> dict[str, Array]:
    """`n x m` covariances between two groups of networks, by component, at variance 1.

    Linear and smooth functions of the sizes and of all genes, and for each part a smooth function of its
    genes: the effect of a choice depends mostly on the other choices of its stage, and some stages matter
    more than others.
    """
    pairs = {name: (mine, other.parts[name]) for name, mine in one.parts.items()}
    squared_distances = {name: _squared_distances(mine, theirs) for name, (mine, theirs) in pairs.items()}
    width = one.sizes.shape[1]
    return {
        SIZES_LINEAR: one.sizes @ other.sizes.T / width,
        SIZES_SMOOTH: np.exp(-_squared_distances(one.sizes, other.sizes) / (2 * width)),
        GENES_LINEAR: sum_arrays(mine @ theirs.T for mine, theirs in pairs.values()) / one.count,
        GENES_SMOOTH: np.exp(
            -sum_arrays(squared_distances.values()) / (2 * _GENES_LENGTH_SCALE**2 * one.count)
        ),
        **{
            PART_PREFIX + name: np.exp(-each / (2 * one.parts[name].shape[1]))
            for name, each in squared_distances.items()
        },
    }


def sum_arrays(tables: Iterable[Array]) -> Array:
    """Sum of one or more arrays of equal shape, without stacking them."""
    first, *others = tables
    out = first.copy()
    for table in others:
        out += table
    return out


def _squared_distances(one: Array, other: Array) -> Array:
    """`n x m` squared distances."""
    out: Array = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.maximum(out, 0)
