"""The figures of a comparison: accuracy against cost, accuracy by name, curves over the epochs."""

import statistics
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from ...evaluate import Epoch, Quantity
from ..analysis.comparison import Comparison, Contestant, accuracy_text
from ..text.formatting import AXIS_TITLES, count_of, milliseconds, ratio_text, value_text
from .style import BLUE, GREEN, GREY, HOVER, INK, ORANGE, TEMPLATE, ticks

Curves = Mapping[tuple[str, int], tuple[Epoch, ...]]
"""The epochs of a training, by its contestant's name and its seed."""

COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", INK)
_SYMBOLS = ("diamond", "square", "triangle-up", "star")
_FEW_EPOCHS = 5
_DASHES = ("solid", "dash", "dot", "dashdot")
_LINE = 26
_BAND = {"fillcolor": GREY, "opacity": 0.13, "line_width": 0, "layer": "below"}


def figures(comparison: Comparison, curves: Curves) -> dict[str, go.Figure]:
    """All there are, by the name of their element and file."""
    drawn: dict[str, go.Figure] = {}
    if comparison.what == "augmentations":
        drawn["accuracy"] = names_figure(comparison)
    else:
        if any(each.measured for each in comparison.contestants):
            drawn["accuracy-latency"] = cost_figure(comparison, "latency")
        drawn["accuracy-macs"] = cost_figure(comparison, "macs")
    trainings = curves_figure(comparison, curves)
    if trainings.data:
        drawn["curves"] = trainings
    return drawn


def cost_figure(comparison: Comparison, x: Quantity) -> go.Figure:
    """Test accuracy against latency or MACs: the mean with its 95% interval, and a circle for each seed.

    Contestants that were not measured are left out of the former.
    """
    figure = _figure(height=480)
    for number, each in enumerate(comparison.contestants):
        place = _cost(each, x)
        if place is None:
            continue
        if len(each.results) > 1:
            figure.add_trace(_seeds(each, number, x=[place] * len(each.results), y=_percents(each)))
        mean = _mean(comparison, each, number, x=[place], y=[100 * each.mean], error_y=_margin(each, number))
        if x == "latency" and each.measured:
            known = each.measured
            above, below = known.ratio_high / known.ratio - 1, 1 - known.ratio_low / known.ratio
            mean.error_x = _bars(number, above * known.latency_ms, below * known.latency_ms)
        figure.add_trace(mean)
    if band := _band(comparison):
        figure.add_hrect(y0=band[0], y1=band[1], **_BAND)
    figure.update_xaxes(title=AXIS_TITLES[x], **ticks(x))
    return figure.update_yaxes(title="test accuracy, %")


def names_figure(comparison: Comparison) -> go.Figure:
    """Test accuracy by name, the best on top: the mean with its 95% interval, and a circle for each seed."""
    figure = _figure(height=90 + 40 * len(comparison.contestants), showlegend=False)
    ordered = sorted(enumerate(comparison.contestants), key=lambda pair: pair[1].mean)
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
    """Validation accuracy over the epochs: a thin line each training, a thick one their mean.

    The steep beginning, where lines lie close, is outside of the view.
    """
    figure = _figure(height=440)
    for number, each in enumerate(comparison.contestants):
        known = {seed: _validated(curves.get((each.name, seed), ())) for seed in each.seeds}
        own = {seed: points for seed, points in known.items() if points}
        if not own:
            continue
        for seed, points in own.items() if len(own) > 1 else ():
            thin = _curve(f"{each.name}, seed {seed}", points, number, 1)
            figure.add_trace(thin.update(opacity=0.45, showlegend=False))
        shared = sorted(set.intersection(*map(set, own.values())))
        mean = {epoch: statistics.fmean(points[epoch] for points in own.values()) for epoch in shared}
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
    """Where the curves are cut off at first: after a third of the epochs, if there are more than five."""
    longest = max(map(len, curves.values()), default=0)
    return 1 + longest // 3 if longest > _FEW_EPOCHS else 1


