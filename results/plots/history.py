"""Search history by trial or by minutes."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import plotly.graph_objects as go

from ...evaluate import Objective
from ...evaluate.statistics.arrays import evenly_spaced
from ..analysis.hypervolume import HypervolumeBox
from ..store.trial import Record
from ..text.formatting import AXIS_TITLES, value_text
from .style import BLUE, HOVER, MAX_POINTS, ORANGE, TEMPLATE, ticks


def hypervolume_figure(
    completed: Sequence[Record],
    box: HypervolumeBox,
    last_trial: int,
    minutes: Mapping[int, float] | None = None,
) -> go.Figure:
    """Normalized hypervolume of the front by trial, or by the minutes at which trials end."""
    completed, x = _in_order(completed, minutes)
    values = [100 * value for value in box.normalized_history(completed)]
    figure = _step_figure(completed, x, values, last_trial, lambda record, value: f"{value:.2f}%")
    return figure.update_yaxes(title="normalized hypervolume, %")


def best_value_figure(
    completed: Sequence[Record],
    objective: Objective,
    last_trial: int,
    minutes: Mapping[int, float] | None = None,
) -> go.Figure:
    """Best and single values of the only objective by trial, or by the minutes at which trials end."""
    completed, places = _in_order(completed, minutes)
    better = max if objective.direction == "maximize" else min
    values = [record.value(objective) for record in completed]
    best = list(accumulate(values, better))
    scale = 100 if objective.quantity == "accuracy" else 1
    figure = _step_figure(
        completed,
        places,
        [scale * value for value in best],
        last_trial,
        lambda record, _: value_text(objective.quantity, record.value(objective)),
    )
    dots = {"color": BLUE, "size": 7, "opacity": 0.55}
    shown = evenly_spaced(list(zip(places.values, values, strict=True)), MAX_POINTS)
    x, y = [place for place, _ in shown], [scale * value for _, value in shown]
    figure.add_scatter(x=x, y=y, mode="markers", marker=dots, name="complete", hoverinfo="skip")
    figure.update_layout(showlegend=True)
    return figure.update_yaxes(title=AXIS_TITLES[objective.quantity], **ticks(objective.quantity))


class _Places(NamedTuple):
    """Where trials lie on the x axis."""

    values: Sequence[float]
    title: str


def _in_order(
    completed: Sequence[Record], minutes: Mapping[int, float] | None
) -> tuple[Sequence[Record], _Places]:
    """The records by trial, or by the minutes at which they end; parallel trials end in another order."""
    if minutes is None:
        return completed, _Places([record.trial for record in completed], "trial")
    ordered = sorted(completed, key=lambda record: minutes[record.trial])
    return ordered, _Places([minutes[record.trial] for record in ordered], "minutes")


def _step_figure(
    completed: Sequence[Record],
    places: _Places,
    values: Sequence[float],
    last_trial: int,
    hover: Callable[[Record, float], str],
) -> go.Figure:
    """Values that hold until the next completed trial, up to the last trial."""
    x = places.values
    end = last_trial if places.title == "trial" else x[-1]
    # Where the value stays the same, every trial of a small run has its hover text, of a large one none.
    if len(completed) > MAX_POINTS:
        kept = [place for place in range(len(values)) if not place or values[place] != values[place - 1]]
        completed, values = [completed[place] for place in kept], [values[place] for place in kept]
        x = [x[place] for place in kept]
    texts = [
        f"trial {each.trial}<br>{hover(each, value)}" for each, value in zip(completed, values, strict=True)
    ]
    line = go.Scatter(
        x=[*x, end],
        y=[*values, values[-1]],
        customdata=[*texts, texts[-1]],
        hovertemplate=HOVER,
        mode="lines",
        line={"shape": "hv", "color": ORANGE, "width": 2},
        name="incumbent",
    )
    figure = go.Figure(line, layout={"template": TEMPLATE, "showlegend": False})
    return figure.update_xaxes(title=places.title, rangemode="tozero")
