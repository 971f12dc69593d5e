"""Figures of NetAdapt: accuracy along the pruning path, alone and on the Pareto plot of a search."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from ...evaluate import Quantity
from ...evaluate.objectives import value_of
from ..store.netadapt_run import NetAdaptRow, netadapt_runs_of
from ..store.netadapt_settings import NetAdaptSettings
from ..text.formatting import AXIS_TITLES, milliseconds, network_lines, value_text
from .style import HOVER, INK, PURPLE, TEMPLATE, ticks


def netadapt_figures(
    settings: NetAdaptSettings, rows: Sequence[NetAdaptRow], result: Mapping[str, Any] | None
) -> dict[str, go.Figure]:
    """The path by file name: against the limited quantity, and against the other one of latency and MACs."""
    quantities: list[Quantity] = ["latency", "macs"] if settings.limit.quantity == "latency" else ["macs"]
    if "latency" not in quantities and rows[0].latency:
        quantities.append("latency")
    return {f"path-{x}": netadapt_path_figure(settings, rows, x, result) for x in quantities}


def netadapt_path_figure(
    settings: NetAdaptSettings, rows: Sequence[NetAdaptRow], x: Quantity, result: Mapping[str, Any] | None
) -> go.Figure:
    """Validation accuracy against a cost, from the initial network to the result."""
    layout = {"template": TEMPLATE, "showlegend": False, "height": 480}
    figure = go.Figure(netadapt_trace(rows, x, "path", result), layout=layout)
    figure.update_xaxes(title=AXIS_TITLES[x], **ticks(x))
    figure.update_yaxes(title=AXIS_TITLES["accuracy"])
    if x == settings.limit.quantity:
        limit = settings.limit.limit * (settings.reference_ms if settings.limit.unit == "x" else 1)
        figure.add_vline(
            limit,
            line={"dash": "dash", "color": INK, "width": 1.5},
            annotation={"text": f"limit {value_text(x, limit)}", "yanchor": "bottom"},
        )
    return figure


def netadapt_trace(
    rows: Sequence[NetAdaptRow], x: Quantity, name: str, result: Mapping[str, Any] | None = None
) -> go.Scatter:
    """The path as a line of validation accuracy, in percent, against a cost.

    Networks whose cost is unknown are left out.

    Args:
        name: in the legend.
        result: adds the network after the final training, as a star.
    """
    points = [(row, cost) for row in rows if (cost := value_of(x, row.cost, row.latency)) is not None]
    xs, top1s = [cost for _, cost in points], [row.top1 for row, _ in points]
    texts, symbols = [_hover(row) for row, _ in points], ["circle-open"] * len(points)
    if result is not None and points:
        xs.append(xs[-1])
        top1s.append(result["final"]["validation_top1"])
        texts.append(_hover(points[-1][0], top1s[-1]))
        symbols.append("star")
    return go.Scatter(
        x=xs,
        y=[100 * top1 for top1 in top1s],
        customdata=texts,
        hovertemplate=HOVER,
        mode="lines+markers",
        line={"color": PURPLE, "width": 1.5},
        marker={"color": PURPLE, "symbol": symbols, "size": [14 if s == "star" else 7 for s in symbols]},
        name=name,
    )


def netadapt_traces(run: Path, x: Quantity) -> list[go.Scatter]:
    """The paths of all NetAdapt runs in the folder of a search, for its Pareto plot."""
    return [
        netadapt_trace(rows, x, f"NetAdapt: {escape(each.folder.name)}", each.result())
        for each in netadapt_runs_of(run)
        if (rows := each.path())
    ]


def _hover(row: NetAdaptRow, final_top1: float | None = None) -> str:
    top1 = row.top1 if final_top1 is None else final_top1
    stage = (
        "after final training" if final_top1 is not None else "after fine-tuning" if row.step else "initial"
    )
    lines = [
        f"<b>step {row.step}</b>, {row.description}",
        f"validation accuracy {100 * top1:.1f}% ({stage})",
    ]
    if row.latency:
        lines.append(f"{milliseconds(row.latency.latency_ms)} ({row.latency.source})")
    lines += [value_text("macs", row.cost.macs), value_text("params", row.cost.params)]
    return "<br>".join([*lines, "", *network_lines(row.architecture)])
