"""The path of NetAdapt on the Pareto plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evaluate import Quantity
from ...evaluate.objectives import value_of
from ..store.netadapt_run import NetAdaptRow, netadapt_runs_of
from ..text.formatting import milliseconds, network_lines, value_text

if TYPE_CHECKING:
    import plotly.graph_objects as go

PURPLE = "#CC79A7"  # of Okabe and Ito's colours, like those in `plots.style`


def netadapt_trace(
    rows: Sequence[NetAdaptRow], x: Quantity, name: str, result: dict[str, Any] | None = None
) -> "go.Scatter":
    """The path as a line in a plot of validation accuracy, in percent, against a cost.

    Networks without that cost are left out.

    Args:
        name: in the legend.
        result: what came out, whose last training is a star at the end; None without.
    """
    import plotly.graph_objects as go

    from ..plots.style import HOVER

    placed = [
        (row, cost_value) for row in rows if (cost_value := value_of(x, row.cost, row.latency)) is not None
    ]
    xs, top1s = [cost_value for _, cost_value in placed], [row.top1 for row, _ in placed]
    texts, symbols = [_hover(row) for row, _ in placed], ["circle-open"] * len(placed)
    if result is not None and placed:
        xs.append(xs[-1])
        top1s.append(result["final"]["validation_top1"])
        texts.append(_hover(placed[-1][0], top1s[-1]))
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


def netadapt_traces(run: Path, x: Quantity) -> list["go.Scatter"]:
    """The paths of all adaptations in the folder of a search, for its Pareto plot."""
    return [
        netadapt_trace(rows, x, f"adapted: {each.folder.name}", each.result())
        for each in netadapt_runs_of(run)
        if (rows := each.path())
    ]


def _hover(row: NetAdaptRow, final_top1: float | None = None) -> str:
    accuracy = f"{100 * (row.top1 if final_top1 is None else final_top1):.1f}% on validation images"
    stage = "trained to the end" if final_top1 is not None else "tuned briefly" if row.step else "as given"
    lines = [f"<b>step {row.step}</b>, {row.description}", f"{accuracy}, {stage}"]
    if row.latency:
        lines.append(f"{milliseconds(row.latency.latency_ms)} ({row.latency.source})")
    lines += [value_text("macs", row.cost.macs), value_text("params", row.cost.params)]
    return "<br>".join([*lines, "", *network_lines(row.architecture)])
