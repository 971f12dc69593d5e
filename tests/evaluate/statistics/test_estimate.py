import pytest

from bneck.evaluate import wilson_interval
from bneck.evaluate.statistics.estimate import Estimate


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    # Newcombe 1998, table II, method 10
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_the_difference_of_two_proportions_has_the_interval_of_newcombe(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    first, second = (Estimate(right / n, *wilson_interval(right / n, n)) for right, n in (one, other))
    difference = first.minus(second)
    assert (difference.low, difference.high) == pytest.approx((low, high), abs=1e-4)
