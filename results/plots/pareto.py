"""The Pareto plot: what was judged, what was refused, what was published, and the limit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ...evaluate import Accuracy, Goals, Quantity
from ...evaluate.objectives import REWARD_EXPONENT, absolute_limit, limit_on, value_of, x_quantity
from ...evaluate.statistics.seed_noise import SeedNoise
from ..analysis.front_posterior import FrontPosterior
from ..store.search_run import Baseline, Verification
from ..store.trial import Record
from ..text.formatting import (
    AXIS_TITLES,
    accuracy_ci95,
    accuracy_text,
    milliseconds,
    network_lines,
    pluralize,
    ratio_text,
    value_text,
)
from ..text.front_posterior import percent
from .style import BLUE, GREEN, GREY, HOVER, INK, ORANGE, TEMPLATE, ticks

_ORANGES = [[0, "#FDBE85"], [1, "#8C2D04"]]
_INFEASIBLE_CUTOFF = 1.5


def pareto_figure(
    records: Sequence[Record],
    front: Sequence[Record],
    baselines: Sequence[Baseline],
    verifications: Mapping[str, Verification],
    goals: Goals,
    reference_ms: float,
    x: Quantity | None = None,
    front_posterior: FrontPosterior | None = None,
) -> go.Figure:
    """Accuracy against the cost that counts (or against `x`), with all that was proposed.

    Bars of accuracy are the 95% intervals of the mean of a network's trainings, by the noise of the
    seeds; where that is not known, those that the number of images leaves.
    Networks that broke a limit have no accuracy: they lie in a strip of their own below, cut off
    at 1.5 times the largest cost of the others.
    """
    x = x or x_quantity(goals)
    is_multi_objective = len(goals.objectives) > 1
    placed = [record for record in records if _x(record, x) is not None]
    completed = [record for record in placed if record.state == "complete"]
    on_front = {record.trial for record in front}
    pareto_records = [record for record in completed if record.trial in on_front]
    dominated_records = [record for record in completed if record.trial not in on_front]
    infeasible = [record for record in records if record.state == "infeasible"]
    stopped = [record for record in placed if record.state == "stopped"]
    limit = limit_on(x, goals, reference_ms)
    left, right = _x_range(_xs([*completed, *stopped, *baselines], x), limit, _xs(infeasible, x))

    figure = go.Figure(layout={"template": TEMPLATE, "showlegend": True})
    figure.update_xaxes(title=AXIS_TITLES[x], range=[left, right], **ticks(x))
    figure.update_yaxes(title=AXIS_TITLES["accuracy"])
    if infeasible:
        figure.add_trace(_infeasible_trace(infeasible, x, right, goals))
        figure.update_layout(
            xaxis={"anchor": "y2"},
            yaxis={"domain": [0.1, 1]},
            yaxis2={"domain": [0, 0.07], "range": [-1, 1], "visible": False, "fixedrange": True},
        )
    if stopped:
        figure.add_trace(_stopped_trace(stopped, x, verifications))
    # Always there: without a trace on it plotly would not draw the axis.
    name = f"{'beaten' if is_multi_objective else 'complete'} ({len(dominated_records)})"
    dots = {"color": BLUE, "symbol": "circle", "size": 8}
    figure.add_trace(
        _accuracy_trace(dominated_records, x, verifications, front_posterior, name, dots).update(opacity=0.55)
    )
    if pareto_records and {each.quantity for each in goals.objectives} == {"accuracy", x}:
        figure.add_trace(_step_trace(pareto_records, x, right))
    target = goals.reward.target if goals.reward else None
    if pareto_records and target and target.quantity == x:
        figure.add_trace(_equal_reward_trace(pareto_records[0], x, left, right))
    if pareto_records:
        name = f"{'front' if is_multi_objective else 'best'} ({len(pareto_records)})"
        figure.add_trace(_front_trace(pareto_records, x, verifications, front_posterior, goals, name))
    if baselines:
        noise = front_posterior.noise if front_posterior else None
        figure.add_trace(_baseline_trace(baselines, x, left, right, noise))
    target_value = absolute_limit(target, reference_ms) if target and target.quantity == x else None
    if limit:
        space_on_right = limit < (left + right) / 2
        figure.add_shape(
            _limit_line(limit, f"limit {value_text(x, limit)}", "left" if space_on_right else "right")
        )
    if target_value and left < target_value < right:
        space_on_right = target_value < (left + right) / 2
        line = _limit_line(
            target_value, f"target {value_text(x, target_value)}", "left" if space_on_right else "right"
        )
        line["line"]["dash"] = "dot"
        line["label"] |= {"textposition": "start", "yanchor": "bottom"}
        figure.add_shape(line)
    if not completed and not baselines:
        text = "no network is judged yet"
        place = {"x": 0.5, "y": 0.55, "xref": "paper", "yref": "paper"}
        figure.add_annotation(text=text, showarrow=False, bgcolor="white", **place)
        figure.update_layout(yaxis={"range": [0, 100]})
    return figure


def _x(known: Record | Baseline, quantity: Quantity) -> float | None:
    return value_of(quantity, known.cost, known.latency)


def _xs(known: Iterable[Record | Baseline], quantity: Quantity) -> list[float]:
    return [value for each in known if (value := _x(each, quantity)) is not None]


def _x_range(known: Sequence[float], limit: float | None, infeasible: Sequence[float]) -> tuple[float, float]:
    """From a little below the least to a little above the most; what was refused stretches it by half."""
    inner = [*known, limit] if limit else [*known]
    edge = _INFEASIBLE_CUTOFF * max(inner) if known else max([*inner, *infeasible], default=1.0)
    shown = [*inner, *(value for value in infeasible if value <= edge)] or [0.0, edge]
    pad = 0.06 * (max(shown) - min(shown)) or 0.1 * edge
    return max(0.0, min(shown) - pad), max(shown) + pad


def _limit_line(limit: float, text: str, side: str) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": limit,
        "x1": limit,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"dash": "dash", "color": INK, "width": 1.5},
        "label": {"text": text, "textangle": 0, "textposition": "end", "xanchor": side, "yanchor": "top"},
    }


def _trained(known: Record | Baseline) -> Record | Accuracy:
    return known if isinstance(known, Record) else known.accuracy


def _percent(known: Record | Baseline) -> float:
    return 100 * _trained(known).top1


def _hover(known: Record | Baseline, title: str, noise: SeedNoise | None, more: Sequence[str] = ()) -> str:
    lines = [f"<b>{title}</b>", f"accuracy {accuracy_text(_trained(known), noise)} (validation)", *more]
    if known.latency:
        lines.append(f"{milliseconds(known.latency.latency_ms)}, {ratio_text(known.latency)}")
    lines += [value_text(quantity, float(getattr(known.cost, quantity))) for quantity in ("macs", "params")]
    return "<br>".join([*lines, "", *network_lines(known.architecture)])


def _trial_hover(
    record: Record, verification: Verification | None, front_posterior: FrontPosterior | None
) -> str:
    more: list[str] = []
    if record.state == "stopped":
        more.append(f"stopped at {pluralize(record.epochs, 'epoch')}")
    if len(record.trainings) > 1:
        alone = ", ".join(f"{100 * each.top1:.1f}% (seed {each.seed})" for each in record.trainings)
        more.append(f"its trainings: {alone}")
    if front_posterior and record in front_posterior:
        low, high = front_posterior.interval(record)
        probability = percent(front_posterior.pareto_probability(record))
        more.append(f"likely {100 * low:.1f} to {100 * high:.1f}%, on the front with {probability}")
    if verification and verification.test_top1 is not None:
        more.append(f"{100 * verification.test_top1:.1f}% on {verification.test_images:,} test images")
    noise = front_posterior.noise if front_posterior else None
    return _hover(record, f"trial {record.trial}, {record.key}", noise, more)


def _accuracy_trace(
    records: Sequence[Record],
    x: Quantity,
    verifications: Mapping[str, Verification],
    front_posterior: FrontPosterior | None,
    name: str,
    marker: dict[str, Any],
) -> go.Scatter:
    return go.Scatter(
        x=_xs(records, x),
        y=[_percent(record) for record in records],
        ids=[str(record.trial) for record in records],
        customdata=[_trial_hover(each, verifications.get(each.key), front_posterior) for each in records],
        hovertemplate=HOVER,
        mode="markers",
        marker=marker,
        name=name,
    )


def _stopped_trace(
    stopped: Sequence[Record], x: Quantity, verifications: Mapping[str, Verification]
) -> go.Scatter:
    """Hidden until it is asked for: accuracies of fewer epochs than the others."""
    rings = {"color": GREY, "symbol": "circle-open", "size": 7}
    name = f"stopped early ({len(stopped)})"
    trace = _accuracy_trace(stopped, x, verifications, None, name, rings)
    return trace.update(opacity=0.6, visible="legendonly", legendrank=1500)


def _front_trace(
    front: Sequence[Record],
    x: Quantity,
    verifications: Mapping[str, Verification],
    front_posterior: FrontPosterior | None,
    goals: Goals,
    name: str,
) -> go.Scatter:
    diamonds = {"color": ORANGE, "symbol": "diamond", "size": 12}
    trace = _accuracy_trace(front, x, verifications, front_posterior, name, diamonds)
    bars = {"color": ORANGE, "thickness": 1, "width": 4}
    noise = front_posterior.noise if front_posterior else None
    margins = [100 * accuracy_ci95(record, noise) for record in front]
    above = [min(margin, 100 - _percent(record)) for margin, record in zip(margins, front, strict=True)]
    trace.error_y = {"array": above, "arrayminus": margins, **bars}
    if x == "latency":
        known = [record.latency for record in front if record.latency]
        trace.error_x = {
            "array": [(each.ratio_high / each.ratio - 1) * each.latency_ms for each in known],
            "arrayminus": [(1 - each.ratio_low / each.ratio) * each.latency_ms for each in known],
            **bars,
        }
    third = [each for each in goals.objectives if not each.depends_on_accuracy and each.quantity != x]
    if third:
        bar = {
            "title": third[0].unit,
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "thickness": 12,
        }
        bar |= ticks(third[0].quantity)
        values = [record.value(third[0]) for record in front]
        trace.marker.update(color=values, colorscale=_ORANGES, colorbar=bar, showscale=True)
        trace.marker.line = {"color": INK, "width": 1}
    return trace


def _step_trace(front: Sequence[Record], x: Quantity, right: float) -> go.Scatter:
    """The accuracy to be had for at most so much cost."""
    steps = sorted(zip(_xs(front, x), map(_percent, front), strict=True))
    steps.append((right, steps[-1][1]))
    return go.Scatter(
        x=[value for value, _ in steps],
        y=[percent for _, percent in steps],
        mode="lines",
        line={"shape": "hv", "color": ORANGE, "width": 2},
        opacity=0.6,
        hoverinfo="skip",
        showlegend=False,
        name="step",
    )


def _equal_reward_trace(pareto_records: Record, x: Quantity, left: float, right: float) -> go.Scatter:
    """The accuracy that a network of so much cost needs for the reward of the best one."""
    [place] = _xs([pareto_records], x)
    values = np.geomspace(max(left, 0.01 * right), right, 101)
    percents = _percent(pareto_records) * (values / place) ** -REWARD_EXPONENT
    possible = percents <= 100
    return go.Scatter(
        x=values[possible].tolist(),
        y=percents[possible].tolist(),
        mode="lines",
        line={"dash": "dot", "color": ORANGE, "width": 1.5},
        hoverinfo="skip",
        name="equal reward",
    )


def _baseline_trace(
    baselines: Sequence[Baseline], x: Quantity, left: float, right: float, noise: SeedNoise | None
) -> go.Scatter:
    places = _xs(baselines, x)
    return go.Scatter(
        x=places,
        y=[_percent(baseline) for baseline in baselines],
        text=[baseline.name for baseline in baselines],
        textposition=[_text_side((place - left) / (right - left)) for place in places],
        textfont={"color": GREEN},
        customdata=[_hover(baseline, baseline.name, noise) for baseline in baselines],
        hovertemplate=HOVER,
        mode="markers+text",
        marker={"color": GREEN, "symbol": "star", "size": 14},
        name=f"published ({len(baselines)})",
    )


def _text_side(share: float) -> str:
    """Where a text next to a point stays inside; the point is at this share of the width."""
    return "middle right" if share < 0.25 else "middle left" if share > 0.75 else "bottom center"


def _infeasible_trace(infeasible: Sequence[Record], x: Quantity, right: float, goals: Goals) -> go.Scatter:
    placed = [(record, value) for record in infeasible if (value := _x(record, x)) is not None]
    n_off_axis = sum(value > right for _, value in placed)
    notes = [f"{n_off_axis} beyond the right edge"] if n_off_axis else []
    if len(placed) < len(infeasible):
        notes.append(f"{len(infeasible) - len(placed)} not measured")
    return go.Scatter(
        x=[value for _, value in placed],
        y=[0] * len(placed),
        yaxis="y2",
        customdata=[_infeasible_hover(record, x, value, goals) for record, value in placed],
        hovertemplate=HOVER,
        mode="markers",
        marker={"color": GREY, "symbol": "x-thin", "size": 9, "line": {"color": GREY, "width": 1.5}},
        opacity=0.35,
        name="<br>".join([f"broke a limit ({len(infeasible)})", *notes]),
        legendrank=2000,
    )


def _infeasible_hover(record: Record, x: Quantity, value: float, goals: Goals) -> str:
    # The study repeats one violation for limits that were not reached; only those that were are told.
    violations = goals.violations(record.cost, record.latency)
    broken = ", ".join(name for name, violation in violations.items() if violation > 0)
    return f"trial {record.trial}, {record.key}<br>{value_text(x, value)}<br>over the limit: {broken}"
