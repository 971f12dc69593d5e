"""What a sampler's networks are worth: the hypervolume after each, and how soon it reaches a value."""

from collections.abc import Iterable, Sequence

import numpy as np

from bneck.evaluate.statistics.multi_objective import hypervolume, is_dominated

from .landscapes import Evaluation

LAST = 20  # proposals that tell what one costs at the end: a generation of those that breed


def hypervolumes(found: Iterable[Evaluation], worst: tuple[float, float]) -> list[float]:
    """The area between the feasible front and the reference point after each evaluation.

    Args:
        worst: accuracy in percent, and cost.
    """
    reference = (-worst[0], worst[1])
    front: list[tuple[float, float]] = []
    areas: list[float] = []
    for each in found:
        row = (-each.accuracy, each.cost)
        if each.feasible and not any(a <= row[0] and b <= row[1] for a, b in front):
            front.append(row)
            front = [kept for kept, beaten in zip(front, is_dominated(front), strict=True) if not beaten]
            areas.append(hypervolume(front, reference))
        else:
            areas.append(areas[-1] if areas else 0.0)
    return areas


def needed(areas: Sequence[float], value: float) -> int | None:
    """The first number of evaluations after which the value is reached; None if it never is."""
    return next((count for count, area in enumerate(areas, start=1) if area >= value), None)


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean over seeds after each evaluation."""
    return [float(np.mean(column)) for column in zip(*curves, strict=True)]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Over seeds; one value has no deviation."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def wasted(found: Iterable[Evaluation]) -> int:
    """Evaluations of networks beyond the limit."""
    return sum(not each.feasible for each in found)


def duplicates(found: Sequence[Evaluation]) -> int:
    """Evaluations of networks that were evaluated before."""
    return len(found) - len({each.key for each in found})


def proposal_ms(found: Sequence[Evaluation]) -> tuple[float, float]:
    """CPU-milliseconds a proposal: the median, and the mean of the last ones."""
    spent = [1000 * each.cpu_seconds for each in found]
    return float(np.median(spent)), float(np.mean(spent[-LAST:]))
