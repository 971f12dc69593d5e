"""Agreement of a proxy with the truth, for the tables of the benchmark."""

import math

import numpy as np

from bneck.evaluate.statistics.arrays import Array, Indices, Values
from bneck.evaluate.statistics.rank_correlation import spearman


def partial_spearman(proxy: Values, truth: Values, macs: Values) -> float:
    """Spearman given MACs: of the residuals of both ranks on the ranks by MACs; NaN without residuals."""
    with_truth, proxy_macs, truth_macs = spearman(proxy, truth), spearman(proxy, macs), spearman(truth, macs)
    left = (1 - proxy_macs**2) * (1 - truth_macs**2)
    if not left > 1e-12:
        return math.nan
    return (with_truth - proxy_macs * truth_macs) / math.sqrt(left)


def middle_third(macs: Values) -> Indices:
    """Indices of the middle third of the networks by MACs."""
    order = np.argsort(np.asarray(macs), kind="stable")
    count = len(order)
    return np.sort(order[count // 3 : count - count // 3])


def top_k_overlap(proxy: Values, truth: Values, count: int = 5) -> float:
    """Overlap of the top `count` of proxy and truth, as a fraction; expectation over random tie breaks."""
    count = min(count, len(truth))
    return float((_top_k_probabilities(proxy, count) * _top_k_probabilities(truth, count)).sum()) / count


def regret(proxy: Values, truth: Values) -> float:
    """True value of the best network minus that of the proxy's first choice; mean over ties."""
    true, proxy_scores = np.asarray(truth), np.asarray(proxy)
    return float(true.max() - true[proxy_scores == proxy_scores.max()].mean())


def spearman_brown(single_seed_reliability: float, n_seeds: float) -> float:
    """Reliability of the mean over `n_seeds` trainings, given that of one.

    Source: Spearman 1910 and Brown 1910.
    """
    return n_seeds * single_seed_reliability / (1 + (n_seeds - 1) * single_seed_reliability)


def _top_k_probabilities(values: Values, count: int) -> Array:
    """Probability of each value to be among the `count` highest with random tie breaks."""
    scores = np.asarray(values, dtype=np.float64)
    above = (scores[None, :] > scores[:, None]).sum(1)
    equal = (scores[None, :] == scores[:, None]).sum(1)
    out: Array = np.clip((count - above) / equal, 0, 1)
    return out
