"""Hodges-Lehmann estimate of a location and its exact confidence interval.

Breakdown point 29%; 95% efficiency relative to the mean for normal noise (the median has 64%). The interval
is exact for every symmetric distribution.

Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.2 and 3.3.
"""

import statistics
from collections.abc import Sequence
from functools import cache

MIN_VALUES = 6  # with fewer values there is no 95% interval


def pseudomedian(values: Sequence[float]) -> float:
    """Median of the Walsh averages: the means of all pairs, each value paired with itself too."""
    return statistics.median(_walsh_averages(values))


def confidence_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the location; minimum and maximum for fewer than `MIN_VALUES` values.

    Raises:
        ValueError: the confidence leaves a tail of 1 or more.
    """
    averages = _walsh_averages(values)
    rank = _critical_rank(len(values), (1 - confidence) / 2)
    return averages[rank], averages[-1 - rank]


def _walsh_averages(values: Sequence[float]) -> list[float]:
    return sorted((a + b) / 2 for number, a in enumerate(values) for b in values[number:])


@cache
def _critical_rank(count: int, tail_probability: float) -> int:
    """Largest k with P(signed-rank sum <= k) <= tail: the number of Walsh averages to cut at each end."""
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
    raise ValueError(f"tail probability must be below 1, got {tail_probability}")
