"""Pareto dominance and hypervolume; every objective is a loss: lower is better."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .arrays import Array

_BLOCK_ROWS = 1000


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
    if len(rows) <= _BLOCK_ROWS:
        return _dominated_by(rows, rows)
    # A dominated row is dominated by one that is not, and such rows survive within their own block.
    blocks = [slice(start, start + _BLOCK_ROWS) for start in range(0, len(rows), _BLOCK_ROWS)]
    front = np.concatenate([rows[block][~_dominated_by(rows[block], rows[block])] for block in blocks])
    return np.concatenate([_dominated_by(rows[block], front) for block in blocks])


def _dominated_by(rows: Array, others: Array) -> NDArray[np.bool_]:
    """Mark the `n` rows that one of `m` others dominates; takes `n x m` memory."""
    no_worse = np.ones((len(others), len(rows)), dtype=np.bool_)
    better = np.zeros_like(no_worse)
    for column, other in zip(rows.T, others.T, strict=True) if len(rows) else ():
        no_worse &= other[:, None] <= column  # a tenth of the time of all columns at once
        better |= other[:, None] < column
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
