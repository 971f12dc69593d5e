"""Figures of a seed study: metric against MACs, reliability against the number of seeds."""

import numpy as np
import plotly.graph_objects as go

from ...evaluate import format_count
from ...evaluate.statistics.reliability import VarianceComponents
from ..analysis.seed_noise import TARGET_RELIABILITY, MetricReliability, SeedVarianceReport
from ..text.formatting import pluralize
from ..text.seed_noise import estimate_text, reliability_by_n_seeds
from .style import BLUE, GREEN, GREY, HOVER, INK, ORANGE, TEMPLATE, ticks

_MAX_SEEDS = 8
_BAND_OPACITY = 0.13
_COLORS = {"accuracy": BLUE, "score": BLUE, "loss": GREEN}
_TITLES = {"accuracy": "validation accuracy, %", "loss": "validation loss", "score": "score"}


def figures(report: SeedVarianceReport) -> dict[str, go.Figure]:
    """The figures by file name: `macs-METRIC` for each metric, and `reliability`."""
    by_macs = {f"macs-{each.name}": metric_macs_figure(each, report.keys) for each in report.metrics}
    return {**by_macs, "reliability": reliability_figure(report)}


def metric_macs_figure(metric: MetricReliability, keys: tuple[str, ...]) -> go.Figure:
    """A metric against MACs: one circle per training run, one diamond per network, and the fitted trend."""
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
            name="single seeds",
            legendgroup="seeds",
            showlegend=seed == 0,
        )
    macs_grid = np.geomspace(metric.macs.min(), metric.macs.max(), 101)
    figure.add_scatter(
        x=macs_grid,
        y=scale * metric.fit(macs_grid),
        mode="lines",
        line={"color": ORANGE, "width": 2},
        hoverinfo="skip",
        name="trend in MACs",
    )
    means = metric.table.mean(1)
    points = zip(keys, metric.macs, means, strict=True)
    figure.add_scatter(
        x=metric.macs,
        y=scale * means,
        mode="markers",
        marker={"color": _COLORS[metric.name], "symbol": "diamond", "size": 9},
        customdata=[
            f"{key}<br>{format_count(macs)} MACs<br>mean {scale * mean:.4g}" for key, macs, mean in points
        ],
        hovertemplate=HOVER,
        name="mean over seeds",
    )
    figure.update_xaxes(title="MACs", type="log", dtick="D2", **ticks("macs"))
    return figure.update_yaxes(title=_TITLES[metric.name])


def reliability_figure(report: SeedVarianceReport) -> go.Figure:
    """Reliability of the mean over 1 to 8 seeds: overall (solid), and given MACs (dashed)."""
    figure = go.Figure(layout={"template": TEMPLATE, "height": 420})
    for each in report.metrics:
        color = _COLORS[each.name]
        _add_reliability(
            figure, each.name, each.variances_overall, color, "solid", banded=each is report.primary
        )
        _add_reliability(
            figure, f"{each.name}, given MACs", each.variances_given_macs, color, "dash", banded=False
        )
    figure.add_hline(y=TARGET_RELIABILITY, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="seeds per network", dtick=1)
    return figure.update_yaxes(title="reliability", range=[-0.02, 1.02])


def _add_reliability(
    figure: go.Figure, name: str, part: VarianceComponents, color: str, dash: str, *, banded: bool
) -> None:
    estimates = reliability_by_n_seeds(part, range(1, _MAX_SEEDS + 1))
    counts = list(estimates)
    if banded:
        figure.add_scatter(
            x=[*counts, *reversed(counts)],
            y=[
                *(each.high for each in estimates.values()),
                *(each.low for each in reversed(estimates.values())),
            ],
            fill="toself",
            fillcolor=color,
            opacity=_BAND_OPACITY,
            mode="none",
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=counts,
        y=[each.value for each in estimates.values()],
        mode="lines+markers",
        line={"color": color, "dash": dash},
        customdata=[
            f"{name}<br>{pluralize(count, 'seed')}: {estimate_text(each)}"
            for count, each in estimates.items()
        ],
        hovertemplate=HOVER,
        name=name,
    )
