"""Template, colors, ticks and error bars shared by all figures; colors by Okabe and Ito."""

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

from ...evaluate import Latency, Quantity

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY, INK = "#777777", "#333333"
_AXIS = {"gridcolor": "#E6E6E6", "linecolor": "#999999", "zeroline": False, "automargin": True}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222222"},
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"size": 12}},
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        "margin": {"l": 10, "r": 15, "t": 30, "b": 10},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)
HOVER = "%{customdata}<extra></extra>"
MAX_POINTS = 1000  # of one kind in a figure: each has some 600 bytes of hover text


def ticks(quantity: Quantity) -> dict[str, Any]:
    """Tick format of an axis: counts as 1.2M."""
    return {"tickformat": "~s"} if quantity in ("macs", "params") else {}


def latency_errors(latencies: Iterable[Latency]) -> dict[str, list[float]]:
    """Error bars in milliseconds: the 95% intervals of the ratios at the measured latencies."""
    known = list(latencies)
    return {
        "array": [(each.ratio_high / each.ratio - 1) * each.latency_ms for each in known],
        "arrayminus": [(1 - each.ratio_low / each.ratio) * each.latency_ms for each in known],
    }
