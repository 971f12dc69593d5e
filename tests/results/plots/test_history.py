"""Search history by trial."""

import math

import pytest

from bneck.evaluate import parse_goals
from bneck.results.analysis.hypervolume import hypervolume_box
from bneck.results.plots.history import best_value_figure, hypervolume_figure

from ..example_run import REFERENCE_MS, records

HALF = parse_goals("accuracy,latency", {"latency": "0.5x"})


def test_hypervolume_is_normalized_by_the_box_from_the_best_values_to_the_limit() -> None:
    completed = [record for record in records() if record.state == "complete"]
    box = hypervolume_box(completed, HALF, REFERENCE_MS)
    # trials 0, 2, 4, 5: 90, 80, 85, 95% at 0.6, 0.4, 0.7, 0.9 ms; the front is 2, 0, 5
    spread = 0.95 - 0.80
    assert box.ideal_point == pytest.approx((0.95, 0.4))
    assert box.reference_point == pytest.approx((0.80 - 0.2 * spread, 1.0))
    whole = (0.95 - 0.77) * math.log(1.0 / 0.4)
    first = (0.90 - 0.77) * math.log(1.0 / 0.6)
    second = first + (0.80 - 0.77) * math.log(0.6 / 0.4)
    last = second + (0.95 - 0.90) * math.log(1.0 / 0.9)
    expected = [value / whole for value in (first, second, second, last)]
    assert box.normalized_history(completed) == pytest.approx(expected)
    line = hypervolume_figure(completed, box, last_trial=6).data[0]
    assert list(line.x) == [0, 2, 4, 5, 6]
    assert list(line.y) == pytest.approx([100 * value for value in [*expected, expected[-1]]])


def test_by_minutes_networks_count_from_the_time_when_they_end() -> None:
    completed = [record for record in records() if record.state == "complete"]
    [goal] = parse_goals("accuracy", {}).objectives
    # two workers: trial 0, 90%, ends after trials 2 and 4, 80 and 85%
    line = best_value_figure(completed, goal, 6, {0: 5.0, 2: 1.0, 4: 2.5, 5: 7.0}).data[0]
    assert (list(line.x), list(line.y)) == ([1, 2.5, 5, 7, 7], pytest.approx([80, 85, 90, 95, 95]))


def test_without_a_limit_the_reference_point_lies_beyond_the_front() -> None:
    completed = [record for record in records() if record.state == "complete"]
    box = hypervolume_box(completed, parse_goals("accuracy,latency", {}), REFERENCE_MS)
    # a fifth of the range of log latency beyond the slowest network of the front
    assert box.reference_point == pytest.approx((0.77, 0.9 * (0.9 / 0.4) ** 0.2))


@pytest.mark.parametrize(
    ("objective", "best"),
    [
        ("accuracy", [90, 90, 90, 95, 95]),
        ("latency", [0.6, 0.4, 0.4, 0.4, 0.4]),
        # 0.9 at the target; 0.95 at 1.5 times it has 0.95 * 0.972017
        ("reward:0.3x", [0.9, 0.9, 0.9, 0.923416, 0.923416]),
    ],
)
def test_with_one_objective_the_history_is_the_best_value_so_far(objective: str, best: list[float]) -> None:
    completed = [record for record in records() if record.state == "complete"]
    [goal] = parse_goals(objective, {}).objectives
    line = best_value_figure(completed, goal, last_trial=6).data[0]
    assert list(line.x) == [0, 2, 4, 5, 6]
    assert list(line.y) == pytest.approx(best)
