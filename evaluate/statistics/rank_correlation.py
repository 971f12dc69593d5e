"""Rank correlations with bootstrap intervals."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np

from .arrays import Array, Indices, Values

_UPPER_QUANTILE = 0.975


def spearman(one: Values, other: Values) -> float:
    """Spearman's rank correlation, ties share their mean rank; NaN if one input is constant."""
    if _constant(one) or _constant(other):
        return math.nan
    mine, theirs = (ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other)))
    return float(mine @ theirs / math.sqrt(float(mine @ mine) * float(theirs @ theirs)))


def kendall(one: Values, other: Values) -> float:
    """Kendall's tau-b; NaN if one input is constant."""
    from scipy.stats import kendalltau

    if _constant(one) or _constant(other):
        return math.nan
    return float(kendalltau(one, other).statistic)


def spearman_ci95(rho: float, count: int) -> tuple[float, float]:
    """95% interval of Spearman's rank correlation of `count` pairs, at least 4; a rho of 1 counts as 0.99.

    Source: Bonett & Wright 2000, doi:10.1007/BF02294183.
    """
    bounded = min(max(rho, -0.99), 0.99)
    half_width = 1.96 * math.sqrt((1 + bounded**2 / 2) / (count - 3))
    centre = math.atanh(bounded)
    return math.tanh(centre - half_width), math.tanh(centre + half_width)


def mean_over_seed_pairs(table: Array, agreement: Callable[[Array, Array], float] = spearman) -> float:
    """Mean agreement of two columns (seeds) over all pairs of columns."""
    pairs = combinations(range(table.shape[1]), 2)
    return float(np.mean([agreement(table[:, one], table[:, other]) for one, other in pairs]))


def bootstrap_ci95(
    statistic: Callable[[Indices], float], count: int, rng: np.random.Generator, n_resamples: int = 1000
) -> tuple[float, float]:
    """95% percentile bootstrap interval of a statistic of networks.

    Args:
        statistic: function of `count` resampled indices; NaN results are dropped.
        count: number of networks; below 12 the interval is too narrow.
    Source: Efron & Tibshirani 1993, chapter 13.
    """
    samples = np.array([statistic(rng.integers(0, count, count)) for _ in range(n_resamples)])
    finite = samples[~np.isnan(samples)]
    if not len(finite):
        return math.nan, math.nan
    low, high = np.quantile(finite, (1 - _UPPER_QUANTILE, _UPPER_QUANTILE))
    return float(low), float(high)


def spearman_difference(
    one: Values, other: Values, truth: Values, rng: np.random.Generator, n_resamples: int = 1000
) -> tuple[float, float, float]:
    """Spearman(one, truth) - Spearman(other, truth) and its 95% interval."""
    a, b, true = (np.asarray(values, dtype=np.float64) for values in (one, other, truth))

    def difference(rows: Indices) -> float:
        return spearman(a[rows], true[rows]) - spearman(b[rows], true[rows])

    low, high = bootstrap_ci95(difference, len(true), rng, n_resamples)
    return difference(np.arange(len(true))), low, high


def _ranks(values: Values) -> Array:
    """Ranks from 1, ties share their mean; faster than `scipy.stats.rankdata`, for the bootstrap."""
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    out: Array = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return out


def _constant(values: Values) -> bool:
    return bool(np.ptp(np.asarray(values)) == 0)
