"""The Pareto plot as lines of text, for a terminal."""

import math
from collections.abc import Sequence

from ...evaluate import Goals
from ...evaluate.objectives import limit_on, value_of, x_quantity
from ..store.search_run import Baseline
from ..store.trial import Record
from .formatting import AXIS_TITLES, value_text

Point = tuple[float, float, str]


def front_plot(
    completed: Sequence[Record],
    front: Sequence[Record],
    baselines: Sequence[Baseline],
    goals: Goals,
    reference_ms: float,
    width: int = 80,
    height: int = 16,
) -> list[str]:
    """Estimated accuracy against the logarithm of the cost in the goals; the limit is a line of `|`.

    Empty while no network is trained and measured.
    """
    x = x_quantity(goals)
    on_front = {record.label for record in front}
    points: list[Point] = []
    for record in sorted(completed, key=lambda record: record.label in on_front):
        cost = value_of(x, record.cost, record.latency)
        if cost and record.trainings:
            mark = "◆" if record.label in on_front else "·"
            points.append((cost, 100 * record.estimated_accuracy.value, mark))
    for each in baselines:
        if cost := value_of(x, each.cost, each.latency):
            points.append((cost, 100 * each.accuracy.top1, "★"))
    if not points:
        return []
    limit = limit_on(x, goals, reference_ms)
    low, high = (value_text(x, end) for end in _ends([cost for cost, _, _ in points], limit))
    legend = ["◆ Pareto front", "· dominated"]
    legend += ["★ baseline"] if baselines else []
    legend += [f"| limit {value_text(x, limit)}"] if limit else []
    lines = scatter(points, width - 8, height, limit)
    labels = _labels([y for _, y, _ in points], height)
    axis = f"{low} {AXIS_TITLES[x].partition(',')[0]:^{max(1, width - 10 - len(low) - len(high))}} {high}"
    return [
        f"validation accuracy, %   {'   '.join(legend)}",
        *(f"{label:>6} ┤{line}" for label, line in zip(labels, lines, strict=True)),
        f"       └{'─' * (width - 8)}",
        f"        {axis}",
    ]


def scatter(points: Sequence[Point], width: int, height: int, limit: float | None = None) -> list[str]:
    """Points `(x, y, mark)` in a box of characters, x by its logarithm; later points cover earlier ones.

    Args:
        limit: x of a vertical line, which the box then includes.
    """
    grid = [[" "] * width for _ in range(height)]
    left, right = map(math.log, _ends([x for x, _, _ in points], limit))
    bottom, top = _range([y for _, y, _ in points])

    def column(x: float) -> int:
        return round((math.log(x) - left) / ((right - left) or 1) * (width - 1))

    if limit:
        for row in grid:
            row[column(limit)] = "|"
    for x, y, mark in points:
        grid[round((top - y) / (top - bottom) * (height - 1))][column(x)] = mark
    return ["".join(row).rstrip() for row in grid]


def _ends(costs: Sequence[float], limit: float | None) -> tuple[float, float]:
    inner = [*costs, limit] if limit else costs
    return min(inner), max(inner)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


def _labels(values: Sequence[float], height: int) -> list[str]:
    """Accuracies at the left edge, at every fifth row."""
    low, high = _range(values)
    return [
        f"{high - row / (height - 1) * (high - low):.1f}" if row % 5 == 0 else "" for row in range(height)
    ]
