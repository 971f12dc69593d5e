"""Metrics of a sampler: hypervolume after each evaluation, and evaluations to a target."""

from collections.abc import Iterable, Sequence

import numpy as np

from bneck.evaluate.statistics.multi_objective import hypervolume, is_dominated

from .landscapes import Evaluation

LAST = 20  # final proposals whose cost is averaged: one generation of the evolutionary samplers


def hypervolumes(evaluations: Iterable[Evaluation], worst: tuple[float, float]) -> list[float]:
    """Hypervolume of the feasible front after each evaluation.

    Args:
        worst: reference point, accuracy in percent and cost.
    """
    reference = (-worst[0], worst[1])
    front: list[tuple[float, float]] = []
    areas: list[float] = []
    for each in evaluations:
        row = (-each.accuracy, each.cost)
        if each.feasible and not any(a <= row[0] and b <= row[1] for a, b in front):
            front.append(row)
            front = [
                point for point, dominated in zip(front, is_dominated(front), strict=True) if not dominated
            ]
            areas.append(hypervolume(front, reference))
        else:
            areas.append(areas[-1] if areas else 0.0)
    return areas


def needed(areas: Sequence[float], value: float) -> int | None:
    """Number of evaluations until the value is reached; None if it never is."""
    return next((count for count, area in enumerate(areas, start=1) if area >= value), None)


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """Mean over seeds after each evaluation."""
    return [float(np.mean(column)) for column in zip(*curves, strict=True)]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None for a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def wasted(evaluations: Iterable[Evaluation]) -> int:
    """Number of infeasible evaluations."""
    return sum(not each.feasible for each in evaluations)


def duplicates(evaluations: Sequence[Evaluation]) -> int:
    """Number of evaluations of networks that were evaluated before."""
    return len(evaluations) - len({each.key for each in evaluations})


def proposal_ms(evaluations: Sequence[Evaluation]) -> tuple[float, float]:
    """CPU-milliseconds per proposal: median, and mean of the last `LAST`."""
    spent = [1000 * each.cpu_seconds for each in evaluations]
    return float(np.median(spent)), float(np.mean(spent[-LAST:]))
