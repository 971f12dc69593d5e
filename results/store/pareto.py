"""The Pareto front of a run."""

import math
from collections.abc import Iterable, Sequence

from ...evaluate import Objective
from ...evaluate.statistics.multi_objective import is_dominated
from .trial import Record


def losses_of(record: Record, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """The objective values of a record with signs such that lower is better."""
    return tuple(
        -record.value(objective) if objective.direction == "maximize" else record.value(objective)
        for objective in objectives
    )


def pareto_front(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Record]:
    """The non-dominated completed records, ordered by the last objective, lowest loss first."""
    completed = [record for record in records if record.state == "complete"]
    losses = [losses_of(record, objectives) for record in completed]
    candidates = zip(completed, losses, is_dominated(losses), strict=True)
    return [
        record for record, _, dominated in sorted(candidates, key=lambda row: row[1][::-1]) if not dominated
    ]


def knee(front: Sequence[Record], objectives: Sequence[Objective]) -> Record:
    """The network of a front, not empty, where more of one objective costs most of the others.

    Each objective is scaled to 0 to 1 over the front, costs by their logarithms. The knee has the smallest
    sum of the scaled losses: of two objectives the largest distance from the line through both ends. Of equal
    sums the first.

    Source: Das 1999, doi:10.1007/BF01195985.
    """
    rows = [[_scaled_loss(record, objective) for objective in objectives] for record in front]
    ranges = [(min(column), max(column) - min(column)) for column in zip(*rows, strict=True)]
    sums = [
        sum(
            (loss - lowest) / extent for loss, (lowest, extent) in zip(row, ranges, strict=True) if extent > 0
        )
        for row in rows
    ]
    return front[sums.index(min(sums))]


def _scaled_loss(record: Record, objective: Objective) -> float:
    value = record.value(objective)
    return -value if objective.direction == "maximize" else math.log(value)
