"""What a few trainings with different seeds tell of a mean, and of the differences between means."""

from functools import cache

from ..evaluate.reliability import residual_deviation, student_t

__all__ = ["residual_deviation", "student_t", "studentized_range"]


@cache
def studentized_range(count: int, freedom: int) -> float:
    """Below this lie 95% of the range of `count` normal values over their deviation."""
    from scipy.stats import studentized_range as distribution

    return float(distribution.ppf(0.95, count, freedom))
