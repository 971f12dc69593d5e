"""The Pareto plot: evaluated, infeasible and published networks, the front and the limits."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ...evaluate import Goals, Quantity, format_count
from ...evaluate.objectives import REWARD_EXPONENT, absolute_limit, limit_on, value_of, x_quantity
from ...evaluate.statistics.arrays import evenly_spaced
from ...search_space.pretrained_space import origin_of
from ..analysis.front_posterior import FrontPosterior
from ..store.search_run import Baseline, Verification
from ..store.trial import Record
from ..text.baselines import baseline_accuracy
from ..text.formatting import (
    AXIS_TITLES,
    accuracy_text,
    mean_text,
    milliseconds,
    network_lines,
    pluralize,
    ratio_text,
    value_text,
)
from ..text.front_posterior import percent
from .style import BLUE, GREEN, GREY, HOVER, INK, MAX_POINTS, ORANGE, TEMPLATE, latency_errors, ticks

_ORANGES = [[0, "#FDBE85"], [1, "#8C2D04"]]
_INFEASIBLE_CUTOFF = 1.5
_FAR_OFF = 4.0  # from this multiple of the costs of the search on, baselines make the axis logarithmic
ORIGIN_SYMBOLS = {"pretrained": "circle", "cut": "square", "from scratch": "triangle-up"}  # if several


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
    """Validation accuracy against the cost in the goals (or against `x`).

    Pretrained, cut and networks from scratch have shapes of their own where several of them are complete.
    Accuracies are estimated ones, and error bars their 95% intervals. Infeasible networks have no accuracy
    and lie in a strip below, up to 1.5 times the largest cost of the others. The cost axis is
    logarithmic where a baseline lies far off; `layout.meta` has the axis on either scale.
    """
    x = x or x_quantity(goals)
    plot = _ParetoPlot(x, goals, verifications, front_posterior)
    is_multi_objective = len(goals.objectives) > 1
    known = [record for record in records if _cost(record, x) is not None]
    completed = [record for record in known if record.state == "complete"]
    front_trials = {record.label for record in front}
    optimal = [record for record in completed if record.label in front_trials]
    dominated = [record for record in completed if record.label not in front_trials]
    infeasible = [record for record in records if record.state == "infeasible"]
    stopped = [record for record in known if record.state == "stopped"]
    limit = limit_on(x, goals, reference_ms)
    searched, published = _costs([*completed, *stopped], x), _costs(baselines, x)
    left, right = _x_range([*searched, *published], limit, _costs(infeasible, x))
    decades = _log_range([*searched, *published], left, right)
    linear = {"type": "linear", "range": [left, right], "tickmode": "auto"}
    axes = {"linear": linear, "log": {"type": "log", "range": decades, **_log_ticks(x, decades)}}
    far_off = max(published, default=0.0) > _FAR_OFF * max([*searched, limit or 0.0])
    scale = "log" if searched and far_off else "linear"

    figure = go.Figure(layout={"template": TEMPLATE, "showlegend": True, "meta": {"axes": axes}})
    figure.update_xaxes(title=AXIS_TITLES[x], **ticks(x), **axes[scale])
    figure.update_yaxes(title=AXIS_TITLES["accuracy"])
    if infeasible:
        figure.add_trace(plot.infeasible(infeasible, right))
        figure.update_layout(
            xaxis={"anchor": "y2"},
            yaxis={"domain": [0.1, 1]},
            yaxis2={"domain": [0, 0.07], "range": [-1, 1], "visible": False, "fixedrange": True},
        )
    if stopped:
        figure.add_trace(plot.stopped(stopped))
    # Added even when empty: plotly draws no axis without a trace on it.
    kind, several = "dominated" if is_multi_objective else "complete", _has_several_origins(completed)
    for origin, members in _by_origin(dominated, several).items():
        shown = evenly_spaced(members, MAX_POINTS)
        name = _legend(f"{kind}{', ' if origin else ''}{origin}", len(members), len(shown))
        dots = {"color": BLUE, "symbol": ORIGIN_SYMBOLS.get(origin, "circle"), "size": 8}
        figure.add_trace(plot.points(shown, name, dots).update(opacity=0.55))
    target = goals.reward.target if goals.reward else None
    target = target if target and target.quantity == x else None
    if optimal:
        if {each.quantity for each in goals.objectives} == {"accuracy", x}:
            figure.add_trace(_step(optimal, x, right))
        if target:
            figure.add_trace(_equal_reward(optimal[0], x, left, right))
        kind = "Pareto front" if is_multi_objective else "best"
        for origin, members in _by_origin(optimal, several).items():
            name = f"{kind}{', ' if origin else ''}{origin} ({len(members)})"
            trace = plot.front(members, name, optimal)
            trace.marker.symbol = ORIGIN_SYMBOLS.get(origin, "diamond")
            figure.add_trace(trace)
    if baselines:
        figure.add_trace(plot.baselines(baselines, scale, axes[scale]["range"]))
    if limit:
        figure.add_shape(_limit_line(limit, f"limit {value_text(x, limit)}", (left, right)))
    target_value = absolute_limit(target, reference_ms) if target else None
    if target_value and left < target_value < right:
        line = _limit_line(target_value, f"target {value_text(x, target_value)}", (left, right))
        line["line"]["dash"] = "dot"
        line["label"] |= {"textposition": "start", "yanchor": "bottom"}
        figure.add_shape(line)
    if not completed and not baselines:
        text = "no network has been evaluated yet"
        position = {"x": 0.5, "y": 0.55, "xref": "paper", "yref": "paper"}
        figure.add_annotation(text=text, showarrow=False, bgcolor="white", **position)
        figure.update_layout(yaxis={"range": [0, 100]})
    return figure


@dataclass(frozen=True)
class _ParetoPlot:
    """Traces against the cost `x`."""

    x: Quantity
    goals: Goals
    verifications: Mapping[str, Verification]
    posterior: FrontPosterior | None

    def points(self, records: Sequence[Record], name: str, marker: dict[str, Any]) -> go.Scatter:
        return go.Scatter(
            x=_costs(records, self.x),
            y=[_percent(record) for record in records],
            ids=[str(record.label) for record in records],
            customdata=[self._trial_hover(record) for record in records],
            hovertemplate=HOVER,
            mode="markers",
            marker=marker,
            name=name,
        )

    def stopped(self, records: Sequence[Record]) -> go.Scatter:
        """Hidden at first: their accuracies are after fewer epochs than the others."""
        rings = {"color": GREY, "symbol": "circle-open", "size": 7}
        shown = evenly_spaced(records, MAX_POINTS)
        trace = self.points(shown, _legend("stopped early", len(records), len(shown)), rings)
        return trace.update(opacity=0.6, visible="legendonly", legendrank=1500)

    def front(self, front: Sequence[Record], name: str, whole: Sequence[Record]) -> go.Scatter:
        """Networks of the front, colored by a third objective on the scale of the whole front."""
        trace = self.points(front, name, {"color": ORANGE, "symbol": "diamond", "size": 12})
        bars = {"color": ORANGE, "thickness": 1, "width": 4}
        accuracies = [record.estimated_accuracy for record in front]
        trace.error_y = {
            "array": [100 * (each.high - each.value) for each in accuracies],
            "arrayminus": [100 * (each.value - each.low) for each in accuracies],
            **bars,
        }
        if self.x == "latency":
            latencies = (record.latency for record in front if record.latency)
            trace.error_x = {**latency_errors(latencies), **bars}
        third = [
            each for each in self.goals.objectives if not each.depends_on_accuracy and each.quantity != self.x
        ]
        if third:
            bar = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "thickness": 12}
            bar |= {"title": AXIS_TITLES[third[0].quantity], **ticks(third[0].quantity)}
            values = [record.value(third[0]) for record in front]
            trace.marker.update(color=values, colorscale=_ORANGES, colorbar=bar, showscale=True)
            ends = [record.value(third[0]) for record in whole]
            trace.marker.update(cmin=min(ends), cmax=max(ends))
            trace.marker.line = {"color": INK, "width": 1}
        return trace

    def baselines(self, baselines: Sequence[Baseline], scale: str, ends: Sequence[float]) -> go.Scatter:
        costs, (left, right) = _costs(baselines, self.x), ends
        places = [math.log10(cost) for cost in costs] if scale == "log" else costs
        return go.Scatter(
            x=costs,
            y=[_percent(baseline) for baseline in baselines],
            text=[baseline.name for baseline in baselines],
            textposition=[_text_position((place - left) / (right - left)) for place in places],
            textfont={"color": GREEN},
            customdata=[
                _hover(baseline, baseline.name, self._baseline_text(baseline)) for baseline in baselines
            ],
            hovertemplate=HOVER,
            mode="markers+text",
            marker={"color": GREEN, "symbol": "star", "size": 14},
            name=f"published ({len(baselines)})",
        )

    def infeasible(self, records: Sequence[Record], right: float) -> go.Scatter:
        known = [(record, cost) for record in records if (cost := _cost(record, self.x)) is not None]
        n_off_axis = sum(cost > right for _, cost in known)
        notes = [f"{n_off_axis} beyond the right edge"] if n_off_axis else []
        if len(known) < len(records):
            notes.append(f"{len(records) - len(known)} not measured")
        if len(known) > MAX_POINTS:
            notes.append(f"{MAX_POINTS} of {len(known)} shown")
        known = evenly_spaced(known, MAX_POINTS)
        return go.Scatter(
            x=[cost for _, cost in known],
            y=[0] * len(known),
            yaxis="y2",
            customdata=[self._infeasible_hover(record, cost) for record, cost in known],
            hovertemplate=HOVER,
            mode="markers",
            marker={"color": GREY, "symbol": "x-thin", "size": 9, "line": {"color": GREY, "width": 1.5}},
            opacity=0.35,
            name="<br>".join([f"infeasible ({len(records)})", *notes]),
            legendrank=2000,
        )

    def _trial_hover(self, record: Record) -> str:
        more: list[str] = []
        verification = self.verifications.get(record.key)
        if record.state == "stopped":
            more.append(f"stopped after {pluralize(record.epochs, 'epoch')}")
        if record.posterior:
            more.append(mean_text(record))
        if len(record.trainings) > 1:
            seeds = ", ".join(f"{100 * each.top1:.1f}% (seed {each.seed})" for each in record.trainings)
            more.append(f"single seeds: {seeds}")
        if self.posterior and record in self.posterior:
            more.append(f"P(Pareto) {percent(self.posterior.pareto_probability(record))}")
        if verification and verification.test_top1 is not None:
            more.append(
                f"test accuracy {100 * verification.test_top1:.1f}% ({verification.test_images:,} images)"
            )
        title = f"trial {record.label}, {record.key}"
        return _hover(record, title, accuracy_text(record.estimated_accuracy), more)

    def _baseline_text(self, baseline: Baseline) -> str:
        return accuracy_text(baseline_accuracy(baseline.accuracy, self.posterior))

    def _infeasible_hover(self, record: Record, cost: float) -> str:
        # The study repeats one violation for limits that were not checked, so they are computed again.
        violations = self.goals.violations(record.cost, record.latency)
        violated = ", ".join(name for name, violation in violations.items() if violation > 0)
        return (
            f"trial {record.label}, {record.key}<br>{value_text(self.x, cost)}<br>over the limit: {violated}"
        )


def _has_several_origins(records: Iterable[Record]) -> bool:
    return len({origin_of(record.architecture) for record in records}) > 1


def _by_origin(records: Sequence[Record], several: bool) -> dict[str, list[Record]]:
    """By origin in the order of `ORIGIN_SYMBOLS`; all under an empty name unless there are several."""
    if not several:
        return {"": list(records)}
    groups = {
        origin: [record for record in records if origin_of(record.architecture) == origin]
        for origin in ORIGIN_SYMBOLS
    }
    return {origin: members for origin, members in groups.items() if members}


def _legend(kind: str, count: int, shown: int) -> str:
    return f"{kind} ({count})" if shown == count else f"{kind} ({count}, {shown} shown)"


def _cost(network: Record | Baseline, quantity: Quantity) -> float | None:
    return value_of(quantity, network.cost, network.latency)


def _costs(networks: Iterable[Record | Baseline], quantity: Quantity) -> list[float]:
    return [cost for each in networks if (cost := _cost(each, quantity)) is not None]


def _percent(network: Record | Baseline) -> float:
    if isinstance(network, Record):
        return 100 * network.estimated_accuracy.value
    return 100 * network.accuracy.top1


def _x_range(costs: Sequence[float], limit: float | None, infeasible: Sequence[float]) -> tuple[float, float]:
    """All costs and the limit, with a margin; infeasible networks extend it by at most a half."""
    inner = [*costs, limit] if limit else [*costs]
    edge = _INFEASIBLE_CUTOFF * max(inner) if costs else max([*inner, *infeasible], default=1.0)
    shown = [*inner, *(cost for cost in infeasible if cost <= edge)] or [0.0, edge]
    pad = 0.06 * (max(shown) - min(shown)) or 0.1 * edge
    return max(0.0, min(shown) - pad), max(shown) + pad


def _log_range(costs: Sequence[float], left: float, right: float) -> list[float]:
    """The same range in decades; from below the lowest cost."""
    low = math.log10(min([cost for cost in costs if cost > 0], default=max(left, right / 100)))
    high = math.log10(right)
    return [low - 0.06 * (high - low), high]


def _log_ticks(x: Quantity, decades: Sequence[float]) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 times the powers of ten within the range."""
    low, high = decades
    steps = [digit * 10.0**power for power in range(math.floor(low), math.ceil(high)) for digit in (1, 2, 5)]
    values = [value for value in steps if low <= math.log10(value) <= high]
    texts = [f"{value:.6g}" if x == "latency" else format_count(value) for value in values]
    return {"tickmode": "array", "tickvals": values, "ticktext": texts}


