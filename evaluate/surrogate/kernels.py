"""Covariance components of the accuracy of networks.

Features and proxies enter as their residuals given MACs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

import numpy as np

from ..statistics.arrays import Array
from .architecture_features import MACS
from .gene_features import gene_part
from .gene_kernels import (
    CLIP_STD,
    GeneScaler,
    Points,
    ScaledGenes,
    gene_kernel_diagonals,
    gene_kernels,
)

CONSTANT, SLOPE, CURVE, FEATURES, STRUCTURE = "constant", "slope", "curve", "features", "structure"

_CURVE_LENGTH_SCALE = 1.5
_BLOCK_ROWS = 64
_EPSILON = 1e-9  # smaller values are rounding errors


@dataclass(frozen=True, eq=False)
class ScaledInputs:
    """Scaled model inputs of `n` networks.

    Attributes:
        keys: `n` architecture keys.
        macs: `n`, scaled log MACs.
        features: `n x p`, scaled residuals given MACs.
        proxies: `n` each, normal scores, residuals given MACs.
        genes: scaled genes and sizes; None without gene columns.
    """

    keys: tuple[str, ...]
    macs: Array
    features: Array
    proxies: Mapping[str, Array]
    genes: ScaledGenes | None = None

    def rows(self, part: slice) -> "ScaledInputs":
        """Some of the networks."""
        proxies = {name: scores[part] for name, scores in self.proxies.items()}
        genes = self.genes.rows(part) if self.genes else None
        return ScaledInputs(self.keys[part], self.macs[part], self.features[part], proxies, genes)

    @cached_property
    def sized(self) -> Points:
        """The networks by MACs."""
        return Points(self.macs[:, None])

    @cached_property
    def described(self) -> Points:
        """The networks by their features."""
        return Points(self.features)


@dataclass(frozen=True, eq=False)
class MacsRegression:
    """Standardized columns minus their least-squares line in `macs`.

    Attributes:
        macs_centre: mean of `macs`.
        centre, scale, slope: `p` each.
        size: root mean square of the residuals over all columns.
        clip_std: largest residual, in standard deviations.
    """

    macs_centre: float
    centre: Array
    scale: Array
    slope: Array
    size: float
    clip_std: float

    @classmethod
    def of(cls, columns: Array, macs: Array, clip_std: float = CLIP_STD) -> "MacsRegression":
        """Fit to the trained networks; constant columns become 0."""
        centre, scale = columns.mean(0), columns.std(0)
        scale = np.where(scale > _EPSILON * np.abs(centre), scale, np.inf)
        scaled = (columns - centre) / scale
        macs_centre = float(macs.mean())
        centred = macs - macs_centre
        slope = centred @ scaled / (float(centred @ centred) or 1.0)
        residual = scaled - np.outer(centred, slope)
        size = float(np.sqrt((residual**2).mean())) if residual.size else 0.0
        return cls(macs_centre, centre, scale, slope, size if size > _EPSILON else np.inf, clip_std)

    def residual(self, columns: Array, macs: Array) -> Array:
        """Residuals given MACs, clipped to `clip_std`."""
        expected = np.outer(macs - self.macs_centre, self.slope)
        residuals: Array = ((columns - self.centre) / self.scale - expected) / self.size
        return np.clip(residuals, -self.clip_std, self.clip_std)


@dataclass(frozen=True, eq=False)
class NormalQuantileTransform:
    """Normal quantiles of the ranks of a proxy's scores, so that only their order matters.

    Attributes:
        scores: distinct known scores in ascending order.
        quantiles: their normal quantiles.
    """

    scores: Array
    quantiles: Array

    @classmethod
    def of(cls, scores: Sequence[float]) -> "NormalQuantileTransform":
        from scipy.special import ndtri

        different, counts = np.unique(np.asarray(scores, dtype=np.float64), return_counts=True)
        middle = np.cumsum(counts) - counts / 2
        return cls(different, ndtri(middle / counts.sum()))

    def __call__(self, scores: Sequence[float]) -> Array:
        quantiles: Array = np.interp(scores, self.scores, self.quantiles)
        return quantiles


@dataclass(frozen=True, eq=False)
class ColumnScaler:
    """Scales the columns of features to `ScaledInputs` without proxies."""

    names: tuple[str, ...]
    macs_centre: float
    macs_scale: float
    regression: MacsRegression
    genes: GeneScaler | None = None

    @classmethod
    def of(cls, names: Sequence[str], features: Array, clip_std: float = CLIP_STD) -> "ColumnScaler":
        """Fit to the spread of `n x p` features, with a column `log_macs`.

        Args:
            clip_std: largest scaled value, in standard deviations.
        """
        if MACS not in names:
            raise ValueError(f"features need a column {MACS}, got {', '.join(names)}")
        macs = features[:, list(names).index(MACS)]
        centre, scale = float(macs.mean()), float(macs.std())
        scale = scale if scale > _EPSILON * abs(centre) else 1.0
        others = features[:, _whole_network_columns(tuple(names))]
        regression = MacsRegression.of(others, (macs - centre) / scale, clip_std)
        return cls(tuple(names), centre, scale, regression, GeneScaler.of(names, features, clip_std))

    def macs(self, features: Array) -> Array:
        """`n`: scaled log MACs."""
        out: Array = (features[:, self.names.index(MACS)] - self.macs_centre) / self.macs_scale
        return out

    def places(self, keys: Sequence[str], features: Array) -> ScaledInputs:
        macs = self.macs(features)
        others = features[:, _whole_network_columns(self.names)]
        genes = self.genes.places(features) if self.genes else None
        return ScaledInputs(tuple(keys), macs, self.regression.residual(others, macs), {}, genes)


@dataclass(frozen=True, eq=False)
class InputScaler:
    """Scales columns and proxies to `ScaledInputs`."""

    columns: ColumnScaler
    quantile_transforms: Mapping[str, NormalQuantileTransform] = field(default_factory=dict)
    proxy_regressions: Mapping[str, MacsRegression] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        columns: ColumnScaler,
        features: Array,
        scores: Mapping[str, Sequence[float]],
        known: Mapping[str, Sequence[float]],
    ) -> "InputScaler":
        """Fit the proxies to the trained networks.

        Args:
            features: `n x p`.
            scores: scores of the trained networks by proxy.
            known: all scores by proxy.
        """
        macs = columns.macs(features)
        quantile_transforms = {name: NormalQuantileTransform.of(known[name]) for name in scores}
        proxy_regressions = {
            name: MacsRegression.of(quantile_transforms[name](scores[name])[:, None], macs) for name in scores
        }
        return cls(columns, quantile_transforms, proxy_regressions)

    def places(
        self, keys: Sequence[str], features: Array, scores: Mapping[str, Sequence[float]]
    ) -> ScaledInputs:
        inputs = self.columns.places(keys, features)
        proxies = {
            name: self.proxy_regressions[name].residual(transform(scores[name])[:, None], inputs.macs)[:, 0]
            for name, transform in self.quantile_transforms.items()
        }
        return replace(inputs, proxies=proxies)


def kernel_components(one: ScaledInputs, other: ScaledInputs) -> dict[str, Array]:
    """`n x m` covariances between two groups of networks, by component, at variance 1."""
    return {name: kernel.copy() for name, kernel in _components(one, other)}


def covariances(one: ScaledInputs, other: ScaledInputs, models: Sequence[Mapping[str, float]]) -> list[Array]:
    """`n x m` for each model: sum of `kernel_components`, each times its variance.

    Args:
        models: variances of the components of each model; 0 for a component without one.
    """
    *totals, weighted = np.zeros((len(models) + 1, len(one.keys), len(other.keys)))
    for name, kernel in _components(one, other):
        for total, variances in zip(totals, models, strict=True):
            total += np.multiply(kernel, variances.get(name, 0.0), out=weighted)
    return totals


def lower_covariance(inputs: ScaledInputs, variances: Mapping[str, float]) -> Array:
    """`n x n`: covariances within a group of networks; 0 in some places above the diagonal."""
    total = np.zeros((len(inputs.keys), len(inputs.keys)))
    for start in range(0, len(total), _BLOCK_ROWS):  # so few rows stay in the cache
        stop = start + _BLOCK_ROWS
        rows, others = inputs.rows(slice(start, stop)), inputs.rows(slice(stop))
        total[start:stop, :stop] = covariances(rows, others, [variances])[0]
    return total


def _components(one: ScaledInputs, other: ScaledInputs) -> Iterator[tuple[str, Array]]:
    """The components one after the other; each overwrites the one before it."""
    kernel = np.ones((len(one.keys), len(other.keys)))
    yield CONSTANT, kernel
    yield SLOPE, np.multiply(one.macs[:, None], other.macs, out=kernel)
    yield CURVE, one.sized.smooth_kernel(other.sized, _CURVE_LENGTH_SCALE**2, kernel)
    yield FEATURES, _feature_kernel(one.described, other.described, kernel)
    yield STRUCTURE, _same_network(one.keys, other.keys, kernel)
    if one.genes and other.genes:
        yield from gene_kernels(one.genes, other.genes, kernel)
    for name, scores in one.proxies.items():
        yield name, np.multiply(scores[:, None], other.proxies[name], out=kernel)


def kernel_diagonals(inputs: ScaledInputs) -> dict[str, Array]:
    """`n`: the diagonals of `kernel_components(inputs, inputs)`."""
    one = np.ones(len(inputs.keys))
    diagonals = {
        CONSTANT: one,
        SLOPE: inputs.macs**2,
        CURVE: one,
        FEATURES: (1 + (inputs.features**2).mean(1)) / 2 if inputs.features.shape[1] else 0 * one,
        STRUCTURE: one,
    }
    if inputs.genes:
        diagonals |= gene_kernel_diagonals(inputs.genes)
    return diagonals | {name: scores**2 for name, scores in inputs.proxies.items()}


def _feature_kernel(one: Points, other: Points, out: Array) -> Array:
    """Half linear in every feature, half a smooth function of all features; 0 without features."""
    count = one.columns.shape[1]
    linear = one.linear_kernel(other, np.empty_like(out))
    smooth = one.smooth_kernel(other, count, out) if count else linear
    return np.divide(np.add(linear, smooth, out=out), 2, out=out)


@cache
def _whole_network_columns(names: tuple[str, ...]) -> list[int]:
    """Indices of the columns that describe the whole network, without MACs."""
    return [place for place, name in enumerate(names) if name != MACS and gene_part(name) is None]


def _same_network(keys: Sequence[str], others: Sequence[str], out: Array) -> Array:
    """1 for pairs of the same network, 0 for others, written to `out`."""
    if set(keys).isdisjoint(others):
        out.fill(0.0)
        return out
    numbers = {key: number for number, key in enumerate(dict.fromkeys([*keys, *others]))}
    one, other = (np.array([numbers[key] for key in each]) for each in (keys, others))
    out[...] = one[:, None] == other
    return out
