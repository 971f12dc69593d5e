"""Search history by trial, and networks as strips of blocks."""

import optuna
import pytest

from bneck.evaluate import parse_goals
from bneck.evaluate.statistics.multi_objective import hypervolume
from bneck.results.analysis.hypervolume import hypervolume_box, hypervolume_history
from bneck.results.plots.history import architecture_strip, best_value_figure, hypervolume_figure

from ..example_network import NETWORK
from ..example_run import REFERENCE_MS, records

HALF = parse_goals("accuracy,latency", {"latency": "0.5x"})


def test_the_hypervolume_of_two_boxes_counts_their_overlap_once() -> None:
    # (1, 2) takes 3 x 2 of the square to (4, 4), (2, 1) takes 2 x 3, and 2 x 2 are in both.
    assert hypervolume([(1, 2), (2, 1)], (4, 4)) == 8
    # In three dimensions: 1x2x3 + 3x2x1 - 1x2x1.
    assert hypervolume([(2, 1, 0), (0, 1, 2)], (3, 3, 3)) == 10


def test_points_worse_than_the_reference_add_no_volume() -> None:
    assert hypervolume([(5, 0)], (4, 4)) == 0
    assert hypervolume([], (4, 4)) == 0


def test_hypervolume_is_normalized_by_the_box_up_to_the_limit() -> None:
    completed = [record for record in records() if record.state == "complete"]
    box = hypervolume_box(completed, HALF, REFERENCE_MS)
    assert box.reference_point == (0, 1.0)
    # 0: 0.4 ms of room x 90%; 2: 0.2 ms more x 80%; 4: dominated; 5: 5% more over the last 0.1 ms.
    assert hypervolume_history(completed, box) == pytest.approx([0.36, 0.52, 0.52, 0.525])


def test_without_a_limit_the_worst_completed_network_is_the_reference() -> None:
    completed = [record for record in records() if record.state == "complete"]
    goals = parse_goals("accuracy,latency", {})
    assert hypervolume_box(completed, goals, REFERENCE_MS).reference_point == pytest.approx((0, 0.9))


def test_hypervolume_history_agrees_with_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"])
    completed = [record for record in records() if record.state == "complete"]
    for record in records():
        assert record.accuracy is None or record.latency
        known = [record.value(each) for each in HALF.objectives] if record.accuracy else [1.0, 0.0]
        broken = 1.0 if record.state == "infeasible" else -1.0
        study.add_trial(optuna.create_trial(values=known, constraints={"latency": broken}))
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        theirs = optuna.visualization.plot_hypervolume_history(study, [0.0, 1.0]).data[0].y
    ours = hypervolume_figure(completed, hypervolume_box(completed, HALF, REFERENCE_MS), last_trial=6).data[0]
    # The box is 1 (100%) by 1 ms, so its part is their volume.
    assert list(ours.x) == [0, 2, 4, 5, 6]
    assert [value / 100 for value in ours.y] == pytest.approx([theirs[trial] for trial in ours.x])


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


def test_a_strip_shows_each_block_by_height_color_pattern_and_text() -> None:
    [bar] = architecture_strip(NETWORK).data
    assert list(bar.y) == [8, 40, 40, 40]
    assert list(bar.text) == ["×3", "×9", "×1", "×1"]  # 24 of 8, 72 of 8, 40 of 40
    assert len({*bar.marker.color}) == 3
    assert bar.marker.color[2] == bar.marker.color[3]
    assert list(bar.marker.pattern.shape) == ["", "/", ".", "."]
    assert list(architecture_strip(NETWORK).layout.xaxis.ticktext) == ["1", "2<br>s2", "3", "4"]
