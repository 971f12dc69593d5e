"""How much of the objectives' box a front takes, and how that grew from trial to trial."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluate import Goals, Objective
from .describe import limit_on
from .front import dominated, losses_of
from .record import Record


@dataclass(frozen=True)
class Box:
    """The part of the objectives that counts: from the ideal (100% right, at no cost) to the worst.

    Attributes:
        worst: by objective, in its unit: accuracy (or reward) 0; otherwise the limit, or without one the most
            that a judged network has.
    """

    objectives: tuple[Objective, ...]
    worst: tuple[float, ...]

    def share(self, losses: Sequence[Sequence[float]]) -> float:
        """The part of the box that these losses dominate, from 0 to 1."""
        ideal = tuple(-1.0 if objective.of_accuracy else 0.0 for objective in self.objectives)
        return hypervolume(losses, self.worst) / hypervolume([ideal], self.worst)


def box_of(judged: Sequence[Record], goals: Goals, reference_ms: float) -> Box:
    """The box for what was judged.

    Raises:
        ValueError: nothing was judged.
    """

    def worst(objective: Objective) -> float:
        if objective.of_accuracy:
            return 0.0
        limit = limit_on(objective.quantity, goals, reference_ms)
        return limit or max(record.value(objective) for record in judged)

    return Box(goals.objectives, tuple(worst(objective) for objective in goals.objectives))


def hypervolume(losses: Sequence[Sequence[float]], worst: Sequence[float]) -> float:
    """The volume that is dominated by a row of losses and dominates the worst; lower is better.

    Exact, by slices along the last objective; meant for fronts of some tens of rows.
    """
    inside = [row for row in losses if all(x < y for x, y in zip(row, worst, strict=True))]
    inside.sort(key=lambda row: row[-1])
    if not inside:
        return 0.0
    if len(worst) == 1:
        return worst[0] - inside[0][0]
    ends = [row[-1] for row in inside[1:]] + [worst[-1]]
    return sum(
        (end - row[-1]) * hypervolume([kept[:-1] for kept in inside[:count]], worst[:-1])
        for count, (row, end) in enumerate(zip(inside, ends, strict=True), start=1)
    )


def shares_over_trials(judged: Sequence[Record], box: Box) -> list[float]:
    """The share of the box after each judged network, in the order given."""
    front: list[tuple[float, ...]] = []
    shares: list[float] = []
    for record in judged:
        front.append(losses_of(record, box.objectives))
        front = [row for row, beaten in zip(front, dominated(front), strict=True) if not beaten]
        shares.append(box.share(front))
    return shares
