"""Differences between networks that were trained once each and evaluated on the same images."""

import math
from collections.abc import Iterable

from ...evaluate import Accuracy, Objective, wilson_interval
from ...evaluate.statistics.outcomes import paired_std
from ...evaluate.statistics.true_accuracies import Z95
from ..store.trial import Record


def indistinguishable_on_images(one: Record, others: Iterable[Record], objective: Objective) -> list[Record]:
    """The other trained records whose accuracy or reward is statistically indistinguishable (95%)."""
    return [
        other
        for other in others
        if other.label != one.label
        and other.trainings
        and is_indistinguishable(
            one.trainings[0], other.trainings[0], _factor(one, objective), _factor(other, objective)
        )
    ]


def is_indistinguishable(one: Accuracy, other: Accuracy, factor: float = 1, other_factor: float = 1) -> bool:
    """Whether the 95% interval of a difference contains 0, for a sample of images and without seed noise.

    Args:
        factor, other_factor: from accuracy to reward.
    """
    difference = abs(factor * one.top1 - other_factor * other.top1)
    # As if each had images of its own: wider, since images are hard or easy for both.
    if difference > Z95 * math.hypot(factor * _std(one), other_factor * _std(other)):
        return False
    return difference <= Z95 * difference_std(one, other, factor, other_factor)


def difference_std(one: Accuracy, other: Accuracy, factor: float = 1, other_factor: float = 1) -> float:
    """Standard error of the difference between two accuracies, paired by images if outcomes are known."""
    correct, other_correct = one.correct, other.correct
    if correct is None or other_correct is None or len(correct) != len(other_correct):
        return math.hypot(factor * _std(one), other_factor * _std(other))
    return paired_std(correct, other_correct, factor, other_factor)


def _std(accuracy: Accuracy) -> float:
    low, high = wilson_interval(accuracy.top1, accuracy.images)
    return (high - low) / (2 * Z95)


def _factor(record: Record, objective: Objective) -> float:
    return objective.accuracy_factor(record.cost, record.latency) or 1.0
