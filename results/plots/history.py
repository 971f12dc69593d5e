"""Search history by trial, and a network as a strip of blocks."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import plotly.graph_objects as go

from ...evaluate import Objective
from ...evaluate.statistics.arrays import evenly_spaced
from ...search_space import Architecture
from ..analysis.hypervolume import HypervolumeBox
from ..store.trial import Record
from ..text.formatting import AXIS_TITLES, block_text, value_text
from .style import BLUE, HOVER, INK, MAX_POINTS, ORANGE, TEMPLATE, ticks

KERNEL_COLORS = {3: "#9ECAE1", 5: "#4292C6", 7: "#084594"}
ATTENTION_PATTERNS = {"none": "", "se": "/", "eca": "."}


def hypervolume_figure(completed: Sequence[Record], box: HypervolumeBox, last_trial: int) -> go.Figure:
    """Normalized hypervolume of the front by trial."""
    values = [100 * value for value in box.normalized_history(completed)]
    figure = _step_figure(completed, values, last_trial, lambda record, value: f"{value:.2f}%")
    return figure.update_yaxes(title="normalized hypervolume, %")


def best_value_figure(completed: Sequence[Record], objective: Objective, last_trial: int) -> go.Figure:
    """Best and single values of the only objective by trial."""
    better = max if objective.direction == "maximize" else min
    values = [record.value(objective) for record in completed]
    best = list(accumulate(values, better))
    scale = 100 if objective.quantity == "accuracy" else 1
    figure = _step_figure(
        completed,
        [scale * value for value in best],
        last_trial,
        lambda record, _: value_text(objective.quantity, record.value(objective)),
    )
    dots = {"color": BLUE, "size": 7, "opacity": 0.55}
    shown = evenly_spaced(list(zip(completed, values, strict=True)), MAX_POINTS)
    x, y = [record.trial for record, _ in shown], [scale * value for _, value in shown]
    figure.add_scatter(x=x, y=y, mode="markers", marker=dots, name="complete", hoverinfo="skip")
    figure.update_layout(showlegend=True)
    return figure.update_yaxes(title=AXIS_TITLES[objective.quantity], **ticks(objective.quantity))


def architecture_strip(architecture: Architecture) -> go.Figure:
    """One bar per block: height is output channels, color the kernel, pattern the attention.

    Above each bar: the expansion ratio. Below: the block number, and `s2` for stride 2.
    """
    pairs = list(architecture.blocks_with_in_channels())
    blocks = [block for _, block in pairs]
    marker = {
        "color": [KERNEL_COLORS[block.kernel] for block in blocks],
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
    return figure.update_layout(margin={"t": 5}, dragmode=False)


def _step_figure(
    completed: Sequence[Record],
    values: Sequence[float],
    last_trial: int,
    hover: Callable[[Record, float], str],
) -> go.Figure:
    """Values that hold until the next completed trial, up to the last trial."""
    # Where the value stays the same, every trial of a small run has its hover text, of a large one none.
    if len(completed) > MAX_POINTS:
        kept = [place for place in range(len(values)) if not place or values[place] != values[place - 1]]
        completed, values = [completed[place] for place in kept], [values[place] for place in kept]
    texts = [
        f"trial {each.trial}<br>{hover(each, value)}" for each, value in zip(completed, values, strict=True)
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
    return figure.update_xaxes(title="trial", rangemode="tozero")
