"""The page of a study of noise: verdict, table, figures, and how it was made."""

from collections.abc import Iterable

import numpy as np
import plotly.graph_objects as go

from ...evaluate import format_count
from ...evaluate.statistics.reliability import VarianceComponents
from ..analysis.seed_noise import TARGET_RELIABILITY, MetricReliability, SeedVarianceReport
from ..plots.style import BLUE, GREEN, GREY, HOVER, INK, ORANGE, TEMPLATE, ticks
from ..text.seed_noise import (
    counts_text,
    estimate_text,
    reliability_by_n_seeds,
    summary_lines,
    table_rows,
    verdict_text,
)
from .html import Html, facts, joined, page, plot, table_row, tag

_MOST_TRAININGS = 8
_BAND = 0.13
_COLOURS = {"accuracy": BLUE, "score": BLUE, "loss": GREEN}
_TITLES = {
    "accuracy": "validation accuracy, %",
    "loss": "validation loss",
    "score": "score",
}


def seed_variance_html(
    report: SeedVarianceReport, title: str, provenance: Iterable[tuple[str, object]]
) -> str:
    """The page, with nothing outside it; the same values give the same bytes.

    Args:
        provenance: names and values for the table of how it was made.
    """
    columns, rows = table_rows(report)
    head = tag("thead", table_row(columns, "th"))
    table = tag("table", head, tag("tbody", *(table_row(row) for row in rows)), class_="wide")
    *paragraphs, _ = summary_lines(report)
    notes = {
        "sizes": "Small circles are single trainings, diamonds the means; the line is the smooth fit, which "
        "is all that MACs explain.",
        "trainings": "How much of what one sees is the networks' own, by the number of trainings that are "
        f"averaged; bands are 95% intervals, the dotted line is {TARGET_RELIABILITY:g}.",
    }
    parts: list[Html] = [
        tag("h1", title),
        tag("p", verdict_text(report), class_="lead"),
        tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="reliability"),
        *(tag("p", each) for each in paragraphs),
    ]
    headings = {"sizes": "Trainings by size", "trainings": "Reliability by the number of trainings"}
    for name, figure in figures(report).items():
        kind = name.partition("-")[0]
        heading = headings[kind] + (f": {name.partition('-')[2]}" if "-" in name else "")
        parts += [tag("h2", heading), tag("p", notes[kind], class_="note")]
        parts.append(plot(figure, name, figure.layout.height))
    parts += [tag("h2", "Provenance"), facts([("trained", counts_text(report)), *provenance])]
    return page(title, joined(parts))


def figures(report: SeedVarianceReport) -> dict[str, go.Figure]:
    """All there are, by the name of their element."""
    sizes = {f"sizes-{each.name}": sizes_figure(each, report.keys) for each in report.metrics}
    return {**sizes, "trainings": trainings_figure(report)}


def sizes_figure(metric: MetricReliability, keys: tuple[str, ...]) -> go.Figure:
    """A quantity against MACs: a circle a training, a diamond a network, the smooth fit."""
    scale = 100 if metric.name == "accuracy" else 1
    figure = go.Figure(layout={"template": TEMPLATE, "height": 440})
    for seed, column in enumerate(metric.table.T):
        figure.add_scatter(
            x=metric.macs,
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
    places = np.geomspace(metric.macs.min(), metric.macs.max(), 101)
    figure.add_scatter(
        x=places,
        y=scale * metric.fit(places),
        mode="lines",
        line={"color": ORANGE, "width": 2},
        hoverinfo="skip",
        name="smooth fit",
    )
    means = metric.table.mean(1)
    points = zip(keys, metric.macs, means, strict=True)
    figure.add_scatter(
        x=metric.macs,
        y=scale * means,
        mode="markers",
        marker={"color": _COLOURS[metric.name], "symbol": "diamond", "size": 9},
        customdata=[
            f"{key}<br>{format_count(macs)} MACs<br>mean {scale * mean:.4g}" for key, macs, mean in points
        ],
        hovertemplate=HOVER,
        name="means over the seeds",
    )
    figure.update_xaxes(title="MACs", type="log", **ticks("macs"))
    return figure.update_yaxes(title=_TITLES[metric.name])


def trainings_figure(report: SeedVarianceReport) -> go.Figure:
    """Reliability for the mean of 1, 2, ... 8 trainings: of all, and of what MACs do not explain."""
    figure = go.Figure(layout={"template": TEMPLATE, "height": 420})
    for each in report.metrics:
        colour = _COLOURS[each.name]
        _add_reliability(
            figure, each.name, each.variances_overall, colour, "solid", banded=each is report.primary
        )
        _add_reliability(
            figure, f"{each.name}, beyond MACs", each.variances_given_macs, colour, "dash", banded=False
        )
    figure.add_hline(y=TARGET_RELIABILITY, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="trainings of each network", dtick=1)
    return figure.update_yaxes(title="reliability", range=[-0.02, 1.02])


def _add_reliability(
    figure: go.Figure, name: str, part: VarianceComponents, colour: str, dash: str, *, banded: bool
) -> None:
    estimates = reliability_by_n_seeds(part, range(1, _MOST_TRAININGS + 1))
    counts = list(estimates)
    if banded:
        figure.add_scatter(
            x=[*counts, *reversed(counts)],
            y=[
                *(each.high for each in estimates.values()),
                *(each.low for each in reversed(estimates.values())),
            ],
            fill="toself",
            fillcolor=colour,
            opacity=_BAND,
            mode="none",
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=counts,
        y=[each.value for each in estimates.values()],
        mode="lines+markers",
        line={"color": colour, "dash": dash},
        customdata=[
            f"{name}<br>{count} training{'s'[: count > 1]}: {estimate_text(each)}"
            for count, each in estimates.items()
        ],
        hovertemplate=HOVER,
        name=name,
    )
