import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from bneck.evaluate import Goals, parse_goals
from bneck.results import Baseline, Record, Verification, pareto_front
from bneck.results.analysis.front_posterior import front_posterior_of
from bneck.results.plots.pareto import pareto_figure
from bneck.results.plots.style import ORANGE
from bneck.results.store.trial import with_posteriors
from bneck.results.text.formatting import accuracy_text, network_lines
from bneck.search_space.architecture import FineTuning

from ..example_run import REFERENCE_MS, ROWS, Row, accuracy, baseline, check, latency, records

HALF = parse_goals("accuracy,latency", {"latency": "0.5x"})


def figure_of(
    rows: Sequence[Record],
    goals: Goals = HALF,
    baselines: Sequence[Baseline] = (),
    verifications: Mapping[str, Verification] | None = None,
) -> go.Figure:
    front = pareto_front(rows, goals.objectives)
    return pareto_figure(rows, front, baselines, verifications or {}, goals, REFERENCE_MS)


def trace(figure: go.Figure, start: str) -> Any:
    [only] = [each for each in figure.data if each.name.startswith(start)]
    return only


def test_the_front_has_exactly_the_nondominated_networks() -> None:
    front = trace(figure_of(records()), "Pareto front")
    assert front.name == "Pareto front (3)"
    assert list(zip(front.ids, front.x, front.y, strict=True)) == [
        ("0", pytest.approx(0.6), pytest.approx(90)),
        ("2", pytest.approx(0.4), pytest.approx(80)),
        ("5", pytest.approx(0.9), pytest.approx(95)),
    ]


def test_a_dominated_network_has_another_shape_and_color() -> None:
    figure = figure_of(records())
    dominated, front = trace(figure, "dominated"), trace(figure, "Pareto front")
    assert list(dominated.ids) == ["4"]
    assert (dominated.x[0], dominated.y[0]) == (pytest.approx(0.7), pytest.approx(85))
    assert dominated.marker.symbol != front.marker.symbol
    assert dominated.marker.color != front.marker.color


def test_pretrained_cut_and_scratch_networks_differ_by_shape_and_the_legend_names_them() -> None:
    tunings = (None, FineTuning("a"), FineTuning("a", dropped_blocks=1))
    rows = [
        replace(each, architecture=replace(each.architecture, fine_tuning=tunings[each.trial % 3]))
        for each in records([Row("complete", top1, 0.1 + top1 / 10) for top1 in (0.7, 0.8, 0.9, 0.95)])
    ]
    rows[3] = replace(rows[3], latency=rows[0].latency, accuracy=accuracy(0.6))  # dominated by the first
    figure = figure_of(rows)
    symbols = {each.name: (each.marker.symbol, list(each.ids)) for each in figure.data if each.ids}
    assert symbols == {
        "dominated, from scratch (1)": ("triangle-up", ["3"]),
        "Pareto front, pretrained (1)": ("circle", ["1"]),
        "Pareto front, cut (1)": ("square", ["2"]),
        "Pareto front, from scratch (1)": ("triangle-up", ["0"]),
    }


def test_the_step_rises_only_where_more_latency_buys_accuracy_and_ends_at_the_right_edge() -> None:
    figure = figure_of(records())
    step = trace(figure, "step")
    assert step.line.shape == "hv"
    right = figure.layout.xaxis.range[1]
    assert list(step.x) == pytest.approx([0.4, 0.6, 0.9, right])
    assert list(step.y) == pytest.approx([80, 90, 95, 95])


def test_error_bars_of_the_front_are_the_95_percent_intervals() -> None:
    figure = figure_of(records())
    front = trace(figure, "Pareto front")
    assert trace(figure, "dominated").error_y.array is None
    # Wilson, 360 of 400: (86.7%, 92.6%)
    assert front.error_y.arrayminus[0] == pytest.approx(90 - 86.67, abs=0.01)
    assert front.error_y.array[0] == pytest.approx(92.57 - 90, abs=0.01)
    # The ratio's interval is from 10% below to 20% above, so is that of 0.6 ms.
    assert front.error_x.arrayminus[0] == pytest.approx(0.06)
    assert front.error_x.array[0] == pytest.approx(0.12)


