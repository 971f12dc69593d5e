"""The small figures of a report: progress over the trials, a network as a strip of blocks."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from ...evaluate import Objective
from ...search_space import Architecture
from ..analysis.hypervolume import HypervolumeBox, hypervolume_history
from ..store.trial import Record
from ..text.formatting import AXIS_TITLES, block_text, value_text
from .style import BLUE, HOVER, INK, ORANGE, TEMPLATE, ticks

KERNEL_COLOURS = {3: "#9ECAE1", 5: "#4292C6", 7: "#084594"}
ATTENTION_PATTERNS = {"none": "", "se": "/", "eca": "."}


def hypervolume_figure(completed: Sequence[Record], box: HypervolumeBox, last_trial: int) -> go.Figure:
    """The share of the box that the front of the judged networks takes, from trial to trial."""
    shares = [100 * share for share in hypervolume_history(completed, box)]
    figure = _step_figure(completed, shares, last_trial, lambda record, share: f"{share:.2f}% of the box")
    return figure.update_yaxes(title="hypervolume, % of the box")


def best_value_figure(completed: Sequence[Record], objective: Objective, last_trial: int) -> go.Figure:
    """The best value of a single objective, from trial to trial."""
    better = max if objective.direction == "maximize" else min
    values = [record.value(objective) for record in completed]
    best = [better(values[: count + 1]) for count in range(len(values))]
    scale = 100 if objective.quantity == "accuracy" else 1
    figure = _step_figure(
        completed,
        [scale * value for value in best],
        last_trial,
        lambda record, _: value_text(objective.quantity, record.value(objective)),
    )
    dots = {"color": BLUE, "size": 7, "opacity": 0.55}
    x, y = [record.trial for record in completed], [scale * value for value in values]
    figure.add_scatter(x=x, y=y, mode="markers", marker=dots, name="complete", hoverinfo="skip")
    figure.update_layout(showlegend=True)
    return figure.update_yaxes(title=AXIS_TITLES[objective.quantity], **ticks(objective.quantity))


def architecture_strip(architecture: Architecture) -> go.Figure:
    """One bar a block: height is output channels, colour the kernel, pattern the attention.

    Above each bar stands the expansion ratio; below, the number, and `s2` where the map is halved.
    """
    pairs = list(architecture.blocks_with_in_channels())
    blocks = [block for _, block in pairs]
    marker = {
        "color": [KERNEL_COLOURS[block.kernel] for block in blocks],
        "line": {"color": INK, "width": 1},
        "pattern": {
            "shape": [ATTENTION_PATTERNS[block.attention] for block in blocks],
            "fgcolor": INK,
            "fillmode": "overlay",
            "size": 7,
        },
    }
    numbers = list(range(1, len(blocks) + 1))
    bar = go.Bar(
        x=numbers,
        y=[block.out for block in blocks],
        marker=marker,
        text=[f"×{block.expanded / given:.3g}" for given, block in pairs],
        textposition="outside",
        cliponaxis=False,
        customdata=[block_text(block) for block in blocks],
        hovertemplate="block %{x}<br>%{customdata}<extra></extra>",
    )
    below = [
        f"{number}<br>s2" if block.stride == 2 else f"{number}" for number, block in enumerate(blocks, 1)
    ]
    figure = go.Figure(bar, layout={"template": TEMPLATE, "bargap": 0.15})
    figure.update_xaxes(
        tickvals=numbers, ticktext=below, range=[0.4, max(len(blocks), 6) + 0.6], showgrid=False
    )
    figure.update_yaxes(title="channels", range=[0, 1.25 * max(block.out for block in blocks)], nticks=4)
    return figure.update_layout(margin={"t": 5})


def _step_figure(
    completed: Sequence[Record],
    values: Sequence[float],
    last_trial: int,
    hover: Callable[[Record, float], str],
) -> go.Figure:
    """Values that stay until the next judged network, up to the last trial."""
    texts = [
        f"trial {record.trial}<br>{hover(record, value)}"
        for record, value in zip(completed, values, strict=True)
    ]
    line = go.Scatter(
        x=[*(record.trial for record in completed), last_trial],
        y=[*values, values[-1]],
        customdata=[*texts, texts[-1]],
        hovertemplate=HOVER,
        mode="lines",
        line={"shape": "hv", "color": ORANGE, "width": 2},
        name="incumbent",
    )
    figure = go.Figure(line, layout={"template": TEMPLATE, "showlegend": False})
    return figure.update_xaxes(title="trial (those that broke a limit count)", rangemode="tozero")
