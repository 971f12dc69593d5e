"""Differences of two samplers, paired by seed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class PairedDifference(NamedTuple):
    """Mean difference over seeds, with its 95% interval (Student's t).

    Attributes:
        seeds: number of pairs, at least 2.
        p: of the two-sided Wilcoxon signed-rank test.
    """

    seeds: int
    mean: float
    low: float
    high: float
    p: float


def paired_difference(one: Sequence[float], other: Sequence[float]) -> PairedDifference | None:
    """`one` minus `other`, of the first seeds that both have; None with fewer than 2."""
    differences = np.array([a - b for a, b in zip(one, other, strict=False)])
    if len(differences) < 2:
        return None
    mean, error = float(differences.mean()), float(stats.sem(differences))
    half_width = error * float(stats.t.ppf(0.975, len(differences) - 1))
    p = float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0
    return PairedDifference(len(differences), mean, mean - half_width, mean + half_width, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values that control the family-wise error rate.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    count = len(p_values)
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate([(count - rank) * p_values[place] for rank, place in enumerate(order)])
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()