def test_with_known_seed_noise_the_points_are_estimates_and_the_hover_lists_the_seeds() -> None:
    rows = records()
    again = replace(accuracy(0.92), seed=8)
    rows[0] = replace(rows[0], replicates=(again,))
    rows = with_posteriors(rows)
    front_posterior = front_posterior_of(rows, HALF)
    assert front_posterior is not None
    front = pareto_front(rows, HALF.objectives)
    figure = pareto_figure(rows, front, [baseline()], {}, HALF, REFERENCE_MS, front_posterior=front_posterior)
    shown = trace(figure, "Pareto front")
    index = list(shown.ids).index("0")
    estimate = front_posterior.estimate(rows[0])
    assert shown.y[index] == pytest.approx(100 * estimate.value)
    assert shown.error_y.arrayminus[index] == pytest.approx(100 * (estimate.value - estimate.low))
    assert shown.error_y.array[index] == pytest.approx(100 * (estimate.high - estimate.value))
    hover = shown.customdata[index]
    assert f"accuracy {accuracy_text(estimate)}<br>mean 91.0%, 2 " in hover
    assert "90.0% (seed 0), 92.0% (seed 8)" in hover
    assert re.search(r"P\(Pareto\) \d+%", hover)
    # not shrunk; t of 1 degree 12.71, one training, and the binomial variance for 400 images
    images = 1.96 * math.sqrt(front_posterior.image_sampling.variances([0.88]).item())
    low = 88 - 100 * math.hypot(12.706 * front_posterior.noise.std, images)
    assert f"accuracy 88.0% ({low:.1f} to 100.0)" in trace(figure, "published").customdata[0]


def test_an_error_bar_ends_at_100_percent() -> None:
    front = trace(figure_of(records([Row("complete", 1.0, 0.3)])), "Pareto front")
    assert front.error_y.array[0] == 0
    assert front.error_y.arrayminus[0] > 0


def test_infeasible_networks_have_no_accuracy_and_lie_in_a_strip_below() -> None:
    figure = figure_of(records())
    infeasible = trace(figure, "infeasible")
    assert infeasible.yaxis == "y2"
    assert set(infeasible.y) == {0}
    assert list(infeasible.x) == pytest.approx([1.8, 8.0])
    assert figure.layout.yaxis2.visible is False
    assert figure.layout.yaxis2.domain[1] < figure.layout.yaxis.domain[0]


def test_a_far_network_does_not_stretch_the_axis_and_the_legend_counts_it() -> None:
    figure = figure_of(records(), baselines=[baseline()])
    # Known are 0.4 to 1.4 ms: 1.8 is within 1.5 times that and 8 is not; 6% of 1.4 is the margin.
    assert list(figure.layout.xaxis.range) == pytest.approx([0.4 - 0.084, 1.8 + 0.084])
    name = trace(figure, "infeasible").name
    assert name == "infeasible (3)<br>1 beyond the right edge<br>1 not measured"


def test_the_axis_is_logarithmic_where_a_baseline_lies_beyond_four_times_the_costs_of_the_search() -> None:
    # the largest cost is the limit of 1 ms
    scales = [
        figure_of(records(), baselines=[replace(baseline(), latency=latency(ratio))]).layout
        for ratio in (1.9, 2.1)
    ]
    assert [each.xaxis.type for each in scales] == ["linear", "log"]
    left, right = scales[1].xaxis.range
    axes = scales[1].meta["axes"]
    assert axes["log"]["range"] == [left, right]
    # from 0.4 to 4.2 ms
    assert left < math.log10(0.4) < math.log10(4.2) < right == math.log10(axes["linear"]["range"][1])
    assert list(scales[1].xaxis.ticktext) == ["0.5", "1", "2"]


@pytest.mark.parametrize(
    ("objectives", "limits", "place"),
    [
        ("accuracy,latency", {"latency": "0.5x"}, 0.5 * REFERENCE_MS),
        ("accuracy,latency", {"latency": "0.7ms"}, 0.7),
        ("accuracy,macs", {"macs": "2M", "latency": "1ms"}, 2e6),
        ("accuracy", {"macs": "2M", "latency": "1ms"}, 1.0),
    ],
)
def test_the_limit_on_what_is_drawn_is_a_dashed_line_at_its_value(
    objectives: str, limits: dict[str, str | None], place: float
) -> None:
    [line] = figure_of(records(), parse_goals(objectives, limits)).layout.shapes
    assert (line.x0, line.x1) == (pytest.approx(place), pytest.approx(place))
    assert line.line.dash == "dash"
    assert (line.yref, line.y0, line.y1) == ("paper", 0, 1)


def test_a_limit_on_another_quantity_draws_no_line() -> None:
    assert not figure_of(records(), parse_goals("accuracy,latency", {"macs": "2M"})).layout.shapes


