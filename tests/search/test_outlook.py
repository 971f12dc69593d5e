"""Which training comes next, by hand-made outlooks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bneck.search.outlook import Outlook, even_costs, front_of, next_training, settled, shortfalls

ALL = np.ones(3, dtype=np.bool_)


def outlook(draws: list[list[float]], mean: list[float], costs: list[float], trainings: list[int]) -> Outlook:
    return Outlook(
        np.array(draws), np.array(mean), np.array(costs).reshape(len(mean), -1), np.array(trainings)
    )


def test_worth_is_the_best_accuracy_within_a_limit_averaged_over_all_limits() -> None:
    # Nothing up to 0.25, then 0.6 up to 0.5, then 0.8 up to 1: 0.25 * 0.6 + 0.5 * 0.8 = 0.55.
    seen = outlook([[0.6, 0.8]], [0.6, 0.8], [0.25, 0.5], [1, 1])
    assert seen.worth(seen.mean, np.array([True, True])) == pytest.approx(0.55)


def test_without_costs_worth_is_the_best_accuracy() -> None:
    seen = Outlook(np.array([[0.6, 0.8]]), np.array([0.6, 0.8]), np.zeros((2, 0)), np.array([1, 1]))
    assert seen.worth(seen.mean, np.array([True, True])) == pytest.approx(0.8)
    assert seen.held().tolist() == [False, True]


def test_the_front_in_hand_has_trained_networks_alone() -> None:
    seen = outlook([[0.6, 0.9, 0.7]], [0.6, 0.9, 0.7], [0.2, 0.3, 0.4], [1, 0, 1])
    assert seen.held().tolist() == [True, False, True]


def test_the_cheaper_of_two_equally_accurate_networks_beats_the_other() -> None:
    losses = np.array([[-0.7, 0.3], [-0.7, 0.2], [-0.5, 0.2]])
    assert front_of(losses, ALL).tolist() == [False, True, False]
    assert front_of(losses, np.array([True, False, True])).tolist() == [True, False, True]


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=12))
def test_the_front_is_what_no_other_beats_ties_and_all(rows: list[list[int]]) -> None:
    expected = [
        not any(all(a <= b for a, b in zip(other, row, strict=True)) and other != row for other in rows)
        for row in rows
    ]
    assert front_of(np.array(rows, dtype=float), np.ones(len(rows), dtype=np.bool_)).tolist() == expected


def test_the_network_that_widens_the_front_most_is_trained_next() -> None:
    # Over the trained 0.6 at 0.5, the second adds 0.5 * 0.1 and the third, at 0.9, 0.1 * 0.3.
    seen = outlook([[0.6, 0.7, 0.9]], [0.6, 0.5, 0.5], [0.5, 0.5, 0.9], [1, 0, 0])
    assert next_training(seen, ALL) == 1
    assert next_training(seen, np.array([True, False, True])) == 2


def test_a_trained_network_is_trained_again_where_it_may_be_better_than_it_seems() -> None:
    seen = outlook([[0.7, 0.5, 0.5]], [0.6, 0.5, 0.5], [0.5, 0.6, 0.7], [1, 0, 0])
    assert next_training(seen, ALL) == 0


def test_where_nothing_would_widen_the_front_the_network_known_least_is_trained() -> None:
    seen = outlook([[0.6, 0.2, 0.3], [0.6, 0.3, 0.5]], [0.6, 0.2, 0.3], [0.5, 0.6, 0.7], [1, 0, 0])
    assert next_training(seen, ALL) == 2  # deviations 0, 0.05, 0.1


def test_where_nothing_may_be_trained_nothing_comes_next() -> None:
    seen = outlook([[0.6, 0.2, 0.3]], [0.6, 0.2, 0.3], [0.5, 0.6, 0.7], [1, 1, 1])
    assert next_training(seen, ~ALL) is None


def test_the_front_in_hand_lacks_what_an_untrained_network_would_add() -> None:
    # 0.6 from 0.5 on; in the second draw 0.8 from 0.75 on would add 0.25 * 0.2 = 0.05.
    seen = outlook([[0.6, 0.1], [0.6, 0.8]], [0.6, 0.4], [0.5, 0.75], [1, 0])
    assert shortfalls(seen) == pytest.approx([0, 0.05])
    assert settled(seen, tolerance=0.05 + 1e-9, confidence=1.0)
    assert settled(seen, tolerance=0.04, confidence=0.5)
    assert not settled(seen, tolerance=0.04, confidence=0.51)


def test_costs_are_spread_evenly_by_their_logarithm() -> None:
    costs = np.array([[1e6, 5.0], [2e6, 5.0], [4e6, 5.0]])
    assert even_costs(costs, np.array([16e6, 5.0])) == pytest.approx(np.array([[0, 0], [0.25, 0], [0.5, 0]]))
