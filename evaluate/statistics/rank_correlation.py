"""How well a judge of networks agrees with the truth, by ranks, and how sure that is."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np

from .reliability import Array, Indices, Values

_UPPER_QUANTILE = 0.975


def spearman(one: Values, other: Values) -> float:
    """Correlation of the ranks, equals sharing theirs; NaN where all values of one are equal."""
    if _constant(one) or _constant(other):
        return math.nan
    mine, theirs = (ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other)))
    return float(mine @ theirs / math.sqrt(float(mine @ mine) * float(theirs @ theirs)))


def kendall(one: Values, other: Values) -> float:
    """Kendall's tau-b; NaN where all values of one are equal."""
    from scipy.stats import kendalltau

    if _constant(one) or _constant(other):
        return math.nan
    return float(kendalltau(one, other).statistic)


def mean_over_seed_pairs(table: Array, agreement: Callable[[Array, Array], float] = spearman) -> float:
    """How two seeds agree, on the mean over all pairs of seeds."""
    pairs = combinations(range(table.shape[1]), 2)
    return float(np.mean([agreement(table[:, one], table[:, other]) for one, other in pairs]))


def partial_spearman(proxy: Values, truth: Values, macs: Values) -> float:
    """Spearman of what the ranks by MACs leave of both ranks; NaN where they leave nothing."""
    with_truth, proxy_macs, truth_macs = spearman(proxy, truth), spearman(proxy, macs), spearman(truth, macs)
    left = (1 - proxy_macs**2) * (1 - truth_macs**2)
    if not left > 1e-12:
        return math.nan
    return (with_truth - proxy_macs * truth_macs) / math.sqrt(left)


def middle_third(macs: Values) -> Indices:
    """The networks, by position, that lie in the middle by MACs: where size tells them least apart."""
    order = np.argsort(np.asarray(macs), kind="stable")
    count = len(order)
    return np.sort(order[count // 3 : count - count // 3])


def top_k_overlap(proxy: Values, truth: Values, count: int = 5) -> float:
    """Share of the `count` best that the judge has among its own; equals are chosen at random, on average."""
    count = min(count, len(truth))
    return float((_top_k_probabilities(proxy, count) * _top_k_probabilities(truth, count)).sum()) / count


def regret(proxy: Values, truth: Values) -> float:
    """What is lost by taking the judge's first choice instead of the best; of equals on average."""
    true, proxy_scores = np.asarray(truth), np.asarray(proxy)
    return float(true.max() - true[proxy_scores == proxy_scores.max()].mean())


def bootstrap_ci95(
    statistic: Callable[[Indices], float], count: int, rng: np.random.Generator, n_resamples: int = 1000
) -> tuple[float, float]:
    """The 95% interval of a statistic of networks, from networks drawn again with repetition.

    Args:
        statistic: of the positions drawn, `count` of them.
        count: number of networks; with fewer than a dozen the interval is too narrow.
    Source: percentiles, Efron & Tibshirani 1993, chapter 13; draws without an answer (NaN) are left out.
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
    """How much higher one judge's Spearman with the truth is than another's, with its 95% interval."""
    a, b, true = (np.asarray(values, dtype=np.float64) for values in (one, other, truth))

    def difference(rows: Indices) -> float:
        return spearman(a[rows], true[rows]) - spearman(b[rows], true[rows])

    low, high = bootstrap_ci95(difference, len(true), rng, n_resamples)
    return difference(np.arange(len(true))), low, high


def _top_k_probabilities(values: Values, count: int) -> Array:
    """Of each value, the chance to be among the `count` highest when equals come in a random order."""
    scores = np.asarray(values, dtype=np.float64)
    above = (scores[None, :] > scores[:, None]).sum(1)
    equal = (scores[None, :] == scores[:, None]).sum(1)
    out: Array = np.clip((count - above) / equal, 0, 1)
    return out


def _ranks(values: Values) -> Array:
    """From 1, equals sharing the mean of theirs; a bootstrap asks for thousands."""
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    out: Array = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return out


def _constant(values: Values) -> bool:
    return bool(np.ptp(np.asarray(values)) == 0)
