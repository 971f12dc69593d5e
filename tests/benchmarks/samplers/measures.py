"""Metrics of a sampler: hypervolume of the front, and evaluations to a target."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from bneck.evaluate.statistics.multi_objective import hypervolume, is_dominated
from bneck.evaluate.statistics.true_accuracies import TrueAccuracies

from .landscapes import Evaluation

LAST = 20  # final proposals whose cost is averaged: one generation of the evolutionary samplers
FIRST = 10  # of the initial design, whose infeasible networks are not counted


class Recommendation(NamedTuple):
    """Hypervolume of a recommended front.

    Attributes:
        claimed: by the estimated accuracies that it was chosen by.
        true: of the same networks, by their true accuracies.
    """

    claimed: float
    true: float


def recommendation(
    evaluations: Sequence[Evaluation], worst: tuple[float, float], *, by_posterior: bool = False
) -> Recommendation:
    """The front that a sampler would recommend after its evaluations.

    Accuracies are means of the observed ones per network; `by_posterior` shrinks them as the front of a
    search does, if a network was replicated.

    Args:
        worst: reference point, accuracy in percent and cost.
    """
    by_network: dict[str, list[Evaluation]] = defaultdict(list)
    for each in evaluations:
        if each.feasible:
            by_network[each.key].append(each)
    if not by_network:
        return Recommendation(0.0, 0.0)
    networks = [found[0] for found in by_network.values()]
    trainings = [[each.observed for each in found] for found in by_network.values()]
    accuracies = np.array([np.mean(each) for each in trainings])
    if by_posterior and (posterior := TrueAccuracies.of(trainings, [each.macs for each in networks])):
        accuracies = posterior.expected
    costs = np.array([each.cost for each in networks])
    front = ~is_dominated(np.column_stack([-accuracies, costs]))
    reference = (-worst[0], worst[1])
    areas = [
        hypervolume(rows[~is_dominated(rows)], reference)
        for values in (accuracies, np.array([each.accuracy for each in networks]))
        for rows in [np.column_stack([-values, costs])[front]]
    ]
    return Recommendation(*areas)


def hypervolumes(evaluations: Iterable[Evaluation], worst: tuple[float, float]) -> list[float]:
    """Hypervolume of the feasible front by true accuracies after each evaluation.

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


def infeasible_percent(evaluations: Sequence[Evaluation]) -> float:
    """Share of infeasible evaluations after the first ten."""
    return 100 * float(np.mean([not each.feasible for each in evaluations[FIRST:]] or [False]))


def duplicates(evaluations: Sequence[Evaluation]) -> int:
    """Number of evaluations of networks that were evaluated before."""
    return len(evaluations) - len({each.key for each in evaluations})


def proposal_ms(evaluations: Sequence[Evaluation]) -> tuple[float, float]:
    """CPU-milliseconds per proposal: median, and mean of the last `LAST`."""
    spent = [1000 * each.cpu_seconds for each in evaluations]
    return float(np.median(spent)), float(np.mean(spent[-LAST:]))
