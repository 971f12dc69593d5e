"""Confidence interval of an accuracy."""

import math

import pytest

from bneck.evaluate import Accuracy, wilson_half_width


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_margin_is_half_of_the_score_interval_in_newcombe_1998_table_1(
    right: int, count: int, low: float, high: float
) -> None:
    assert wilson_half_width(right / count, count) == pytest.approx((high - low) / 2, abs=1e-4)


def test_half_of_100_is_sure_to_96_in_a_thousand() -> None:
    # 1.96^2 = 3.8416; 1.96 / 1.038416 = 1.887490; 0.25/100 + 3.8416/40000 = 0.00259604, its root 0.0509513
    assert wilson_half_width(0.5, 100) == pytest.approx(1.887490 * 0.0509513, rel=1e-5)


def test_all_of_ten_right_is_not_certain() -> None:
    # z/(1 + z^2/10) * z/20 = 3.8416 / (1.38416 * 20)
    assert wilson_half_width(1, 10) == pytest.approx(0.138770, rel=1e-5)
    assert wilson_half_width(0, 10) == wilson_half_width(1, 10)


def test_the_margin_of_a_million_is_that_of_the_normal_distribution() -> None:
    assert wilson_half_width(0.9, 10**6) == pytest.approx(1.96 * math.sqrt(0.9 * 0.1 / 10**6), rel=1e-4)


def test_the_margin_of_an_accuracy_is_that_of_its_validation_images() -> None:
    accuracy = Accuracy(top1=0.5, loss=1, images=100, images_seen=7000, seed=300, seconds=9, curve=())
    assert accuracy.ci95_half_width == pytest.approx(0.096170, abs=1e-6)
