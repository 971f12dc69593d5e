"""Chance level, majority class and few images."""

import pytest

from bneck.evaluate.training.trivial_accuracy import (
    TrivialAccuracy,
    accuracy_warnings,
    balance_text,
    few_images_text,
)

from .test_metrics import constant_answer


def test_chance_and_majority_share() -> None:
    trivial = TrivialAccuracy.of([10, 60, 30], ["a", "b", "c"])
    assert (trivial.images, trivial.chance) == (100, pytest.approx(1 / 3))
    assert (trivial.majority_class, trivial.majority_share) == ("b", 0.6)


@pytest.mark.parametrize(
    ("correct", "beaten"),
    # Fair coin, 20 throws: P(X >= 14) = 5.8%, P(X >= 15) = 2.1% (Abramowitz and Stegun, table 26.1).
    [(10, False), (14, False), (15, True), (0, False), (20, True)],
)
def test_better_than_the_majority_is_an_exact_binomial_test(correct: int, beaten: bool) -> None:
    assert TrivialAccuracy.of([10, 10], ["a", "b"]).is_beaten_by(correct / 20) is beaten


def test_nothing_is_better_on_images_of_one_class() -> None:
    assert not TrivialAccuracy.of([9, 0], ["a", "b"]).is_beaten_by(1.0)


def test_few_images_say_what_one_is_worth() -> None:
    text = few_images_text(36, "validation")
    # 1/36 = 2.8%; Wilson's interval of 18 of 36 is 34.5% to 65.5%
    assert text is not None
    assert "validation images (36): one image is worth 2.8 percentage points" in text
    assert text.endswith("up to 31 points wide")
    assert few_images_text(200, "test") is None
    assert few_images_text(0, "test") is None


def test_a_constant_answer_is_called_that() -> None:
    metrics = constant_answer(957, 43)
    assert (metrics.top1, metrics.balanced_accuracy) == (0.957, 0.5)
    (warning,) = accuracy_warnings(metrics.as_dict(), "test")
    assert warning.startswith("the network answers 'yes' for every image; top-1 95.70% is not better")
    assert "constant answer 'yes', 95.70% of the test images" in warning
    assert balance_text(metrics.as_dict()) == (
        "balanced accuracy 50.00%; chance 50.00%, majority class 'yes' 95.70%"
    )
