"""Pareto dominance and hypervolume; every objective is a loss: lower is better."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .arrays import Array


def is_dominated(losses: Array | Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """Mark the rows that some other row dominates.

    Row a dominates b if a <= b in every column and a < b in one; equal rows survive.

    Args:
        losses: `n x m`, lower is better, finite.
    Returns:
        `n` booleans.
    Raises:
        ValueError: a value is NaN or infinite (filter failed trials first).
    Source: Deb et al. 2002, doi:10.1109/4235.996017.
    """
    rows = np.asarray(losses, dtype=np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("losses must be finite")
    no_worse = np.ones((len(rows), len(rows)), dtype=np.bool_)
    better = np.zeros_like(no_worse)
    for column in rows.T if len(rows) else ():  # a tenth of the time of all columns at once
        no_worse &= column[:, None] <= column
        better |= column[:, None] < column
    return np.asarray((no_worse & better).any(0))


def hypervolume(losses: Sequence[Sequence[float]], reference_point: Sequence[float]) -> float:
    """The volume that a set of losses dominates, up to the reference point.

    Exact, by slices along the last objective; meant for fronts of some tens of rows.

    Args:
        losses: `n x m`, lower is better; rows beyond the reference point add nothing.
        reference_point: `m`.
    """
    inside = [row for row in losses if all(x < y for x, y in zip(row, reference_point, strict=True))]
    inside.sort(key=lambda row: row[-1])
    if not inside:
        return 0.0
    if len(reference_point) == 1:
        return reference_point[0] - inside[0][0]
    ends = [row[-1] for row in inside[1:]] + [reference_point[-1]]
    return sum(
        (end - row[-1]) * hypervolume([other[:-1] for other in inside[:count]], reference_point[:-1])
        for count, (row, end) in enumerate(zip(inside, ends, strict=True), start=1)
    )
