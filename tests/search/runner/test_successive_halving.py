import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bneck.evaluate import parse_goals
from bneck.evaluate.statistics.multi_objective import is_dominated
from bneck.results import Record
from bneck.results.store.fidelities import Rungs
from bneck.search.runner.successive_halving import (
    Promotion,
    last_promotion,
    next_promotion,
    nondominated_order,
    rungs_between,
)
from bneck.search_space import GoalError

from ...results.example_run import Row, accuracy, record

RUNGS = Rungs((2, 4, 8))
ONE = parse_goals("accuracy", {}).objectives
TWO = parse_goals("accuracy,latency", {}).objectives


def network(number: int, rung_accuracies: Mapping[int, float], ratio: float = 0.3) -> Record:
    """A network with its accuracies by rung."""
    known = record(number, Row("complete", rung_accuracies[max(rung_accuracies)], ratio))
    return replace(known, rung_accuracies={rung: accuracy(top1) for rung, top1 in rung_accuracies.items()})


def after_two(*top1s: float) -> list[Record]:
    return [network(number, {2: top1}) for number, top1 in enumerate(top1s)]


def told(promotion: Promotion | None) -> tuple[int, int] | None:
    return (promotion.record.trial, promotion.epochs) if promotion else None


@pytest.mark.parametrize(
    ("min_epochs", "epochs", "reduction_factor", "rungs"),
    [
        (2, 16, 2, (2, 4, 8, 16)),
        (2, 16, 4, (2, 8, 16)),
        (2, 17, 2, (2, 4, 8, 17)),  # 16 is more than half of 17
        (3, 16, 2, (3, 6, 16)),  # 12 of 16
        (2, 3, 2, (2, 3)),
        (1, 27, 3, (1, 3, 9, 27)),
    ],
)
def test_rungs_grow_by_the_reduction_factor_up_to_half_of_the_training(
    min_epochs: int, epochs: int, reduction_factor: int, rungs: tuple[int, ...]
) -> None:
    assert rungs_between(min_epochs, epochs, reduction_factor) == Rungs(rungs, reduction_factor)


@pytest.mark.parametrize(("min_epochs", "epochs"), [(16, 2), (4, 4)])
def test_the_first_rung_must_be_below_the_last(min_epochs: int, epochs: int) -> None:
    with pytest.raises(GoalError, match=f"--min-epochs .* got {min_epochs} and {epochs}"):
        rungs_between(min_epochs, epochs)


def test_none_goes_on_before_as_many_have_reached_a_rung_as_one_goes_on_of() -> None:
    assert next_promotion(after_two(0.5), RUNGS, ONE) is None
    assert told(next_promotion(after_two(0.5, 0.6), RUNGS, ONE)) == (1, 4)
    third = Rungs((2, 6), 3)
    assert next_promotion(after_two(0.5, 0.6), third, ONE) is None
    assert told(next_promotion(after_two(0.5, 0.6, 0.4), third, ONE)) == (1, 6)


def test_of_five_the_two_best_go_on_and_no_third() -> None:
    five = after_two(0.5, 0.9, 0.6, 0.8, 0.7)
    assert told(next_promotion(five, RUNGS, ONE)) == (1, 4)
    five[1] = network(1, {2: 0.9, 4: 0.9})
    assert told(next_promotion(five, RUNGS, ONE)) == (3, 4)
    assert next_promotion(five, RUNGS, ONE, busy={five[3].key}) is None
    five[3] = network(3, {2: 0.8, 4: 0.1})
    # Both of the best two at 2 epochs went on; at 4 epochs there are two, of which the better goes on.
    assert told(next_promotion(five, RUNGS, ONE)) == (1, 8)
    five[1] = network(1, {2: 0.9, 4: 0.9, 8: 0.9})
    assert next_promotion(five, RUNGS, ONE) is None


def test_the_highest_rung_comes_first() -> None:
    both = [network(0, {2: 0.5, 4: 0.6}), network(1, {2: 0.4, 4: 0.5}), *after_two(0, 0, 0.9, 0.8)[2:]]
    assert told(next_promotion(both, RUNGS, ONE)) == (0, 8)
    assert told(next_promotion(both, RUNGS, ONE, busy={both[0].key})) == (2, 4)


def test_networks_are_ranked_by_their_accuracies_at_the_rung_and_not_by_later_ones() -> None:
    # Trial 0 was best after 2 epochs though not after 4; of three, one goes on, and that was trial 0.
    three = [network(0, {2: 0.6, 4: 0.1}), *after_two(0, 0.5, 0.4)[1:]]
    assert next_promotion(three, RUNGS, ONE) is None