def test_published_networks_are_named_stars() -> None:
    stars = trace(figure_of(records(), baselines=[baseline("mobilenet_v2@0.35")]), "published")
    assert stars.marker.symbol == "star"
    assert list(stars.text) == ["mobilenet_v2@0.35"]
    assert (stars.x[0], stars.y[0]) == (pytest.approx(1.4), pytest.approx(88))


def test_the_hover_has_trial_key_intervals_cost_blocks_and_test_accuracy() -> None:
    first = records()[0]
    text = trace(
        figure_of(records(), verifications={first.key: check(0.31, 0.89)}), "Pareto front"
    ).customdata[0]
    assert f"trial 0, {first.key}" in text
    assert "accuracy 90.0% (86.7 to 92.6)" in text  # Wilson, 360 of 400
    assert "89.0% (400 images)" in text
    assert "0.600 ms, 0.300x (0.270 to 0.360)" in text
    assert all(line in text for line in network_lines(first.architecture))


def test_a_third_objective_is_a_color_scale_and_there_is_no_step() -> None:
    goals = parse_goals("accuracy,latency,params", {})
    figure = figure_of(records(), goals)
    front = trace(figure, "Pareto front")
    params = {str(record.trial): record.cost.params for record in records()}
    assert list(front.marker.color) == [params[trial] for trial in front.ids]
    assert not [each for each in figure.data if each.name == "step"]


def test_with_accuracy_alone_the_best_is_marked_against_macs() -> None:
    best = trace(figure_of(records(), parse_goals("accuracy", {})), "best")
    assert list(best.ids) == ["5"]
    assert list(best.x) == [records()[5].cost.macs]


def test_with_a_reward_the_best_lies_on_a_curve_of_equal_reward_and_all_others_below_it() -> None:
    # 0.80 at the target of 0.2x; 0.83 at 0.6x has 0.83 * 3 ** -0.07 = 0.7686
    rows = [Row("complete", 0.80, 0.2), Row("complete", 0.83, 0.6), Row("complete", 0.70, 0.15)]
    figure = figure_of(records(rows), parse_goals("reward:0.2x", {}))
    best, curve = trace(figure, "best"), trace(figure, "equal reward")
    assert (best.x, best.y) == ((pytest.approx(0.4),), (pytest.approx(80),))
    assert figure.layout.xaxis.title.text == "latency, ms"
    # at three times the latency 0.80 * 3 ** 0.07 = 0.86395 would be needed
    assert np.interp([0.4, 1.2], curve.x, curve.y) == pytest.approx([80, 86.395], abs=0.01)
    [target] = figure.layout.shapes
    assert (target.x0, target.label.text) == (pytest.approx(0.4), "target 0.400 ms")


def test_a_reward_for_macs_is_drawn_against_macs_and_no_curve_against_latency() -> None:
    goals = parse_goals("reward:1M", {"latency": "0.5x"})
    figure = figure_of(records(), goals)
    assert figure.layout.xaxis.title.text == "MACs"
    rows, front = records(), pareto_front(records(), goals.objectives)
    other = pareto_figure(rows, front, [], {}, goals, REFERENCE_MS, x="latency")
    assert not [each for each in other.data if each.name.startswith("equal reward")]
    assert trace(other, "best").marker.color == trace(figure, "best").marker.color == ORANGE  # no third one


def test_without_a_completed_network_infeasible_ones_and_the_limit_are_in_view() -> None:
    figure = figure_of(records([ROWS[1], ROWS[6], Row("running")]))
    low, high = figure.layout.xaxis.range
    assert low < 1.0 and high > 8.0
    assert figure.layout.annotations[0].text == "no network has been evaluated yet"


def test_ten_thousand_trials_make_a_small_figure_with_every_network_of_the_front() -> None:
    base = records((Row("complete", 0.5, 0.3), Row("infeasible", None, 0.9)))
    many = [replace(base[number % 2], trial=number) for number in range(10_000)]
    front = [replace(base[0], trial=number, accuracy=accuracy(0.9)) for number in range(3)]
    figure = pareto_figure([*front, *many[3:]], front, (), {}, parse_goals("accuracy,latency", {}), 2.0)
    sizes = {trace.name: len(trace.x) for trace in figure.data if trace.mode == "markers"}
    assert sizes == {
        "infeasible (4999)<br>4999 beyond the right edge<br>1000 of 4999 shown": 1000,
        "dominated (4998, 1000 shown)": 1000,
        "Pareto front (3)": 3,
    }
    assert len(figure.to_json()) < 1_000_000
