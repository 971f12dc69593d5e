"""The page of an adaptation: the path in a plot, every cut in a table, the networks at both ends."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import plotly.graph_objects as go

from ...evaluate import Quantity, short_count, wilson_margin
from ..plots.history import architecture_strip
from ..plots.style import INK, TEMPLATE, ticks
from ..store.netadapt_run import AdaptationFolder, PathRow, path_trace
from ..store.netadapt_settings import AdaptationSettings
from ..text.formatting import AXIS_TITLES, count_of, duration, milliseconds, network_lines, pairs, value_text
from ..text.latency import setup_lines
from .front_table import strip_legend
from .html import Html, facts, joined, page, plot, table_row, tag


def adaptation_html(folder: AdaptationFolder, rows: Sequence[PathRow], result: Mapping[str, Any]) -> str:
    """The page, with nothing outside it; the same adaptation gives the same bytes."""
    settings = folder.settings
    title = f"{settings.name} adapted to {settings.limit} on {settings.data.name}"
    sections = (
        _head(title, settings, result),
        tag("h2", "The path"),
        tag("p", _path_note(settings), class_="note"),
        *(plot(figure, name, 480) for name, figure in figures(settings, rows, result).items()),
        _cuts(rows),
        _ends(rows),
        tag("h2", "How it was made"),
        facts(_facts(folder, rows)),
    )
    return page(title, joined(sections))


def figures(
    settings: AdaptationSettings, rows: Sequence[PathRow], result: Mapping[str, Any] | None
) -> dict[str, go.Figure]:
    """By file name: the path against the limited quantity, and against the other of latency and MACs."""
    wanted: list[Quantity] = ["latency", "macs"] if settings.limit.quantity == "latency" else ["macs"]
    if "latency" not in wanted and rows[0].latency:
        wanted.append("latency")
    return {f"path-{x}": path_figure(settings, rows, x, result) for x in wanted}


def path_figure(
    settings: AdaptationSettings, rows: Sequence[PathRow], x: Quantity, result: Mapping[str, Any] | None
) -> go.Figure:
    """Accuracy against a cost, from the start at the right to the result at the limit."""
    trace = path_trace(rows, x, "path", dict(result) if result else None)
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


def _head(title: str, settings: AdaptationSettings, result: Mapping[str, Any]) -> Html:
    start, final, images = result["start"], result["final"], result["test_images"]
    lead = (
        f"{count_of(result['cuts'], 'cut')} bring the network from {_cost(start)} to {_cost(final)}; on the "
        f"test images it answers {_share(final['test_top1'], images)} right, the start "
        f"{_share(start['test_top1'], images)}."
    )
    sure = (
        f"The ± is the 95% interval that {images:,} test images leave; they were looked at once, at the end. "
        "Training again with another seed moves accuracies too; that is not in it."
    )
    return joined([tag("h1", title), tag("p", lead, class_="lead"), tag("p", sure)])


def _path_note(settings: AdaptationSettings) -> str:
    return (
        "Circles are the start as it was given and the networks after their brief tuning, the star is the "
        f"last training, from {'inherited' if settings.final == 'inherit' else 'random'} weights."
    )


def _cuts(rows: Sequence[PathRow]) -> Html:
    latency = ["latency"] if rows[0].latency else []
    columns = ["cut", "what", *latency, "MACs", "parameters", "loss", "accuracy", "others not told apart"]
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
    return joined([tag("h2", "The cuts"), tag("p", note, class_="note"), tag("div", table, class_="scroll")])


def _cells(row: PathRow) -> list[object]:
    latency = [milliseconds(row.latency.latency_ms)] if row.latency else []
    top1, loss = f"{100 * row.top1:.1f} ± {100 * row.margin:.1f}%", f"{row.loss:.3f}"
    if row.uncut_loss is not None and row.uncut_top1 is not None:
        loss += f" ({row.loss - row.uncut_loss:+.3f})"
        top1 += f" ({100 * (row.top1 - row.uncut_top1):+.1f})"
    level = f"{row.level} of {row.proposals - 1}" if row.step else "–"
    costs = [short_count(row.cost.macs), short_count(row.cost.params)]
    return [row.step, row.what, *latency, *costs, loss, top1, level]


def _ends(rows: Sequence[PathRow]) -> Html:
    parts: list[object] = [tag("h2", "The networks"), strip_legend()]
    for name, row in (("start", rows[0]), ("result", rows[-1])):
        stem, *_, head = network_lines(row.architecture)
        parts.append(tag("p", f"{name.capitalize()}, {row.architecture.key}: {stem}; {head}"))
        parts.append(plot(architecture_strip(row.architecture), f"{name}-blocks", 190))
    return joined(parts)


def _facts(folder: AdaptationFolder, rows: Sequence[PathRow]) -> list[tuple[str, object]]:
    settings = folder.settings
    found: list[tuple[str, object]] = [
        ("network", f"{settings.name}, {settings.begins_from or 'trained first by the recipe'}"),
        ("limit", f"{settings.limit}, in cuts of {100 * settings.step:g}% of the start at least"),
        (
            "tuning",
            f"{settings.tune_images:,} images a cut, at {settings.tune_rate:g} of the learning rate; "
            f"{sum(row.proposals for row in rows):,} cuts tuned in {duration(sum(r.seconds for r in rows))}",
        ),
        ("recipe", pairs(asdict(settings.recipe).items())),
        ("seed", settings.seed),
        ("computed on", settings.device),
        ("machine", pairs(settings.host.items())),
        ("versions", pairs(settings.versions.items())),
        ("begun", settings.created),
    ]
    if settings.latency:
        found.append(("latency", joined(tag("div", line) for line in setup_lines(settings.latency))))
    return found


def _cost(network: Mapping[str, Any]) -> str:
    macs = f"{short_count(network['macs'])} MACs"
    return f"{milliseconds(network['latency_ms'])}, {macs}" if network["latency_ms"] else macs


def _share(top1: float, images: int) -> str:
    return f"{100 * top1:.1f} ± {100 * wilson_margin(top1, images):.1f}%"
