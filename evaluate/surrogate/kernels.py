"""What a network's accuracy is made of, as covariances between networks.

MACs come first: features and judges count by what MACs do not tell of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..statistics.arrays import Array
from .architecture_features import MACS
from .gene_features import gene_part
from .gene_kernels import GeneScaler, ScaledGenes, gene_kernels

CONSTANT, SLOPE, CURVE, FEATURES, STRUCTURE = "constant", "slope", "curve", "features", "structure"

_CURVE_LENGTH_SCALE = 1.5
_CLIP_STD = 3.0
_EPSILON = 1e-9  # what is less is rounding


@dataclass(frozen=True, eq=False)
class ScaledInputs:
    """Networks where the model sees them.

    Attributes:
        keys: `n`.
        macs: `n` logarithms, scaled.
        features: `n x p`, scaled, without what MACs tell of them.
        proxies: `n` normal scores each, without what MACs tell of them.
        genes: and sizes beyond MACs; None where they are not told.
    """

    keys: tuple[str, ...]
    macs: Array
    features: Array
    proxies: Mapping[str, Array]
    genes: ScaledGenes | None = None


@dataclass(frozen=True, eq=False)
class MacsRegression:
    """Columns, scaled, less their least-squares line in `macs`.

    Attributes:
        centre, scale, slope: `p` each.
        size: root mean square of what is left, over all columns.
    """

    centre: Array
    scale: Array
    slope: Array
    size: float

    @classmethod
    def of(cls, columns: Array, macs: Array) -> "MacsRegression":
        """As the trained networks lie; columns that are constant stay 0."""
        centre, scale = columns.mean(0), columns.std(0)
        scale = np.where(scale > _EPSILON * np.abs(centre), scale, np.inf)
        scaled = (columns - centre) / scale
        slope = macs @ scaled / (float(macs @ macs) or 1.0)
        residual = scaled - np.outer(macs, slope)
        size = float(np.sqrt((residual**2).mean())) if residual.size else 0.0
        return cls(centre, scale, slope, size if size > _EPSILON else np.inf)

    def residual(self, columns: Array, macs: Array) -> Array:
        """What MACs do not tell; what lies far outside counts as at the edge, three deviations off."""
        found: Array = ((columns - self.centre) / self.scale - np.outer(macs, self.slope)) / self.size
        return np.clip(found, -_CLIP_STD, _CLIP_STD)


@dataclass(frozen=True, eq=False)
class NormalQuantileTransform:
    """A judge's scores as normal quantiles of their rank, so that only their order counts.

    Attributes:
        scores: those known, without repetition, in rising order.
        quantiles: of each.
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
        found: Array = np.interp(scores, self.scores, self.quantiles)
        return found


@dataclass(frozen=True, eq=False)
class InputScaler:
    """From columns in their units to `ScaledInputs`, as the networks that were trained set it."""

    names: tuple[str, ...]
    macs_centre: float
    macs_scale: float
    regression: MacsRegression
    quantile_transforms: Mapping[str, NormalQuantileTransform] = field(default_factory=dict)
    proxy_regressions: Mapping[str, MacsRegression] = field(default_factory=dict)
    genes: GeneScaler | None = None

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        features: Array,
        scores: Mapping[str, Sequence[float]],
        known: Mapping[str, Sequence[float]],
    ) -> "InputScaler":
        """As the trained networks lie.

        Args:
            features: `n x p`, of the trained networks, `log_macs` among them.
            scores: of the trained networks by each judge.
            known: all that each judge gave.
        """
        if MACS not in names:
            raise ValueError(f"features need a column {MACS}, got {', '.join(names)}")
        macs = features[:, list(names).index(MACS)]
        centre, scale = float(macs.mean()), float(macs.std())
        scale = scale if scale > _EPSILON * abs(centre) else 1.0
        scaled = (macs - centre) / scale
        quantile_transforms = {name: NormalQuantileTransform.of(known[name]) for name in scores}
        proxy_regressions = {
            name: MacsRegression.of(quantile_transforms[name](scores[name])[:, None], scaled)
            for name in scores
        }
        regression = MacsRegression.of(features[:, [_is_feature(name) for name in names]], scaled)
        genes = GeneScaler.of(names, features)
        return cls(tuple(names), centre, scale, regression, quantile_transforms, proxy_regressions, genes)

    def places(
        self, keys: Sequence[str], features: Array, scores: Mapping[str, Sequence[float]]
    ) -> ScaledInputs:
        macs = (features[:, self.names.index(MACS)] - self.macs_centre) / self.macs_scale
        others = features[:, [_is_feature(name) for name in self.names]]
        proxies = {
            name: self.proxy_regressions[name].residual(quantile_transform(scores[name])[:, None], macs)[:, 0]
            for name, quantile_transform in self.quantile_transforms.items()
        }
        genes = self.genes.places(features) if self.genes else None
        return ScaledInputs(tuple(keys), macs, self.regression.residual(others, macs), proxies, genes)


def kernel_components(one: ScaledInputs, other: ScaledInputs) -> dict[str, Array]:
    """`n x m` between two groups of networks for each part at variance 1."""
    same = np.array(one.keys)[:, None] == np.array(other.keys)[None, :]
    found = {
        CONSTANT: np.ones((len(one.keys), len(other.keys))),
        SLOPE: np.outer(one.macs, other.macs),
        CURVE: np.exp(-(np.subtract.outer(one.macs, other.macs) ** 2) / (2 * _CURVE_LENGTH_SCALE**2)),
        FEATURES: _feature_kernel(one.features, other.features),
        STRUCTURE: same.astype(np.float64),
    }
    if one.genes and other.genes:
        found |= gene_kernels(one.genes, other.genes)
    return found | {name: np.outer(mine, other.proxies[name]) for name, mine in one.proxies.items()}


def _is_feature(name: str) -> bool:
    """Whether a column is of the whole network, and not MACs."""
    return name != MACS and gene_part(name) is None


def _feature_kernel(one: Array, other: Array) -> Array:
    """Half a straight line in every feature, half a smooth function of all."""
    count = one.shape[1]
    if not count:
        return np.zeros((len(one), len(other)))
    products = one @ other.T / count
    squared_distances = (one**2).mean(1)[:, None] + (other**2).mean(1) - 2 * products
    found: Array = (products + np.exp(-np.maximum(squared_distances, 0) / 2)) / 2
    return found
