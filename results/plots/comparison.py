"""Figures of a comparison: accuracy against cost, accuracy by name, learning curves."""

import statistics
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from ...evaluate import Epoch, Quantity
from ..analysis.comparison import Comparison, Variant
from ..text.comparison import variant_accuracy_text
from ..text.formatting import AXIS_TITLES, milliseconds, pluralize, ratio_text, value_text
from .style import BLUE, GREEN, GREY, HOVER, INK, ORANGE, TEMPLATE, latency_errors, ticks

Curves = Mapping[tuple[str, int], tuple[Epoch, ...]]
"""Epochs of a training run, by the name of its variant and its seed."""

COLORS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", INK)
_SYMBOLS = ("diamond", "square", "triangle-up", "star")
_MAX_UNZOOMED_EPOCHS = 5
_DASHES = ("solid", "dash", "dot", "dashdot")
_LINE_CHARS = 26
_BAND = {"fillcolor": GREY, "opacity": 0.13, "line_width": 0, "layer": "below"}


def figures(comparison: Comparison, curves: Curves) -> dict[str, go.Figure]:
    """The figures by file name."""
    drawn: dict[str, go.Figure] = {}
    if comparison.factor == "augmentations":
        drawn["accuracy"] = accuracy_by_name_figure(comparison)
    else:
        if any(each.measured for each in comparison.variants):
            drawn["accuracy-latency"] = accuracy_cost_figure(comparison, "latency")
        drawn["accuracy-macs"] = accuracy_cost_figure(comparison, "macs")
    learning_curves = curves_figure(comparison, curves)
    if learning_curves.data:
        drawn["curves"] = learning_curves
    return drawn


def accuracy_cost_figure(comparison: Comparison, x: Quantity) -> go.Figure:
    """Test accuracy against latency or MACs: means with 95% intervals, and one circle per seed.

    Variants without a latency are left out of the plot against latency.
    """
    figure = _figure(height=480)
    for number, each in enumerate(comparison.variants):
        cost = _cost(each, x)
        if cost is None:
            continue
        if len(each.results) > 1:
            figure.add_trace(_seeds(each, number, x=[cost] * len(each.results), y=_percents(each)))
        mean = _mean(comparison, each, number, x=[cost], y=[100 * each.mean], error_y=_margin(each, number))
        if x == "latency" and each.measured:
            mean.error_x = {**latency_errors([each.measured]), **_bar_style(number)}
        figure.add_trace(mean)
    if band := _band(comparison):
        figure.add_hrect(y0=band[0], y1=band[1], **_BAND)
    figure.update_xaxes(title=AXIS_TITLES[x], **ticks(x))
    return figure.update_yaxes(title="test accuracy, %")


def accuracy_by_name_figure(comparison: Comparison) -> go.Figure:
    """Test accuracy by name, the best on top: means with 95% intervals, and one circle per seed."""
    figure = _figure(height=90 + 40 * len(comparison.variants), showlegend=False)
    ordered = sorted(enumerate(comparison.variants), key=lambda pair: pair[1].mean)
    for number, each in ordered:
        name = _label(each.name)
        if len(each.results) > 1:
            figure.add_trace(_seeds(each, number, x=_percents(each), y=[name] * len(each.results)))
        margin = _margin(each, number)
        figure.add_trace(_mean(comparison, each, number, x=[100 * each.mean], y=[name], error_x=margin))
    if band := _band(comparison):
        figure.add_vrect(x0=band[0], x1=band[1], **_BAND)
    figure.update_xaxes(title="test accuracy, %")
    return figure.update_yaxes(type="category", showgrid=False)


def curves_figure(comparison: Comparison, curves: Curves) -> go.Figure:
    """Validation accuracy by epoch: a thin line per seed, a thick one for the mean.

    The view starts at `first_epoch`; the lines before it are steep and close together.
    """
    figure = _figure(height=440)
    for number, each in enumerate(comparison.variants):
        by_seed = {seed: _validation(curves.get((each.name, seed), ())) for seed in each.seeds}
        by_seed = {seed: curve for seed, curve in by_seed.items() if curve}
        if not by_seed:
            continue
        for seed, curve in by_seed.items() if len(by_seed) > 1 else ():
            thin = _curve(f"{each.name}, seed {seed}", curve, number, 1)
            figure.add_trace(thin.update(opacity=0.45, showlegend=False))
        shared = sorted(set.intersection(*map(set, by_seed.values())))
        mean = {epoch: statistics.fmean(curve[epoch] for curve in by_seed.values()) for epoch in shared}
        figure.add_trace(_curve(each.name, mean, number, 2.5))
    lines = [dict(zip(trace.x, trace.y, strict=True)) for trace in figure.data]
    first = first_epoch(curves)
    last = max((epoch for line in lines for epoch in line), default=1)
    late = [value for line in lines for epoch, value in line.items() if epoch >= first]
    if first > 1 and late:
        figure.update_layout(xaxis={"range": [first, last]}, yaxis={"range": _padded(late)})
    figure.update_xaxes(title="epoch", **({"dtick": 1} if last <= 10 else {}))
    return figure.update_yaxes(title="validation accuracy, %")