def _limit_line(limit: float, text: str, x_range: tuple[float, float]) -> dict[str, Any]:
    side = "left" if limit < sum(x_range) / 2 else "right"
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


def _hover(network: Record | Baseline, title: str, accuracy: str, more: Sequence[str] = ()) -> str:
    lines = [f"<b>{title}</b>", f"validation accuracy {accuracy}", *more]
    if network.latency:
        lines.append(f"{milliseconds(network.latency.latency_ms)}, {ratio_text(network.latency)}")
    lines += [value_text(quantity, float(getattr(network.cost, quantity))) for quantity in ("macs", "params")]
    return "<br>".join([*lines, "", *network_lines(network.architecture)])


def _step(front: Sequence[Record], x: Quantity, right: float) -> go.Scatter:
    """The best accuracy at or below each cost."""
    steps = sorted(zip(_costs(front, x), map(_percent, front), strict=True))
    steps.append((right, steps[-1][1]))
    return go.Scatter(
        x=[cost for cost, _ in steps],
        y=[accuracy for _, accuracy in steps],
        mode="lines",
        line={"shape": "hv", "color": ORANGE, "width": 2},
        opacity=0.6,
        hoverinfo="skip",
        showlegend=False,
        name="step",
    )


def _equal_reward(best: Record, x: Quantity, left: float, right: float) -> go.Scatter:
    """The accuracy that gives the reward of the best network, by cost."""
    [best_cost] = _costs([best], x)
    costs = np.geomspace(max(left, 0.01 * right), right, 101)
    percents = _percent(best) * (costs / best_cost) ** -REWARD_EXPONENT
    possible = percents <= 100
    return go.Scatter(
        x=costs[possible].tolist(),
        y=percents[possible].tolist(),
        mode="lines",
        line={"dash": "dot", "color": ORANGE, "width": 1.5},
        hoverinfo="skip",
        name="equal reward",
    )


def _text_position(fraction: float) -> str:
    """The side of a point on which its label stays inside, by the point's fraction of the width."""
    return "middle right" if fraction < 0.25 else "middle left" if fraction > 0.75 else "bottom center"
