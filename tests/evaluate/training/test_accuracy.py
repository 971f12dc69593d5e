"""Confidence interval of an accuracy."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bneck.evaluate import Accuracy, wilson_interval
from bneck.evaluate.statistics.outcomes import pack_outcomes


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_newcombe_1998_table_1(
    right: int, count: int, low: float, high: float
) -> None:
    assert wilson_interval(right / count, count) == pytest.approx((low, high), abs=1e-4)


def test_half_of_100_is_sure_to_96_in_a_thousand() -> None:
    # 1.96^2 = 3.8416; 1.96 / 1.038416 = 1.887490; 0.25/100 + 3.8416/40000 = 0.00259604, its root 0.0509513
    low, high = wilson_interval(0.5, 100)
    assert (high - 0.5, 0.5 - low) == pytest.approx((1.887490 * 0.0509513,) * 2, rel=1e-5)


def test_all_of_ten_right_is_not_certain() -> None:
    # 1/(1 + 3.8416/10)
    assert wilson_interval(1, 10) == pytest.approx((0.722460, 1), rel=1e-5)
    assert wilson_interval(0, 10) == pytest.approx((0, 1 - 0.722460), rel=1e-5)
    assert wilson_interval(1.2, 10) == wilson_interval(1, 10)


def test_the_interval_of_a_million_is_that_of_the_normal_distribution() -> None:
    half_width = 1.96 * math.sqrt(0.9 * 0.1 / 10**6)
    assert wilson_interval(0.9, 10**6) == pytest.approx((0.9 - half_width, 0.9 + half_width), abs=2e-6)


def test_the_interval_of_an_accuracy_is_that_of_its_validation_images() -> None:
    accuracy = Accuracy(top1=0.5, loss=1, images=100, images_seen=7000, seed=300, seconds=9, curve=())
    assert accuracy.ci95 == pytest.approx((0.5 - 0.096170, 0.5 + 0.096170), abs=1e-6)


def test_the_outcomes_of_the_images_are_known_or_not() -> None:
    correct = np.array([True, False, True])
    accuracy = Accuracy(2 / 3, 1, 3, 0, 0, 0, (), pack_outcomes(correct))
    assert accuracy.correct is not None and accuracy.correct.tolist() == correct.tolist()
    assert replace(accuracy, outcomes="").correct is None
    with pytest.raises(ValueError, match="not of 9"):
        _ = replace(accuracy, images=9).correct