def test_a_training_that_failed_is_not_tried_again_and_its_place_is_spent() -> None:
    failed = replace(network(1, {2: 0.9}), error="the loss is no longer a number")
    assert next_promotion([*after_two(0.5), failed], RUNGS, ONE) is None
    four = [*after_two(0.5), failed, *after_two(0, 0, 0.6, 0.4)[2:]]
    assert told(next_promotion(four, RUNGS, ONE)) == (2, 4)


def test_a_fast_network_goes_on_beside_an_accurate_one() -> None:
    # 0 and 1 are the front; 2 and 3 are beaten by 0, though 2 is more accurate than 1.
    four = [
        network(0, {2: 0.9}, ratio=0.3),
        network(1, {2: 0.5}, ratio=0.1),
        network(2, {2: 0.8}, ratio=0.4),
        network(3, {2: 0.7}, ratio=0.5),
    ]
    assert told(next_promotion(four, RUNGS, TWO)) == (0, 4)
    assert told(next_promotion(four, RUNGS, TWO, busy={four[0].key})) == (1, 4)
    assert next_promotion(four, RUNGS, TWO, busy={four[0].key, four[1].key}) is None
    assert told(next_promotion(four, RUNGS, ONE, busy={four[0].key})) == (2, 4)


def test_the_last_resort_takes_the_best_of_the_highest_rung_until_one_is_at_the_top() -> None:
    two = [network(0, {2: 0.9}), network(1, {2: 0.4, 4: 0.5})]
    assert told(last_promotion(after_two(0.3), RUNGS, ONE)) == (0, 4)
    assert told(last_promotion(two, RUNGS, ONE)) == (1, 8)
    assert told(last_promotion([two[0], replace(two[1], error="nan")], RUNGS, ONE)) == (0, 4)
    assert last_promotion([two[0], network(1, {2: 0.4, 4: 0.5, 8: 0.6})], RUNGS, ONE) is None
    assert last_promotion([], RUNGS, ONE) is None


def test_a_front_is_ordered_farthest_first_from_the_best_of_the_first_objective() -> None:
    # On a line from (0, 4) to (4, 0): its ends first, then the middle; then (1, 3) and (3, 1) are as far.
    line = [(3.0, 1.0), (1.0, 3.0), (4.0, 0.0), (2.0, 2.0), (0.0, 4.0)]
    assert nondominated_order(np.array(line)) == [4, 2, 3, 0, 1]


def test_the_units_of_an_objective_change_nothing() -> None:
    # From both ends (1, 4) is farther (6.1 and 10.8) than (6, 3.9) (8.6 and 5.6).
    rows = np.array([(0.0, 10.0), (1.0, 4.0), (6.0, 3.9), (10.0, 0.0)])
    assert (
        nondominated_order(rows)
        == nondominated_order(rows * [1.0, 0.001])
        == nondominated_order(rows * [0.001, 1.0])
        == [0, 3, 1, 2]
    )


def test_of_two_neighbours_one_is_kept() -> None:
    # Crowding distance drops both of (5, 5) and (5.1, 4.9), or neither.
    rows = np.array([(0.0, 10.0), (5.0, 5.0), (5.1, 4.9), (10.0, 0.0), (9.9, 0.1)])
    assert set(nondominated_order(rows)[:3]) in ({0, 3, 1}, {0, 3, 2})


def test_equals_come_in_the_order_given_and_none_twice() -> None:
    assert nondominated_order(np.array([[2.0], [1.0], [2.0], [1.0]])) == [1, 3, 0, 2]
    assert nondominated_order(np.zeros((3, 2))) == [0, 1, 2]
    assert nondominated_order(np.zeros((0, 2))) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_no_network_comes_before_one_that_beats_it(rows: Sequence[tuple[int, ...]]) -> None:
    order = nondominated_order(np.array(rows, dtype=np.float64).reshape(-1, 3))
    assert sorted(order) == list(range(len(rows)))
    fronts, left = [], [list(map(float, row)) for row in rows]
    while left:  # peeled by the plain comparison of the results
        beaten = is_dominated(left)
        fronts.append([row for row, below in zip(left, beaten, strict=True) if not below])
        left = [row for row, below in zip(left, beaten, strict=True) if below]
    told_in_order = [[float(value) for value in rows[place]] for place in order]
    for front in fronts:
        assert sorted(told_in_order[: len(front)]) == sorted(front)
        del told_in_order[: len(front)]


def test_the_order_does_not_depend_on_a_monotone_change_of_a_single_objective() -> None:
    rng = random.Random(1)
    values = [rng.random() for _ in range(20)]
    assert nondominated_order(np.array(values)[:, None]) == sorted(range(20), key=values.__getitem__)