def _curve(name: str, points: Mapping[int, float], number: int, width: float) -> go.Scatter:
    return go.Scatter(
        x=list(points),
        y=list(points.values()),
        mode="lines+markers" if len(points) == 1 else "lines",
        line={"color": colour(number), "dash": _cycled(_DASHES, number), "width": width},
        customdata=[f"{escape(name)}<br>epoch {epoch}: {value:.1f}%" for epoch, value in points.items()],
        hovertemplate=HOVER,
        name=_label(name),
        legendgroup=str(number),
    )


def colour(number: int) -> str:
    """Of the contestant with this number, in all figures."""
    return COLOURS[number % len(COLOURS)]


def _cycled(marks: Sequence[str], number: int) -> str:
    """Another mark for contestants that share a colour."""
    return marks[number // len(COLOURS) % len(marks)]


def _figure(height: int, showlegend: bool = True) -> go.Figure:
    return go.Figure(layout={"template": TEMPLATE, "showlegend": showlegend, "height": height})


def _validated(epochs: Sequence[Epoch]) -> dict[int, float]:
    """Percent by epoch, where it was asked for."""
    return {
        number: 100 * epoch.validation_top1
        for number, epoch in enumerate(epochs, 1)
        if epoch.validation_top1 is not None
    }


def _cost(contestant: Contestant, x: Quantity) -> float | None:
    if x == "latency":
        return contestant.measured.latency_ms if contestant.measured else None
    return float(getattr(contestant, x))


def _percents(contestant: Contestant) -> list[float]:
    return [100 * result.top1 for result in contestant.results]


def _seeds(contestant: Contestant, number: int, **place: Sequence[float | str]) -> go.Scatter:
    told = [f"seed {result.seed}: {100 * result.top1:.2f}%" for result in contestant.results]
    return go.Scatter(
        **place,
        mode="markers",
        marker={"color": colour(number), "symbol": "circle-open", "size": 8},
        opacity=0.6,
        customdata=[f"{escape(contestant.name)}<br>{each}" for each in told],
        hovertemplate=HOVER,
        name=f"{_label(contestant.name)}, seeds",
        legendgroup=str(number),
        showlegend=False,
    )


def _mean(
    comparison: Comparison,
    contestant: Contestant,
    number: int,
    **place: Sequence[float | str] | dict[str, Any],
) -> go.Scatter:
    return go.Scatter(
        **place,
        mode="markers",
        marker={"color": colour(number), "symbol": _cycled(_SYMBOLS, number), "size": 11},
        customdata=["<br>".join(_hover(comparison, contestant))],
        hovertemplate=HOVER,
        name=_label(contestant.name),
        legendgroup=str(number),
    )


def _hover(comparison: Comparison, contestant: Contestant) -> list[str]:
    runs = count_of(len(contestant.results), "seed")
    lines = [f"<b>{escape(contestant.name)}</b>", f"{accuracy_text(contestant)} (test, {runs})"]
    if comparison.what == "networks":
        if latency := contestant.measured:
            lines.append(f"{milliseconds(latency.latency_ms)}, {ratio_text(latency)}")
        lines.append(f"{value_text('macs', contestant.macs)}, {value_text('params', contestant.params)}")
    return lines


def _margin(contestant: Contestant, number: int) -> dict[str, Any]:
    """The interval of the mean as far as an accuracy can be."""
    above = min(contestant.margin, 1 - contestant.mean)
    return _bars(number, 100 * above, 100 * min(contestant.margin, contestant.mean))


def _bars(number: int, above: float, below: float) -> dict[str, Any]:
    return {"array": [above], "arrayminus": [below], "color": colour(number), "thickness": 1.5, "width": 4}


def _padded(values: Sequence[float]) -> list[float]:
    pad = 0.05 * (max(values) - min(values)) or 1.0
    return [min(values) - pad, max(values) + pad]


def _band(comparison: Comparison) -> tuple[float, float] | None:
    """The percents that are not told apart from the best; None where that is not one band for all."""
    if comparison.honest_difference is None or not comparison.complete:
        return None
    best = comparison.best.mean
    return 100 * max(0.0, best - comparison.honest_difference), 100 * best


def _label(name: str) -> str:
    """A name for a figure: no markup, and several lines if it is long and has parts."""
    lines = [""]
    for part in name.replace("+", "+\0").split("\0"):
        if lines[-1] and len(lines[-1] + part) > _LINE:
            lines.append("")
        lines[-1] += part
    return "<br>".join(map(escape, lines))
