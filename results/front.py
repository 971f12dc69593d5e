"""The Pareto front of what was judged."""

import math
from collections.abc import Iterable, Sequence

from ..evaluate import Objective
from .record import Record


def losses_of(record: Record, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """The record's objectives with their signs turned so that lower is better."""
    return tuple(
        -record.value(objective) if objective.direction == "maximize" else record.value(objective)
        for objective in objectives
    )


def dominated(losses: Sequence[Sequence[float]]) -> list[bool]:
    """Mark the rows that some other row beats.

    Row a beats b if a <= b in every column and a < b in one; equal rows survive.

    Args:
        losses: `n x m`, lower is better, finite.
    Raises:
        ValueError: a value is NaN or infinite.
    Source: Deb et al. 2002, doi:10.1109/4235.996017.
    """
    if not all(math.isfinite(value) for row in losses for value in row):
        raise ValueError("losses must be finite")

    def beats(a: Sequence[float], b: Sequence[float]) -> bool:
        return tuple(a) != tuple(b) and all(x <= y for x, y in zip(a, b, strict=True))

    return [any(beats(other, row) for other in losses) for row in losses]


def pareto_front(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Record]:
    """The judged networks that no other beats, the cheapest (by the last objective) first."""
    judged = [record for record in records if record.state == "judged"]
    losses = [losses_of(record, objectives) for record in judged]
    survivors = zip(judged, losses, dominated(losses), strict=True)
    return [record for record, _, beaten in sorted(survivors, key=lambda row: row[1][::-1]) if not beaten]
