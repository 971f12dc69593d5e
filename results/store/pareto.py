"""The Pareto front of a run."""

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
