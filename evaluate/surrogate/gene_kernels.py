"""Covariance components of genes and sizes."""

from collections.abc import Iterator, Mapping, Sequence
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

CLIP_STD = 3.0  # networks far outside the trained ones are taken as at their edge
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
        clip_std: largest value, in standard deviations.
    """

    places: tuple[int, ...]
    centre: Array
    scale: Array
    clip_std: float

    @classmethod
    def of(cls, places: Sequence[int], features: Array, clip_std: float) -> "StandardScaler":
        """Fit to the trained networks; constant columns become 0."""
        columns = features[:, places]
        centre, scale = columns.mean(0), columns.std(0)
        return cls(
            tuple(places), centre, np.where(scale > _EPSILON * np.abs(centre), scale, np.inf), clip_std
        )

    def standardise(self, features: Array) -> Array:
        """Standardized columns, clipped to `clip_std`."""
        standardized: Array = (features[:, self.places] - self.centre) / self.scale
        return np.clip(standardized, -self.clip_std, self.clip_std)


@dataclass(frozen=True, eq=False)
class GeneScaler:
    """Scales columns to `ScaledGenes`.

    Attributes:
        genes: of the columns of all parts, one part after the other.
        widths: number of columns of each part.
    """

    sizes: StandardScaler
    genes: StandardScaler
    widths: Mapping[str, int]

    @classmethod
    def of(cls, names: Sequence[str], features: Array, clip_std: float = CLIP_STD) -> "GeneScaler | None":
        """Fit to the spread of features; None without gene columns."""
        parts: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            if part := gene_part(name):
                parts.setdefault(part, []).append(index)
        if not parts:
            return None
        sizes = [index for index, name in enumerate(names) if name in SIZE_NAMES]
        genes = [place for places in parts.values() for place in places]
        widths = {part: len(places) for part, places in parts.items()}
        return cls(
            StandardScaler.of(sizes, features, clip_std), StandardScaler.of(genes, features, clip_std), widths
        )

    def places(self, features: Array) -> ScaledGenes:
        ends = np.cumsum(list(self.widths.values()))
        parts = np.split(self.genes.standardise(features), ends[:-1], axis=1)
        return ScaledGenes(self.sizes.standardise(features), dict(zip(self.widths, parts, strict=True)))


def gene_kernels(
    one: ScaledGenes, other: ScaledGenes, out: Array | None = None
) -> Iterator[tuple[str, Array]]:
    """`n x m` covariances between two groups of networks, by component, at variance 1.

    Linear and smooth functions of the sizes and of all genes, and for each part a smooth function of its
    genes: the effect of a choice depends mostly on the other choices of its stage, and some stages matter
    more than others.

    Args:
        out: array that each component overwrites; new arrays if None.
    """
    yield SIZES_LINEAR, linear_kernel(one.sizes, other.sizes, out)
    yield SIZES_SMOOTH, smooth_kernel(one.sizes, other.sizes, one.sizes.shape[1], out)
    genes, others = (np.hstack(list(each.parts.values())) for each in (one, other))
    yield GENES_LINEAR, linear_kernel(genes, others, out)
    yield GENES_SMOOTH, smooth_kernel(genes, others, _GENES_LENGTH_SCALE**2 * one.count, out)
    for name, own in one.parts.items():
        yield PART_PREFIX + name, smooth_kernel(own, other.parts[name], own.shape[1], out)


def gene_kernel_diagonals(genes: ScaledGenes) -> dict[str, Array]:
    """`n`: the diagonals of `gene_kernels(genes, genes)`."""
    one = np.ones(len(genes.sizes))
    return {
        SIZES_LINEAR: (genes.sizes**2).mean(1),
        SIZES_SMOOTH: one,
        GENES_LINEAR: sum((own**2).sum(1) for own in genes.parts.values()) / genes.count,
        GENES_SMOOTH: one,
        **{PART_PREFIX + name: one for name in genes.parts},
    }


def linear_kernel(one: Array, other: Array, out: Array | None = None) -> Array:
    """`n x m` means of the products of columns."""
    return np.matmul(one / max(one.shape[1], 1), other.T, out=out)


def smooth_kernel(one: Array, other: Array, squared_scale: float, out: Array | None = None) -> Array:
    """`n x m` squared-exponential covariances, whose exponents are a single matrix product."""
    norms, other_norms = ((each**2).sum(1) / (-2 * squared_scale) for each in (one, other))
    left = np.column_stack([one / squared_scale, norms, np.ones(len(one))])
    right = np.column_stack([other, np.ones(len(other)), other_norms])
    exponents = np.matmul(left, right.T, out=out)
    return np.exp(np.minimum(exponents, 0, out=exponents), out=exponents)
