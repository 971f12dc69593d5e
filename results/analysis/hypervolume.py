"""Normalized hypervolume of a front, and its history over the trials."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...evaluate import Goals, Objective
from ...evaluate.objectives import limit_on
from ...evaluate.statistics.arrays import Array
from ...evaluate.statistics.multi_objective import hypervolume_history, infer_reference_point
from ..store.trial import Record


@dataclass(frozen=True)
class HypervolumeBox:
    """Region between the ideal point and the reference point, the one that the sampler maximizes in.

    The volume is measured in accuracy and in logarithms of costs: half the latency counts alike everywhere.

    Attributes:
        ideal_point: best value of each objective on the front, in its unit.
        reference_point: worst value that counts, in its unit: the limit, or without one beyond the front.
    """

    objectives: tuple[Objective, ...]
    ideal_point: tuple[float, ...]
    reference_point: tuple[float, ...]

    def normalized_history(self, completed: Sequence[Record]) -> list[float]:
        """Share of the box, 0 to 1, that is dominated after each record, in the given order."""
        ideal, reference = (
            np.array([_loss(*pair) for pair in zip(self.objectives, point, strict=True)])
            for point in (self.ideal_point, self.reference_point)
        )
        volumes = hypervolume_history(_losses(completed, self.objectives), reference)
        whole = float(np.prod(reference - ideal))
        return [volume / whole for volume in volumes]


def hypervolume_box(completed: Sequence[Record], goals: Goals, reference_ms: float) -> HypervolumeBox:
    """The box of a run's completed records, in the order of their trials.

    Raises:
        ValueError: there is no completed record.
    """
    if not completed:
        raise ValueError("no record is complete")
    objectives = goals.objectives
    limits = [limit_on(objective.quantity, goals, reference_ms) for objective in objectives]
    losses = _losses(completed, objectives)
    reference = infer_reference_point(losses, [limit and float(np.log(limit)) for limit in limits])
    return HypervolumeBox(objectives, _values(losses.min(0), objectives), _values(reference, objectives))


def _losses(records: Sequence[Record], objectives: Sequence[Objective]) -> Array:
    rows = [[_loss(each, record.value(each)) for each in objectives] for record in records]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(objectives))


def _loss(objective: Objective, value: float) -> float:
    return -value if objective.depends_on_accuracy else float(np.log(value))


def _values(losses: Array, objectives: Sequence[Objective]) -> tuple[float, ...]:
    return tuple(
        float(-loss if objective.depends_on_accuracy else np.exp(loss))
        for loss, objective in zip(losses, objectives, strict=True)
    )
