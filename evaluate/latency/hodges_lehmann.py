"""The centre of a few noisy values and how sure it is, after Hodges and Lehmann.

As robust as is needed (29% of the values may be anything) and nearly as efficient as the mean
(95% at normal noise, where a median has 64%). Exact for every symmetric distribution.

Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.2 and 3.3.
"""

import statistics
from collections.abc import Sequence
from functools import cache

MIN_VALUES = 6  # fewer leave no 95% interval


def pseudomedian(values: Sequence[float]) -> float:
    """The median of the means of all pairs, each value paired with itself too."""
    return statistics.median(_walsh_averages(values))


def confidence_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The ends of the two-sided interval for the centre; of few values the least and the greatest."""
    means = _walsh_averages(values)
    rank = _critical_rank(len(values), (1 - confidence) / 2)
    return means[rank], means[-1 - rank]


def _walsh_averages(values: Sequence[float]) -> list[float]:
    """Walsh averages in order."""
    return sorted((a + b) / 2 for number, a in enumerate(values) for b in values[number:])


@cache
def _critical_rank(count: int, tail_probability: float) -> int:
    """How many pair means at an end may be cut off: the greatest k with P(signed-rank sum <= k) <= tail."""
    counts = [1]  # by sum, the number of subsets of the ranks so far
    for rank in range(1, count + 1):
        next_counts = [0] * (len(counts) + rank)
        for total, subsets in enumerate(counts):
            next_counts[total] += subsets
            next_counts[total + rank] += subsets
        counts = next_counts
    cumulative = 0
    for total, subsets in enumerate(counts):
        cumulative += subsets
        if cumulative > tail_probability * 2**count:
            return max(0, total - 1)
    raise ValueError(f"a tail must be below 1, got {tail_probability}")