def first_epoch(curves: Curves) -> int:
    """First epoch in view: a third of the epochs are hidden if there are more than five."""
    longest = max(map(len, curves.values()), default=0)
    return 1 + longest // 3 if longest > _MAX_UNZOOMED_EPOCHS else 1


def _curve(name: str, curve: Mapping[int, float], number: int, width: float) -> go.Scatter:
    return go.Scatter(
        x=list(curve),
        y=list(curve.values()),
        mode="lines+markers" if len(curve) == 1 else "lines",
        line={"color": color(number), "dash": _cycled(_DASHES, number), "width": width},
        customdata=[f"{escape(name)}<br>epoch {epoch}: {value:.1f}%" for epoch, value in curve.items()],
        hovertemplate=HOVER,
        name=_label(name),
        legendgroup=str(number),
    )


def color(number: int) -> str:
    """The color of the variant with this number, in all figures and the table."""
    return COLORS[number % len(COLORS)]


def _cycled(marks: Sequence[str], number: int) -> str:
    """Variants that share a color differ in their mark."""
    return marks[number // len(COLORS) % len(marks)]


def _figure(height: int, showlegend: bool = True) -> go.Figure:
    return go.Figure(layout={"template": TEMPLATE, "showlegend": showlegend, "height": height})


def _validation(epochs: Sequence[Epoch]) -> dict[int, float]:
    """Validation accuracy in percent by epoch, for the epochs that have one."""
    return {
        number: 100 * epoch.validation_top1
        for number, epoch in enumerate(epochs, 1)
        if epoch.validation_top1 is not None
    }


def _cost(variant: Variant, x: Quantity) -> float | None:
    if x == "latency":
        return variant.measured.latency_ms if variant.measured else None
    return float(getattr(variant, x))


def _percents(variant: Variant) -> list[float]:
    return [100 * result.top1 for result in variant.results]


def _seeds(variant: Variant, number: int, **position: Sequence[float | str]) -> go.Scatter:
    return go.Scatter(
        **position,
        mode="markers",
        marker={"color": color(number), "symbol": "circle-open", "size": 8},
        opacity=0.6,
        customdata=[
            f"{escape(variant.name)}<br>seed {result.seed}: {100 * result.top1:.2f}%"
            for result in variant.results
        ],
        hovertemplate=HOVER,
        name=f"{_label(variant.name)}, seeds",
        legendgroup=str(number),
        showlegend=False,
    )


def _mean(
    comparison: Comparison,
    variant: Variant,
    number: int,
    **position: Sequence[float | str] | dict[str, Any],
) -> go.Scatter:
    return go.Scatter(
        **position,
        mode="markers",
        marker={"color": color(number), "symbol": _cycled(_SYMBOLS, number), "size": 11},
        customdata=["<br>".join(_hover(comparison, variant))],
        hovertemplate=HOVER,
        name=_label(variant.name),
        legendgroup=str(number),
    )


def _hover(comparison: Comparison, variant: Variant) -> list[str]:
    runs = pluralize(len(variant.results), "seed")
    lines = [f"<b>{escape(variant.name)}</b>", f"{variant_accuracy_text(variant)} (test, {runs})"]
    if comparison.factor == "networks":
        if latency := variant.measured:
            lines.append(f"{milliseconds(latency.latency_ms)}, {ratio_text(latency)}")
        lines.append(f"{value_text('macs', variant.macs)}, {value_text('params', variant.params)}")
    return lines


def _margin(variant: Variant, number: int) -> dict[str, Any]:
    """The 95% interval of the mean."""
    low, high = variant.top1_ci95
    above, below = 100 * (high - variant.mean), 100 * (variant.mean - low)
    return {"array": [above], "arrayminus": [below], **_bar_style(number)}


def _bar_style(number: int) -> dict[str, Any]:
    return {"color": color(number), "thickness": 1.5, "width": 4}


def _padded(values: Sequence[float]) -> list[float]:
    pad = 0.05 * (max(values) - min(values)) or 1.0
    return [min(values) - pad, max(values) + pad]


def _band(comparison: Comparison) -> tuple[float, float] | None:
    """Accuracies in percent that are indistinguishable from the best; None without a common threshold."""
    if comparison.least_significant_difference is None or not comparison.complete:
        return None
    best = comparison.best.mean
    return 100 * max(0.0, best - comparison.least_significant_difference), 100 * best


def _label(name: str) -> str:
    """The escaped name; a long one with several parts is split into lines."""
    lines = [""]
    for part in name.replace("+", "+\0").split("\0"):
        if lines[-1] and len(lines[-1] + part) > _LINE_CHARS:
            lines.append("")
        lines[-1] += part
    return "<br>".join(map(escape, lines))
