"""Pareto dominance and hypervolume; every objective is a loss: lower is better."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Values

REFERENCE_MARGIN = 0.2
FIRST_FRONT = 10  # rows of the initial design; a single bad network must not set the scale

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


def infer_reference_point(losses: Array, limits: Sequence[float | None]) -> Array:
    """The reference point of a hypervolume, `m`: the limit of each objective, or a point beyond the front.

    Without a limit it is the nadir of the front, moved out by `REFERENCE_MARGIN` of the front's range. The
    ends of all earlier fronts count, from `FIRST_FRONT` rows on: the point only moves outwards.

    Args:
        losses: `n x m` in the order of evaluation, lower is better; logarithms for costs. At least one row.
        limits: `m`, on the same scales.
    Source: the margin beyond the nadir is that of Ishibuchi et al. 2018, doi:10.1162/evco_a_00226.
    """
    start = min(FIRST_FRONT, len(losses))
    front = losses[:start][~is_dominated(losses[:start])]
    ideal, nadir = front.min(0), front.max(0)
    for row in losses[start:]:
        if not (front <= row).all(1).any():
            front = np.vstack([front[~(row <= front).all(1)], row])
            ideal, nadir = np.minimum(ideal, row), np.maximum(nadir, front.max(0))
    spread = nadir - ideal
    spread = np.where(spread > 0, spread, np.ptp(losses, axis=0))
    beyond = nadir + REFERENCE_MARGIN * np.where(spread > 0, spread, 1.0)
    return np.array([far if limit is None else limit for far, limit in zip(beyond, limits, strict=True)])


@dataclass(frozen=True, eq=False)
class NondominatedBoxes:
    """Partition into disjoint boxes of the region that a front does not dominate.

    Each box belongs to a local upper bound of the front; with three objectives there are two boxes per row.

    Attributes:
        upper: `b x m`, the local upper bounds, which are the upper corners of the boxes.
        defining: `b x m x m`, for each bound and objective the loss vector that sets the bound there.
    Source: Klamroth, Lacour & Vanderpooten 2015, doi:10.1016/j.ejor.2015.03.031; Lacour, Klamroth & Fonseca
        2017, doi:10.1016/j.cor.2016.09.013.
    """

    upper: Array
    defining: Array

    @classmethod
    def of(cls, losses: Array | Sequence[Sequence[float]], reference_point: Values) -> Self:
        """The boxes of a set of losses.

        Args:
            losses: `n x m`, lower is better; rows that do not dominate the reference point change nothing.
            reference_point: `m`.
        """
        bounds = np.asarray(reference_point, dtype=np.float64)
        corners = np.full((len(bounds), len(bounds)), -np.inf)
        np.fill_diagonal(corners, bounds)
        boxes = cls(bounds[None], corners[None])
        for row in np.asarray(losses, dtype=np.float64).reshape(-1, len(bounds)):
            boxes = boxes.with_losses(row)
        return boxes

    def with_losses(self, row: Array) -> Self:
        """The boxes of the front with one more loss vector, `m`."""
        dominates = (row < self.upper).all(1)
        if not dominates.any():
            return self
        split, defining = self.upper[dominates], self.defining[dominates]
        uppers, all_defining = [self.upper[~dominates]], [self.defining[~dominates]]
        for place in range(len(row)):
            others = np.delete(defining[:, :, place], place, axis=1)
            # equal losses count as if the later ones were larger: no box is left out, and none overlap
            bounded = row[place] >= others.max(1, initial=-np.inf)
            upper, points = split[bounded], defining[bounded]
            upper[:, place], points[:, place] = row[place], row
            uppers.append(upper)
            all_defining.append(points)
        return type(self)(np.concatenate(uppers), np.concatenate(all_defining))

    @cached_property
    def lower(self) -> Array:
        """`b x m`: lower corners of the boxes; the first objective has none."""
        corners = np.full_like(self.upper, -np.inf)
        for place in range(1, self.upper.shape[1]):
            corners[:, place] = self.defining[:, :place, place].max(1)
        return corners

    def improvement(self, row: Array) -> float:
        """The volume that one more loss vector, `m`, would add to the dominated region."""
        return float(np.maximum(self.upper - np.maximum(self.lower, row), 0).prod(1).sum())


def hypervolume(losses: Array | Sequence[Sequence[float]], reference_point: Values) -> float:
    """The volume that a set of losses dominates, up to the reference point; exact.

    Args:
        losses: `n x m`, lower is better; rows beyond the reference point add nothing.
        reference_point: `m`.
    """
    history = hypervolume_history(losses, reference_point)
    return history[-1] if history else 0.0


def hypervolume_history(losses: Array | Sequence[Sequence[float]], reference_point: Values) -> list[float]:
    """The hypervolume of the first 1, 2, ..., `n` losses; arguments as for `hypervolume`."""
    boxes, total, history = NondominatedBoxes.of((), reference_point), 0.0, []
    for row in np.asarray(losses, dtype=np.float64).reshape(-1, len(reference_point)):
        total += boxes.improvement(row)
        boxes = boxes.with_losses(row)
        history.append(total)
    return history
