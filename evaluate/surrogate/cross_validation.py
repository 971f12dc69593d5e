"""How well a predictor does on networks that it has not seen, and what each judge adds to that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..statistics.rank_correlation import bootstrap, judges_apart, spearman
from ..statistics.reliability import Array, Rows, Values
from .architecture_features import MACS
from .gaussian_process import Judge, fit

FOLDS = 5
DRAWS = 1000

Interval = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """Of predictions with values; intervals are 95%, from networks drawn again with repetition.

    Attributes:
        spearman: NaN where it is not defined.
        r2: share of the values' variance that is predicted; below 0 where their mean does better.
    """

    spearman: float
    spearman_interval: Interval
    r2: float
    r2_interval: Interval


@dataclass(frozen=True)
class Gain:
    """By how much Spearman is higher with something than without it, on the same networks."""

    spearman: float
    interval: Interval


@dataclass(frozen=True)
class CrossValidation:
    """Predictions of networks left out of the fit, against what their trainings gave.

    Noise in the values counts against all: none can reach 1.

    Attributes:
        networks, folds: number of each.
        everything: with features and judges.
        macs: of the trend in MACs alone.
        without: of everything but one judge, by judge.
        gain: of everything over MACs alone.
        gains: of everything over everything but one judge, by judge.
    """

    networks: int
    folds: int
    everything: Agreement
    macs: Agreement
    without: Mapping[str, Agreement]
    gain: Gain
    gains: Mapping[str, Gain]


def cross_validated(
    keys: Sequence[str],
    features: Array,
    names: Sequence[str],
    values: Values,
    trainings: Sequence[int] | npt.NDArray[np.int64],
    noise: float | None,
    judges: Mapping[str, Judge] | None = None,
    *,
    seed: int = 0,
) -> CrossValidation:
    """Fit again without each fifth of the networks, judges chosen anew, and predict it.

    Each fifth is spread over the MACs. A judge that a fit drops predicts nothing there.

    Args:
        keys, features, names, values, trainings, noise, judges: as `fit` takes them.
        seed: of the division and of the intervals.
    Raises:
        ValueError: fewer networks than `FOLDS`, or what `fit` refuses.
    """
    if len(keys) < FOLDS:
        raise ValueError(f"cross-validation needs at least {FOLDS} networks, got {len(keys)}")
    heights, counts = np.asarray(values, dtype=np.float64), np.asarray(trainings)
    given = dict(judges or {})
    parts = _fifths(features[:, list(names).index(MACS)], keys, np.random.default_rng(seed))

    def left_out(columns: Sequence[str], used: Mapping[str, Judge]) -> Array:
        table = features[:, [list(names).index(name) for name in columns]]
        told = np.empty(len(keys))
        for part in range(FOLDS):
            rest, asked = (np.flatnonzero(chosen).tolist() for chosen in (parts != part, parts == part))
            own = [keys[place] for place in rest]
            model = fit(own, table[rest], columns, heights[rest], counts[rest], noise, used)
            told[asked] = model.posterior([keys[place] for place in asked], table[asked]).mean
        return told

    everything, macs = left_out(names, given), left_out([MACS], {})
    without = {
        name: left_out(names, {other: judge for other, judge in given.items() if other != name})
        for name in given
    }
    return CrossValidation(
        networks=len(keys),
        folds=FOLDS,
        everything=_agreement(everything, heights, seed),
        macs=_agreement(macs, heights, seed),
        without={name: _agreement(told, heights, seed) for name, told in without.items()},
        gain=_gain(everything, macs, heights, seed),
        gains={name: _gain(everything, told, heights, seed) for name, told in without.items()},
    )


def _fifths(macs: Array, keys: Sequence[str], rng: np.random.Generator) -> Rows:
    """The number of each network's part: of five neighbours by MACs, one is in each."""
    order = np.lexsort((np.asarray(keys), macs))
    found = np.empty(len(order), dtype=np.intp)
    for first in range(0, len(order), FOLDS):
        few = order[first : first + FOLDS]
        found[few] = rng.permutation(FOLDS)[: len(few)]
    return found


def _agreement(told: Array, values: Array, seed: int) -> Agreement:
    def ranks(rows: Rows) -> float:
        return spearman(told[rows], values[rows])

    def explained(rows: Rows) -> float:
        spread = float(((values[rows] - values[rows].mean()) ** 2).sum())
        return 1 - float(((told[rows] - values[rows]) ** 2).sum()) / spread if spread > 0 else float("nan")

    everyone = np.arange(len(values))
    return Agreement(
        ranks(everyone),
        _interval(ranks, len(values), seed),
        explained(everyone),
        _interval(explained, len(values), seed),
    )


def _gain(one: Array, other: Array, values: Array, seed: int) -> Gain:
    higher, low, high = judges_apart(one, other, values, np.random.default_rng(seed), DRAWS)
    return Gain(higher, (low, high))


def _interval(statistic: Callable[[Rows], float], count: int, seed: int) -> Interval:
    return bootstrap(statistic, count, np.random.default_rng(seed), DRAWS)
