"""What a few trainings with different seeds tell of a mean, and of the differences between means."""

import math
import statistics
from collections.abc import Sequence
from functools import cache


def residual_deviation(rows: Sequence[Sequence[float]]) -> float:
    """What is left of the spread of `n x m` values without the means of rows and of columns."""
    row_means = [statistics.fmean(row) for row in rows]
    column_means = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    mean = statistics.fmean(row_means)
    squares = sum(
        (value - row_mean - column_mean + mean) ** 2
        for row, row_mean in zip(rows, row_means, strict=True)
        for value, column_mean in zip(row, column_means, strict=True)
    )
    return math.sqrt(squares / ((len(row_means) - 1) * (len(column_means) - 1)))


@cache
def student_t(freedom: int) -> float:
    """Between minus this and this lie 95% of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


@cache
def studentized_range(count: int, freedom: int) -> float:
    """Below this lie 95% of the range of `count` normal values over their deviation."""
    from scipy.stats import studentized_range as distribution

    return float(distribution.ppf(0.95, count, freedom))
