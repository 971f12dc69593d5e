"""How much of the objectives' box a front takes, and how that grew from trial to trial."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...evaluate import Goals, Objective
from ...evaluate.objectives import limit_on
from ...evaluate.statistics.multi_objective import hypervolume, is_dominated
from ..store.pareto import losses_of
from ..store.trial import Record


@dataclass(frozen=True)
class HypervolumeBox:
    """The part of the objectives that counts: from the ideal (100% right, at no cost) to the worst.

    Attributes:
        reference_point: by objective, in its unit: accuracy (or reward) 0; otherwise the limit, or without
            one the most that a judged network has.
    """

    objectives: tuple[Objective, ...]
    reference_point: tuple[float, ...]

    def normalized_hypervolume(self, losses: Sequence[Sequence[float]]) -> float:
        """The part of the box that these losses dominate, from 0 to 1."""
        ideal = tuple(-1.0 if objective.depends_on_accuracy else 0.0 for objective in self.objectives)
        return hypervolume(losses, self.reference_point) / hypervolume([ideal], self.reference_point)


def hypervolume_box(completed: Sequence[Record], goals: Goals, reference_ms: float) -> HypervolumeBox:
    """The box for what was judged.

    Raises:
        ValueError: nothing was judged.
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
    """The share of the box after each judged network, in the order given."""
    front: list[tuple[float, ...]] = []
    shares: list[float] = []
    for record in completed:
        front.append(losses_of(record, box.objectives))
        front = [row for row, dominated in zip(front, is_dominated(front), strict=True) if not dominated]
        shares.append(box.normalized_hypervolume(front))
    return shares
