"""Correlations of outcomes over images, and what a sample of images leaves unknown."""

import math

import numpy as np
import pytest

from bneck.evaluate.statistics.outcomes import (
    ALL_IMAGES,
    ImageSampling,
    pack_outcomes,
    paired_std,
    unpack_outcomes,
)

HALF = np.array([True, False] * 50)


@pytest.mark.parametrize("images", [1, 8, 13, 400])
def test_outcomes_survive_packing(images: int) -> None:
    correct = np.random.default_rng(0).random(images) < 0.7
    assert unpack_outcomes(pack_outcomes(correct), images).tolist() == correct.tolist()


def test_outcomes_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="not of 9"):
        unpack_outcomes(pack_outcomes(HALF[:8]), 9)


def test_5000_images_take_less_than_a_kilobyte() -> None:
    assert len(pack_outcomes(np.ones(5000, dtype=np.bool_))) == 836  # 625 bytes, four characters for three


def test_equal_networks_are_correlated_by_one_and_opposite_ones_not_below_zero() -> None:
    assert ImageSampling.of([[HALF], [HALF]], 100) == ImageSampling(100, 1, 1, known=True)
    assert ImageSampling.of([[HALF], [~HALF]], 100).between == 0
    assert ImageSampling.of([[HALF]], 100) == ImageSampling.of([[], []], 100) == ImageSampling(100)


def test_two_correlations_split_the_binomial_variance() -> None:
    # Two networks: trainings of one agree on 3 of 4 images, of different ones on 5 of 8.
    eight = [np.array([int(bit) for bit in bits], dtype=np.bool_) for bits in ("11110000", "11101000")]
    # 3 of 4 right answers are shared: (3/8 - 1/4) / (1/4) = 0.5
    sampling = ImageSampling.of([eight, [np.array([1, 1, 0, 0, 1, 1, 0, 0], dtype=np.bool_)]], 8)
    assert (sampling.between, sampling.within) == (pytest.approx(0), pytest.approx(0.5))
    assert sampling.shares == pytest.approx((0, 0.5, 0.5))


@pytest.mark.parametrize(("right", "images"), [(1.0, 100), (0.5, 100), (0.0, 8), (0.9, 5000)])
def test_all_right_is_no_proof_of_perfection(right: float, images: int) -> None:
    # two images right and two wrong are added; rounded to powers of the square root of 2
    fraction = (right * images + 2) / (images + 4)
    expected = fraction * (1 - fraction) / (images + 4)
    found = ImageSampling(images).variances([right]).item()
    assert found == pytest.approx(2 ** (round(2 * math.log2(expected)) / 2))
    assert found > 0


def test_images_that_are_all_leave_nothing_unknown() -> None:
    assert ALL_IMAGES.shares == (0, 0, 0)
    assert ALL_IMAGES.variances([0.5, 0.9]).tolist() == [1, 1]


def test_a_simulated_sample_has_the_variances_that_its_outcomes_tell() -> None:
    rng = np.random.default_rng(0)
    images, networks = 400, 12
    logits = rng.normal(0, 1.5, images) + rng.normal(0, 1.5, (networks, images)) + 1.0
    right = 1 / (1 + np.exp(-logits))
    outcomes = [[rng.random(images) < own for _ in range(2)] for own in right]
    sampling = ImageSampling.of(outcomes, images)

    # The truth, of as many samples as needed: deviations of means over images from their expectations.
    many = rng.normal(0, 1.5, (4000, 1, images)) + rng.normal(0, 1.5, (4000, 2, images)) + 1.0
    means = (1 / (1 + np.exp(-many))).mean(2)
    variance = means.mean() * (1 - means.mean()) / images
    common, own, _ = sampling.shares
    assert common * variance == pytest.approx(np.cov(means.T)[0, 1], rel=0.15)
    assert own * variance == pytest.approx(means.var(0).mean() - np.cov(means.T)[0, 1], rel=0.25)


def test_a_paired_difference_counts_the_images_on_which_two_differ() -> None:
    # 6 against 2 of 100: (8 - 4^2 / 100 + 2) of 100
    one, other = HALF.copy(), HALF.copy()
    one[1:13:2], one[0:4:2] = True, False
    assert paired_std(one, other) == pytest.approx(math.sqrt(8 - 0.16 + 2) / 100)
    assert paired_std(HALF, HALF) == pytest.approx(math.sqrt(2) / 100)
    # a factor counts as of an accuracy: 50 images of 0.5 around their mean, and 1 + 1/4
    assert paired_std(HALF, HALF, 1, 0.5) == pytest.approx(math.sqrt(100 * 0.0625 + 1.25) / 100)
