"""Intervals of seed noise against Student's t from a table."""

import math

import pytest

from bneck.evaluate.statistics.seed_noise import SeedNoise


def test_the_margin_of_a_mean_is_students() -> None:
    # t of 4 degrees of freedom is 2.776
    assert SeedNoise(0.5, 4).ci95_half_width(1) == pytest.approx(2.776 * 0.5, rel=1e-3)
    assert SeedNoise(0.5, 4).ci95_half_width(4) == pytest.approx(2.776 * 0.25, rel=1e-3)


def test_the_difference_that_is_told_is_that_of_two_means() -> None:
    assert SeedNoise(0.5, 4).least_significant_difference() == pytest.approx(
        2.776 * 0.5 * math.sqrt(2), rel=1e-3
    )
    assert SeedNoise(0.5, 4).least_significant_difference(4, 1) == pytest.approx(
        2.776 * 0.5 * math.sqrt(1.25), rel=1e-3
    )
