from bneck.evaluate import parse_goals
from bneck.results import pareto_front
from bneck.results.text.scatter import front_plot, scatter

from ..example_run import REFERENCE_MS, baseline, records


def test_points_lie_at_the_logarithm_of_x_and_later_ones_cover_earlier_ones() -> None:
    # 1 to 16 in five columns: a factor of two each; 0 to 2 in three rows
    points = [(1.0, 0.0, "a"), (2.0, 2.0, "b"), (16.0, 1.0, "c"), (16.0, 1.0, "d")]
    assert scatter(points, 5, 3) == [" b", "    d", "a"]
    # a limit of 32 is the right edge of six columns
    assert scatter(points, 6, 3, limit=32.0) == [" b   |", "    d|", "a    |"]


def test_the_plot_has_each_network_of_the_front_and_each_baseline() -> None:
    goals = parse_goals("accuracy,latency", {"latency": "0.5x"})
    completed = [each for each in records() if each.state == "complete"]
    lines = front_plot(
        completed, pareto_front(completed, goals.objectives), [baseline()], goals, REFERENCE_MS
    )
    area = "\n".join(lines[1:-2])
    assert (area.count("◆"), area.count("·"), area.count("★")) == (3, 1, 1)
    # from trial 2 at 80% and 0.4 ms, at the lower left, to the baseline of 1.4 ms
    assert lines[-3].lstrip().startswith("80.0 ┤◆")
    assert "0.400 ms" in lines[-1] and lines[-1].endswith("1.40 ms")
    assert front_plot([], [], [], goals, REFERENCE_MS) == []
