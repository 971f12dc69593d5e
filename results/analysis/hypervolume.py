"""Normalised hypervolume of a front, and its history over the trials."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...evaluate import Goals, Objective
from ...evaluate.objectives import limit_on
from ...evaluate.statistics.multi_objective import hypervolume, is_dominated
from ..store.pareto import losses_of
from ..store.trial import Record


@dataclass(frozen=True)
class HypervolumeBox:
    """Region of the objective space between the ideal point (accuracy 1, cost 0) and the reference point.

    Attributes:
        reference_point: one value per objective, in its unit: 0 for accuracy and reward; the limit for a
            cost, or without limit the maximum over the evaluated networks.
    """

    objectives: tuple[Objective, ...]
    reference_point: tuple[float, ...]

    def normalized_hypervolume(self, losses: Sequence[Sequence[float]]) -> float:
        """Fraction of the box that is dominated by `losses` (`n` rows, one column per objective)."""
        ideal = tuple(-1.0 if objective.depends_on_accuracy else 0.0 for objective in self.objectives)
        return hypervolume(losses, self.reference_point) / hypervolume([ideal], self.reference_point)


def hypervolume_box(completed: Sequence[Record], goals: Goals, reference_ms: float) -> HypervolumeBox:
    """The box of a run's completed records.

    Raises:
        ValueError: there is no completed record.
    """

    def reference_point(objective: Objective) -> float:
        if objective.depends_on_accuracy:
            return 0.0
        limit = limit_on(objective.quantity, goals, reference_ms)
        return limit or max(record.value(objective) for record in completed)

    return HypervolumeBox(
        goals.objectives, tuple(reference_point(objective) for objective in goals.objectives)
    )


def hypervolume_history(completed: Sequence[Record], box: HypervolumeBox) -> list[float]:
    """Normalised hypervolume after each record, in the given order."""
    front: list[tuple[float, ...]] = []
    history: list[float] = []
    for record in completed:
        losses = losses_of(record, box.objectives)
        if any(all(x <= y for x, y in zip(row, losses, strict=True)) for row in front):
            history.append(history[-1])  # adds nothing
            continue
        front.append(losses)
        front = [row for row, dominated in zip(front, is_dominated(front), strict=True) if not dominated]
        history.append(box.normalized_hypervolume(front))
    return history
