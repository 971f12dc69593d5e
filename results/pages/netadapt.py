"""The page of an adaptation: the path in a plot, every cut in a table, the networks at both ends."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import plotly.graph_objects as go

from ...evaluate import Quantity, format_count, wilson_half_width
from ..plots.history import architecture_strip
from ..plots.netadapt import netadapt_trace
from ..plots.style import INK, TEMPLATE, ticks
from ..store.netadapt_run import NetAdaptRow, NetAdaptRun
from ..store.netadapt_settings import NetAdaptSettings
from ..text.formatting import (
    AXIS_TITLES,
    duration,
    key_value_text,
    milliseconds,
    network_lines,
    pluralize,
    value_text,
)
from ..text.latency import setup_lines
from .front_table import strip_legend
from .html import Html, facts, joined, page, plot, table_row, tag


def netadapt_html(folder: NetAdaptRun, rows: Sequence[NetAdaptRow], result: Mapping[str, Any]) -> str:
    """The page, with nothing outside it; the same adaptation gives the same bytes."""
    settings = folder.settings
    title = f"{settings.name} adapted to {settings.limit} on {settings.data.name}"
    sections = (
        _head(title, settings, result),
        tag("h2", "Pruning path"),
        tag("p", _path_note(settings), class_="note"),
        *(plot(figure, name, 480) for name, figure in figures(settings, rows, result).items()),
        _steps_table(rows),
        _network_strips(rows),
        tag("h2", "Provenance"),
        facts(_facts(folder, rows)),
    )
    return page(title, joined(sections))


def figures(
    settings: NetAdaptSettings, rows: Sequence[NetAdaptRow], result: Mapping[str, Any] | None
) -> dict[str, go.Figure]:
    """By file name: the path against the limited quantity, and against the other of latency and MACs."""
    quantities: list[Quantity] = ["latency", "macs"] if settings.limit.quantity == "latency" else ["macs"]
    if "latency" not in quantities and rows[0].latency:
        quantities.append("latency")
    return {f"path-{x}": netadapt_path_figure(settings, rows, x, result) for x in quantities}


def netadapt_path_figure(
    settings: NetAdaptSettings, rows: Sequence[NetAdaptRow], x: Quantity, result: Mapping[str, Any] | None
) -> go.Figure:
    """Accuracy against a cost, from the start at the right to the result at the limit."""
    trace = netadapt_trace(rows, x, "path", dict(result) if result else None)
    figure = go.Figure(trace, layout={"template": TEMPLATE, "showlegend": False})
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


def _head(title: str, settings: NetAdaptSettings, result: Mapping[str, Any]) -> Html:
    start, final, images = result["start"], result["final"], result["test_images"]
    lead = (
        f"{pluralize(result['n_steps'], 'step')} bring the network from {_cost(start)} to {_cost(final)}; "
        f"on the test images it answers {_accuracy_text(final['test_top1'], images)} right, the start "
        f"{_accuracy_text(start['test_top1'], images)}."
    )
    interval_note = (
        f"The ± is the 95% interval that {images:,} test images leave; they were looked at once, at the end. "
        "Training again with another seed moves accuracies too; that is not in it."
    )
    return joined([tag("h1", title), tag("p", lead, class_="lead"), tag("p", interval_note)])


def _path_note(settings: NetAdaptSettings) -> str:
    return (
        "Circles are the start as it was given and the networks after their brief tuning, the star is the "
        f"last training, from {'inherited' if settings.final == 'inherit' else 'random'} weights."
    )


def _steps_table(rows: Sequence[NetAdaptRow]) -> Html:
    latency = ["latency"] if rows[0].latency else []
    columns = [
        "step",
        "change",
        *latency,
        "MACs",
        "parameters",
        "loss",
        "accuracy",
        "indistinguishable proposals",
    ]
    table = tag(
        "table",
        tag("thead", table_row(columns, "th")),
        tag("tbody", *(table_row(_cells(row)) for row in rows)),
        class_="wide",
    )
    note = (
        "Loss and accuracy are on the validation images, in brackets the change from the uncut network tuned "
        "alike. Kept was the cut whose loss grows least for what it saves. Not told apart are those others "
        "whose accuracy lies within the 95% interval that so many images leave: where that is most of them, "
        "chance has chosen among them."
    )
    return joined([tag("h2", "Steps"), tag("p", note, class_="note"), tag("div", table, class_="scroll")])


def _cells(row: NetAdaptRow) -> list[object]:
    latency = [milliseconds(row.latency.latency_ms)] if row.latency else []
    top1, loss = f"{100 * row.top1:.1f} ± {100 * row.top1_ci95:.1f}%", f"{row.loss:.3f}"
    if row.unpruned_loss is not None and row.unpruned_top1 is not None:
        loss += f" ({row.loss - row.unpruned_loss:+.3f})"
        top1 += f" ({100 * (row.top1 - row.unpruned_top1):+.1f})"
    n_indistinguishable = f"{row.n_indistinguishable} of {row.proposals - 1}" if row.step else "–"
    costs = [format_count(row.cost.macs), format_count(row.cost.params)]
    return [row.step, row.description, *latency, *costs, loss, top1, n_indistinguishable]


def _network_strips(rows: Sequence[NetAdaptRow]) -> Html:
    parts: list[object] = [tag("h2", "Networks"), strip_legend()]
    for name, row in (("start", rows[0]), ("result", rows[-1])):
        stem, *_, head = network_lines(row.architecture)
        parts.append(tag("p", f"{name.capitalize()}, {row.architecture.key}: {stem}; {head}"))
        parts.append(plot(architecture_strip(row.architecture), f"{name}-blocks", 190))
    return joined(parts)


def _facts(folder: NetAdaptRun, rows: Sequence[NetAdaptRow]) -> list[tuple[str, object]]:
    settings = folder.settings
    entries: list[tuple[str, object]] = [
        ("network", f"{settings.name}, {settings.initial_weights or 'trained first by the recipe'}"),
        ("limit", f"{settings.limit}, in cuts of {100 * settings.step:g}% of the start at least"),
        (
            "tuning",
            f"{settings.finetune_images:,} images a cut, "
            f"at {settings.finetune_lr_scale:g} of the learning rate; "
            f"{sum(row.proposals for row in rows):,} cuts tuned in {duration(sum(r.seconds for r in rows))}",
        ),
        ("recipe", key_value_text(asdict(settings.recipe).items())),
        ("seed", settings.seed),
        ("computed on", settings.device),
        ("machine", key_value_text(settings.host.items())),
        ("versions", key_value_text(settings.versions.items())),
        ("created", settings.created),
    ]
    if settings.latency:
        entries.append(("latency", joined(tag("div", line) for line in setup_lines(settings.latency))))
    return entries


def _cost(network: Mapping[str, Any]) -> str:
    macs = f"{format_count(network['macs'])} MACs"
    return f"{milliseconds(network['latency_ms'])}, {macs}" if network["latency_ms"] else macs


def _accuracy_text(top1: float, images: int) -> str:
    return f"{100 * top1:.1f} ± {100 * wilson_half_width(top1, images):.1f}%"
