"""The page of a study of noise: verdict, table, figures, and how it was made."""

from collections.abc import Iterable

import numpy as np
import plotly.graph_objects as go

from ...evaluate import short_count
from ...evaluate.statistics.reliability import Variances
from ..analysis.seed_noise import ENOUGH, NoiseReport, Quantity
from ..plots.style import BLUE, GREEN, GREY, HOVER, INK, ORANGE, TEMPLATE, ticks
from ..text.seed_noise import counted, estimate_text, lines, reliabilities, sentence, table_rows
from .html import Html, facts, joined, page, plot, table_row, tag

_MOST_TRAININGS = 8
_BAND = 0.13
_LOOKS = {"accuracy": BLUE, "score": BLUE, "loss": GREEN}
_TITLES = {
    "accuracy": "validation accuracy, %",
    "loss": "validation loss",
    "score": "score",
}


def noise_html(report: NoiseReport, title: str, made: Iterable[tuple[str, object]]) -> str:
    """The page, with nothing outside it; the same values give the same bytes.

    Args:
        made: names and values for the table of how it was made.
    """
    columns, rows = table_rows(report)
    head = tag("thead", table_row(columns, "th"))
    table = tag("table", head, tag("tbody", *(table_row(row) for row in rows)), class_="wide")
    *told, _ = lines(report)
    notes = {
        "sizes": "Small circles are single trainings, diamonds the means; the line is the smooth fit, which "
        "is all that MACs explain.",
        "trainings": "How much of what one sees is the networks' own, by the number of trainings that are "
        f"averaged; bands are 95% intervals, the dotted line is {ENOUGH:g}.",
    }
    parts: list[Html] = [
        tag("h1", title),
        tag("p", sentence(report), class_="lead"),
        tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="reliability"),
        *(tag("p", each) for each in told),
    ]
    headings = {"sizes": "Trainings by size", "trainings": "Reliability by the number of trainings"}
    for name, figure in figures(report).items():
        kind = name.partition("-")[0]
        heading = headings[kind] + (f": {name.partition('-')[2]}" if "-" in name else "")
        parts += [tag("h2", heading), tag("p", notes[kind], class_="note")]
        parts.append(plot(figure, name, figure.layout.height))
    parts += [tag("h2", "How it was made"), facts([("trained", counted(report)), *made])]
    return page(title, joined(parts))


def figures(report: NoiseReport) -> dict[str, go.Figure]:
    """All there are, by the name of their element."""
    sizes = {f"sizes-{each.name}": sizes_figure(each, report.keys) for each in report.quantities}
    return {**sizes, "trainings": trainings_figure(report)}


def sizes_figure(quantity: Quantity, keys: tuple[str, ...]) -> go.Figure:
    """A quantity against MACs: a circle a training, a diamond a network, the smooth fit."""
    scale = 100 if quantity.name == "accuracy" else 1
    figure = go.Figure(layout={"template": TEMPLATE, "height": 440})
    for seed, column in enumerate(quantity.table.T):
        figure.add_scatter(
            x=quantity.macs,
            y=scale * column,
            mode="markers",
            marker={"color": GREY, "symbol": "circle-open", "size": 7},
            opacity=0.7,
            customdata=[f"{key}<br>{scale * value:.4g}" for key, value in zip(keys, column, strict=True)],
            hovertemplate=HOVER,
            name="single trainings",
            legendgroup="seeds",
            showlegend=seed == 0,
        )
    places = np.geomspace(quantity.macs.min(), quantity.macs.max(), 101)
    figure.add_scatter(
        x=places,
        y=scale * quantity.fit(places),
        mode="lines",
        line={"color": ORANGE, "width": 2},
        hoverinfo="skip",
        name="smooth fit",
    )
    means = quantity.table.mean(1)
    told = zip(keys, quantity.macs, means, strict=True)
    figure.add_scatter(
        x=quantity.macs,
        y=scale * means,
        mode="markers",
        marker={"color": _LOOKS[quantity.name], "symbol": "diamond", "size": 9},
        customdata=[
            f"{key}<br>{short_count(macs)} MACs<br>mean {scale * mean:.4g}" for key, macs, mean in told
        ],
        hovertemplate=HOVER,
        name="means over the seeds",
    )
    figure.update_xaxes(title="MACs", type="log", **ticks("macs"))
    return figure.update_yaxes(title=_TITLES[quantity.name])


def trainings_figure(report: NoiseReport) -> go.Figure:
    """Reliability for the mean of 1, 2, ... 8 trainings: of all, and of what MACs do not explain."""
    figure = go.Figure(layout={"template": TEMPLATE, "height": 420})
    for each in report.quantities:
        colour = _LOOKS[each.name]
        _add_reliability(figure, each.name, each.overall, colour, "solid", banded=each is report.main)
        _add_reliability(figure, f"{each.name}, beyond MACs", each.beyond, colour, "dash", banded=False)
    figure.add_hline(y=ENOUGH, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="trainings of each network", dtick=1)
    return figure.update_yaxes(title="reliability", range=[-0.02, 1.02])


def _add_reliability(
    figure: go.Figure, name: str, part: Variances, colour: str, dash: str, *, banded: bool
) -> None:
    found = reliabilities(part, range(1, _MOST_TRAININGS + 1))
    counts = list(found)
    if banded:
        figure.add_scatter(
            x=[*counts, *reversed(counts)],
            y=[*(each.high for each in found.values()), *(each.low for each in reversed(found.values()))],
            fill="toself",
            fillcolor=colour,
            opacity=_BAND,
            mode="none",
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=counts,
        y=[each.value for each in found.values()],
        mode="lines+markers",
        line={"color": colour, "dash": dash},
        customdata=[
            f"{name}<br>{count} training{'s'[: count > 1]}: {estimate_text(each)}"
            for count, each in found.items()
        ],
        hovertemplate=HOVER,
        name=name,
    )
