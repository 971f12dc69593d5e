import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bneck.evaluate import Objective, Quantity, parse_objectives
from bneck.evaluate.statistics.multi_objective import is_dominated
from bneck.results import Record, losses_of, pareto_front
from bneck.results.store.pareto import knee

from ..example_run import Row, record, records


def by_definition(losses: Sequence[Sequence[float]]) -> list[bool]:
    """Row i is beaten if some row j is nowhere worse and somewhere better."""
    return [
        any(
            all(theirs <= mine for theirs, mine in zip(other, row, strict=True))
            and any(theirs < mine for theirs, mine in zip(other, row, strict=True))
            for other in losses
        )
        for row in losses
    ]


# few values, so that ties and equal rows are common
tables = st.integers(1, 4).flatmap(
    lambda columns: st.lists(st.tuples(*[st.sampled_from([-1.0, 0.0, 0.5, 2.0])] * columns), max_size=12)
)


@given(tables)
@pytest.mark.slow
def test_a_row_is_dominated_exactly_if_the_definition_says_so(losses: list[tuple[float, ...]]) -> None:
    assert is_dominated(losses).tolist() == by_definition(losses)


@given(tables)
@pytest.mark.slow
def test_every_dominated_row_is_beaten_by_one_that_is_not(losses: list[tuple[float, ...]]) -> None:
    marks = is_dominated(losses).tolist()
    front = [row for row, beaten in zip(losses, marks, strict=True) if not beaten]
    assert bool(front) == bool(losses)
    for row, beaten in zip(losses, marks, strict=True):
        if beaten:
            assert any(is_dominated([row, other]).tolist() == [True, False] for other in front)


def test_of_five_points_in_the_plane_three_survive() -> None:
    # (2, 2) beats (3, 2) on one side alone, and (3, 3) on both
    assert is_dominated([(1, 4), (2, 2), (3, 2), (3, 3), (4, 1)]).tolist() == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_point_that_is_better_anywhere_is_not_beaten() -> None:
    assert is_dominated([(0, 0, 9), (1, 1, 8)]).tolist() == [False, False]
    assert is_dominated([(0, 0, 8), (1, 1, 8)]).tolist() == [False, True]


def test_equal_rows_survive_together_and_fall_together() -> None:
    assert is_dominated([(1, 2), (1, 2), (2, 1)]).tolist() == [False, False, False]
    assert is_dominated([(1, 2), (1, 2), (1, 1)]).tolist() == [True, True, False]


def test_with_one_column_only_the_least_survive() -> None:
    assert is_dominated([(3,), (1,), (2,), (1,)]).tolist() == [True, False, True, False]


def test_no_rows_have_no_marks() -> None:
    assert is_dominated([]).tolist() == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_finite_is_refused(value: float, place: int) -> None:
    row = [0.0, 0.0]
    row[place] = value
    with pytest.raises(ValueError, match="finite"):
        is_dominated([(1, 1), row])
    with pytest.raises(ValueError, match="finite"):
        is_dominated([row])


def objectives(*names: Quantity) -> tuple[Objective, ...]:
    return tuple(map(Objective, names))


def test_accuracy_is_turned_into_a_loss_and_the_others_are_losses() -> None:
    judged = record(0, Row("complete", 0.9, 0.3))
    macs, params = judged.cost.macs, judged.cost.params
    # 0.3 times the reference's 2 ms
    losses = losses_of(judged, objectives("accuracy", "latency", "macs", "params"))
    assert losses == pytest.approx((-0.9, 0.6, macs, params))
    assert losses_of(judged, objectives("macs", "accuracy")) == (macs, -0.9)


def test_the_front_has_what_is_not_beaten_and_the_cheapest_comes_first() -> None:
    front = pareto_front(records(), parse_objectives("accuracy,latency"))
    # 80% at 0.4 ms, 90% at 0.6 ms, 95% at 0.9 ms; 85% at 0.7 ms is beaten
    assert [each.trial for each in front] == [2, 0, 5]


def test_with_a_single_objective_the_best_is_the_front() -> None:
    assert [each.trial for each in pareto_front(records(), parse_objectives("accuracy"))] == [5]
    assert [each.trial for each in pareto_front(records(), parse_objectives("latency"))] == [2]


def test_networks_that_are_equal_in_everything_are_all_on_the_front() -> None:
    same = [record(number, Row("complete", 0.9, 0.3)) for number in range(3)]
    front = pareto_front(same, parse_objectives("accuracy,latency"))
    assert {each.trial for each in front} == {0, 1, 2}


@pytest.mark.parametrize("state", ["infeasible", "duplicate", "failed", "interrupted", "running", "enqueued"])
def test_what_was_not_judged_is_not_on_the_front_however_good_it_looks(state: str) -> None:
    best = record(1, Row("complete", 0.99, 0.01))
    others: list[Record] = [record(0, Row("complete", 0.5, 0.5)), replace(best, state=state)]  # type: ignore[arg-type]
    assert [each.trial for each in pareto_front(others, parse_objectives("accuracy,latency"))] == [0]


def test_without_a_judged_network_the_front_is_empty() -> None:
    assert pareto_front([record(0, Row("infeasible", None, 0.9))], parse_objectives("accuracy")) == []
    assert pareto_front([], parse_objectives("accuracy")) == []


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_of_thousands_of_rows_the_same_are_dominated_as_by_comparing_all_pairs(columns: int) -> None:
    rows = np.random.default_rng(columns).integers(0, 40, (2300, columns)).astype(float)
    no_worse = (rows[:, None, :] <= rows[None, :, :]).all(2)
    better = (rows[:, None, :] < rows[None, :, :]).any(2)
    assert is_dominated(rows).tolist() == (no_worse & better).any(0).tolist()


def test_the_knee_has_the_lowest_sum_of_losses_by_their_range_on_the_front() -> None:
    # log2 of the latency is 0, 1, 2, 3 of 3; accuracy misses 14, 4, 1, 0 of 14 points:
    # 1, 1/3 + 4/14 = 0.619, 2/3 + 1/14 = 0.738, 1
    rows = [Row("complete", top1, 0.1 * 2**place) for place, top1 in enumerate((0.80, 0.90, 0.93, 0.94))]
    objectives = parse_objectives("accuracy,latency")
    front = pareto_front(records(rows), objectives)
    assert knee(front, objectives).trial == 1
    assert knee(front[:1], objectives) is front[0]
