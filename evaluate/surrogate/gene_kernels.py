"""Covariance components of genes and sizes."""

import math
from collections.abc import Mapping, Sequence
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
class SmoothColumns:
    """Columns of a squared-exponential component.

    Attributes:
        columns: `n x p`, in units of the length scale.
    """

    columns: Array

    def kernel(self, other: "SmoothColumns", out: Array | None = None) -> Array:
        """`n x m` covariances at variance 1, whose exponents are a single matrix product.

        Args:
            out: array to overwrite.
        """
        exponents = np.matmul(self._left, other._right.T, out=out)
        return np.exp(exponents, out=exponents)

    @cached_property
    def _left(self) -> Array:
        return np.column_stack([self.columns, self._half_squares, np.ones(len(self.columns))])

    @cached_property
    def _right(self) -> Array:
        return np.column_stack([self.columns, np.ones(len(self.columns)), self._half_squares])

    @property
    def _half_squares(self) -> Array:
        squares: Array = (self.columns**2).sum(1) / -2
        return squares


@dataclass(frozen=True, eq=False)
class ScaledGenes:
    """Scaled genes and sizes of `n` networks.

    Attributes:
        sizes: `n x 3`, logarithms of MACs, parameters and activation bytes.
        parts: `n x g` genes by part of the network: resolution, stem, stages, head.
    """

    sizes: Array
    parts: Mapping[str, Array]

    @cached_property
    def genes(self) -> Array:
        """`n x g` of all parts."""
        return np.hstack(list(self.parts.values()))

    def linear(self) -> dict[str, Array]:
        """Columns of the linear components, see `ScaledInputs.linear`."""
        return {SIZES_LINEAR: unit_variance(self.sizes), GENES_LINEAR: unit_variance(self.genes)}

    def smooth(self) -> dict[str, SmoothColumns]:
        """Columns of the smooth components: the sizes, all genes, and the genes of each part.

        The effect of a choice depends mostly on the other choices of its stage, and some stages matter more
        than others.
        """
        return {
            SIZES_SMOOTH: SmoothColumns(unit_variance(self.sizes)),
            GENES_SMOOTH: SmoothColumns(unit_variance(self.genes) / _GENES_LENGTH_SCALE),
            **{PART_PREFIX + name: SmoothColumns(unit_variance(own)) for name, own in self.parts.items()},
        }


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


def unit_variance(columns: Array) -> Array:
    """Standardized columns over the root of their number: their products are means over the columns."""
    scaled: Array = columns / math.sqrt(max(columns.shape[1], 1))
    return scaled
