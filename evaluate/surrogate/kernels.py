"""What a network's accuracy is made of, as covariances between networks.

MACs come first: features and judges count by what MACs do not tell of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..statistics.reliability import Array
from .architecture_features import MACS
from .gene_features import part_of
from .gene_kernels import GenePlaces, GeneScaling, gene_covariances

CONSTANT, SLOPE, CURVE, FEATURES, STRUCTURE = "constant", "slope", "curve", "features", "structure"

_CURVE_LENGTH = 1.5
_MOST = 3.0
_LEAST = 1e-9  # what is less is rounding


@dataclass(frozen=True, eq=False)
class Places:
    """Networks where the model sees them.

    Attributes:
        keys: `n`.
        macs: `n` logarithms, scaled.
        features: `n x p`, scaled, without what MACs tell of them.
        judges: `n` normal scores each, without what MACs tell of them.
        genes: and sizes beyond MACs; None where they are not told.
    """

    keys: tuple[str, ...]
    macs: Array
    features: Array
    judges: Mapping[str, Array]
    genes: GenePlaces | None = None


@dataclass(frozen=True, eq=False)
class Line:
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
    def of(cls, columns: Array, macs: Array) -> "Line":
        """As the trained networks lie; columns that are constant stay 0."""
        centre, scale = columns.mean(0), columns.std(0)
        scale = np.where(scale > _LEAST * np.abs(centre), scale, np.inf)
        even = (columns - centre) / scale
        slope = macs @ even / (float(macs @ macs) or 1.0)
        left = even - np.outer(macs, slope)
        size = float(np.sqrt((left**2).mean())) if left.size else 0.0
        return cls(centre, scale, slope, size if size > _LEAST else np.inf)

    def left(self, columns: Array, macs: Array) -> Array:
        """What MACs do not tell; what lies far outside counts as at the edge, three deviations off."""
        found: Array = ((columns - self.centre) / self.scale - np.outer(macs, self.slope)) / self.size
        return np.clip(found, -_MOST, _MOST)


@dataclass(frozen=True, eq=False)
class Ranking:
    """A judge's scores as normal quantiles of their rank, so that only their order counts.

    Attributes:
        scores: those known, without repetition, in rising order.
        quantiles: of each.
    """

    scores: Array
    quantiles: Array

    @classmethod
    def of(cls, scores: Sequence[float]) -> "Ranking":
        from scipy.special import ndtri

        different, counts = np.unique(np.asarray(scores, dtype=np.float64), return_counts=True)
        middle = np.cumsum(counts) - counts / 2
        return cls(different, ndtri(middle / counts.sum()))

    def __call__(self, scores: Sequence[float]) -> Array:
        found: Array = np.interp(scores, self.scores, self.quantiles)
        return found


@dataclass(frozen=True, eq=False)
class Scaling:
    """From columns in their units to `Places`, as the networks that were trained set it."""

    names: tuple[str, ...]
    macs_centre: float
    macs_scale: float
    line: Line
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    genes: GeneScaling | None = None

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        features: Array,
        scores: Mapping[str, Sequence[float]],
        known: Mapping[str, Sequence[float]],
    ) -> "Scaling":
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
        scale = scale if scale > _LEAST * abs(centre) else 1.0
        even = (macs - centre) / scale
        rankings = {name: Ranking.of(known[name]) for name in scores}
        lines = {name: Line.of(rankings[name](scores[name])[:, None], even) for name in scores}
        line = Line.of(features[:, [_is_feature(name) for name in names]], even)
        genes = GeneScaling.of(names, features)
        return cls(tuple(names), centre, scale, line, rankings, lines, genes)

    def places(self, keys: Sequence[str], features: Array, scores: Mapping[str, Sequence[float]]) -> Places:
        macs = (features[:, self.names.index(MACS)] - self.macs_centre) / self.macs_scale
        others = features[:, [_is_feature(name) for name in self.names]]
        judges = {
            name: self.lines[name].left(ranking(scores[name])[:, None], macs)[:, 0]
            for name, ranking in self.rankings.items()
        }
        genes = self.genes.places(features) if self.genes else None
        return Places(tuple(keys), macs, self.line.left(others, macs), judges, genes)


def covariances(one: Places, other: Places) -> dict[str, Array]:
    """`n x m` between two groups of networks for each part at variance 1."""
    same = np.array(one.keys)[:, None] == np.array(other.keys)[None, :]
    found = {
        CONSTANT: np.ones((len(one.keys), len(other.keys))),
        SLOPE: np.outer(one.macs, other.macs),
        CURVE: np.exp(-(np.subtract.outer(one.macs, other.macs) ** 2) / (2 * _CURVE_LENGTH**2)),
        FEATURES: _alike(one.features, other.features),
        STRUCTURE: same.astype(np.float64),
    }
    if one.genes and other.genes:
        found |= gene_covariances(one.genes, other.genes)
    return found | {name: np.outer(mine, other.judges[name]) for name, mine in one.judges.items()}


def _is_feature(name: str) -> bool:
    """Whether a column is of the whole network, and not MACs."""
    return name != MACS and part_of(name) is None


def _alike(one: Array, other: Array) -> Array:
    """Half a straight line in every feature, half a smooth function of all."""
    count = one.shape[1]
    if not count:
        return np.zeros((len(one), len(other)))
    products = one @ other.T / count
    apart = (one**2).mean(1)[:, None] + (other**2).mean(1) - 2 * products
    found: Array = (products + np.exp(-np.maximum(apart, 0) / 2)) / 2
    return found
