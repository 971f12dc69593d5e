"""Covariance components of genes and sizes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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
class Points:
    """Rows of standardized columns, as points in space.

    Attributes:
        columns: `n x p`.
    """

    columns: Array

    @cached_property
    def half_squares(self) -> Array:
        """`n`: minus half the squared lengths."""
        out: Array = (self.columns**2).sum(1) / -2
        return out

    def exponents(self, other: "Points", out: Array) -> Array:
        """`n x m`: minus half the squared distances, written to `out`."""
        np.matmul(self.columns, other.columns.T, out=out)
        out += self.half_squares[:, None]
        out += other.half_squares
        return out

    def smooth_kernel(self, other: "Points", squared_scale: float, out: Array) -> Array:
        """`n x m` squared-exponential covariances, written to `out`."""
        exponents = self.exponents(other, out)
        exponents /= squared_scale
        return np.exp(exponents, out=out)

    def linear_kernel(self, other: "Points", out: Array) -> Array:
        """`n x m` means of the products of columns, written to `out`."""
        return np.matmul(self.columns / max(self.columns.shape[1], 1), other.columns.T, out=out)


@dataclass(frozen=True, eq=False)
class ScaledGenes:
    """Scaled genes and sizes of `n` networks.

    Attributes:
        sizes: `n x 3`, logarithms of MACs, parameters and activation bytes.
        parts: `n x g` genes by part of the network: resolution, stem, stages, head.
    """

    sizes: Points
    parts: Mapping[str, Points]

    def rows(self, part: slice) -> "ScaledGenes":
        """Some of the networks."""
        parts = {name: Points(genes.columns[part]) for name, genes in self.parts.items()}
        return ScaledGenes(Points(self.sizes.columns[part]), parts)

    @property
    def count(self) -> int:
        """Number of gene columns."""
        return sum(genes.columns.shape[1] for genes in self.parts.values())

    @cached_property
    def half_squares(self) -> Array:
        """`n`: minus half the squared lengths of all genes."""
        out: Array = np.sum([genes.half_squares for genes in self.parts.values()], axis=0)
        return out


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
        sizes = Points(self.sizes.standardise(features))
        return ScaledGenes(sizes, dict(zip(self.widths, map(Points, parts), strict=True)))


def gene_kernels(one: ScaledGenes, other: ScaledGenes, out: Array) -> Iterator[tuple[str, Array]]:
    """`n x m` covariances between two groups of networks, by component, at variance 1.

    Linear and smooth functions of the sizes and of all genes, and for each part a smooth function of its
    genes: the effect of a choice depends mostly on the other choices of its stage, and some stages matter
    more than others.

    Args:
        out: array that each component overwrites.
    """
    yield SIZES_LINEAR, one.sizes.linear_kernel(other.sizes, out)
    yield SIZES_SMOOTH, one.sizes.smooth_kernel(other.sizes, one.sizes.columns.shape[1], out)
    genes = np.zeros_like(out)  # squared distances over all genes are the sum of those over the parts
    for name, own in one.parts.items():
        genes += own.exponents(other.parts[name], out)
        out /= own.columns.shape[1]
        yield PART_PREFIX + name, np.exp(out, out=out)
    np.divide(genes, _GENES_LENGTH_SCALE**2 * one.count, out=out)
    yield GENES_SMOOTH, np.exp(out, out=out)
    np.subtract(genes, one.half_squares[:, None], out=out)
    out -= other.half_squares
    out /= one.count
    yield GENES_LINEAR, out


def gene_kernel_diagonals(genes: ScaledGenes) -> dict[str, Array]:
    """`n`: the diagonals of `gene_kernels(genes, genes)`."""
    one = np.ones(len(genes.sizes.columns))
    return {
        SIZES_LINEAR: (genes.sizes.columns**2).mean(1),
        SIZES_SMOOTH: one,
        GENES_LINEAR: genes.half_squares * -2 / genes.count,
        GENES_SMOOTH: one,
        **{PART_PREFIX + name: one for name in genes.parts},
    }
