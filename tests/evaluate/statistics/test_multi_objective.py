"""Hypervolume against counted unit cells, and the reference point against hand calculations."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bneck.evaluate.statistics.multi_objective import (
    NondominatedBoxes,
    hypervolume,
    hypervolume_history,
    infer_reference_point,
)

SIDE = 5


@st.composite
def loss_rows(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Up to 12 rows of 1 to 4 objectives, whole numbers from 0 to `SIDE`, so that many are equal."""
    dimensions = draw(st.integers(1, 4))
    return draw(st.lists(st.tuples(*[st.integers(0, SIDE)] * dimensions), min_size=1, max_size=12))


def is_cell_dominated(cell: tuple[int, ...], rows: list[tuple[int, ...]]) -> bool:
    """Whether a row is at most the lower corner of a unit cell."""
    return any(all(a <= b for a, b in zip(row, cell, strict=True)) for row in rows)


@given(loss_rows())
@settings(max_examples=60)
def test_the_hypervolume_is_the_number_of_dominated_unit_cells(rows: list[tuple[int, ...]]) -> None:
    cells = list(product(range(SIDE), repeat=len(rows[0])))
    reference = [SIDE] * len(rows[0])
    counts = [sum(is_cell_dominated(cell, rows[: count + 1]) for cell in cells) for count in range(len(rows))]
    assert hypervolume_history(rows, reference) == pytest.approx(counts)
    assert hypervolume(rows, reference) == pytest.approx(counts[-1])


@given(loss_rows())
@settings(max_examples=60)
def test_each_cell_that_is_not_dominated_lies_in_one_box(rows: list[tuple[int, ...]]) -> None:
    boxes = NondominatedBoxes.of(rows, [SIDE] * len(rows[0]))
    for cell in product(range(SIDE), repeat=len(rows[0])):
        middle = np.array(cell) + 0.5
        count = ((boxes.lower < middle) & (middle < boxes.upper)).all(1).sum()
        assert count == (0 if is_cell_dominated(cell, rows) else 1)


def test_two_networks_share_their_overlap_and_one_beyond_the_reference_adds_nothing() -> None:
    # (1, 2) takes 3 x 2 of the square to (4, 4), (2, 1) takes 2 x 3, and 2 x 2 are in both
    assert hypervolume_history([(1, 2), (5, 0), (2, 1)], (4, 4)) == [6, 6, 8]
    assert hypervolume([], (4, 4)) == 0


def test_four_objectives_of_many_networks_take_few_boxes() -> None:
    rng = np.random.default_rng(0)
    front = np.abs(rng.normal(size=(200, 4)))
    front = 1 - front / np.linalg.norm(front, axis=1)[:, None]
    assert len(NondominatedBoxes.of(front, [1.1] * 4).upper) < 10_000


def test_the_reference_point_is_the_limit_or_a_fifth_of_the_range_beyond_the_front() -> None:
    # the third row is dominated by the first
    losses = np.array([[1.0, 4.0], [3.0, 2.0], [9.0, 9.0]])
    assert infer_reference_point(losses, [None, None]) == pytest.approx([3.4, 4.4])
    assert infer_reference_point(losses, [None, 7.0]) == pytest.approx([3.4, 7.0])


def test_the_reference_point_never_lies_inside_the_front_and_only_moves_outwards() -> None:
    rng = np.random.default_rng(1)
    losses = rng.normal(size=(60, 3)).cumsum(0) * -0.1 + rng.normal(size=(60, 3))
    points = [infer_reference_point(losses[:count], [None] * 3) for count in range(10, 61)]
    for count, (before, after) in enumerate(pairwise(points), start=11):
        assert (after >= before - 1e-12).all()
        front = [
            row
            for row in losses[:count]
            if not any((other <= row).all() and (other < row).any() for other in losses[:count])
        ]
        assert (np.max(front, axis=0) < after).all()


def test_one_network_has_a_reference_point_of_positive_volume() -> None:
    losses = np.array([[2.0, 3.0]])
    assert hypervolume(losses, infer_reference_point(losses, [None, None])) > 0
