"""The page of a training: how well the network answers, where it errs, and what it sees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...evaluate import Epoch, wilson_half_width
from ...evaluate.training.grad_cam import MIN_HEATMAP_PX, BlockActivations, Example
from ...evaluate.training.metrics import ClassMetrics, Metrics
from ..plots.training import confusion_figure, curves_figure, gallery_figure, gates_figure, maps_figure
from .html import Html, facts, joined, page, plot, table_row, tag

_MOST_PAIRS = 5
_MOST_OPEN_CLASSES = 20


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What the page tells.

    Attributes:
        facts: how it was made, name and value.
        best_epoch: counted from 1, the one whose weights were kept.
        metrics: on the split `metrics_split`, from which `examples` are too.
        viewed_example: the image that `views` show; None without views.
        notes: what a reader must know, such as images left out.
    """

    title: str
    facts: tuple[tuple[str, object], ...]
    curve: tuple[Epoch, ...]
    best_epoch: int | None
    metrics: Metrics
    metrics_split: str
    examples: tuple[Example, ...]
    views: tuple[BlockActivations, ...]
    viewed_example: Example | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def figures(report: TrainingReport) -> dict[str, go.Figure]:
    """The figures by file name; those without anything to show are left out."""
    spatial_views = [view for view in report.views if view.maps.shape[1] > 1]  # one place alone is no picture
    candidates: dict[str, go.Figure | None] = {
        "curves": curves_figure(report.curve, report.best_epoch) if report.curve else None,
        "confusion": confusion_figure(report.metrics),
        "gallery": gallery_figure(report.examples, report.class_names) if report.examples else None,
        "feature-maps": maps_figure(report.viewed_example.pixels, spatial_views)
        if report.viewed_example and spatial_views
        else None,
        "gates": gates_figure(report.views),
    }
    return {name: figure for name, figure in candidates.items() if figure is not None}


def training_html(report: TrainingReport) -> str:
    """The page, with nothing outside it; the same story gives the same bytes."""
    drawn = {name: _drawn(figure, name) for name, figure in figures(report).items()}
    sections = (
        _head(report),
        _curves(drawn),
        _confusion(report, drawn),
        _classes(report.metrics),
        _gallery(report, drawn),
        _inside(report, drawn),
        tag("h2", "Provenance"),
        facts(report.facts),
    )
    return page(report.title, joined(sections))


def _drawn(figure: go.Figure, name: str) -> Html:
    """A figure of fixed width scrolls in a narrow window."""
    place = plot(figure, name, figure.layout.height)
    return tag("div", place, class_="scroll") if figure.layout.width else place


def _head(report: TrainingReport) -> Html:
    metrics = report.metrics
    margin = wilson_half_width(metrics.top1, metrics.images)
    phrases = [
        f"{100 * metrics.top1:.1f} ± {100 * margin:.1f}% of {metrics.images:,} {report.metrics_split} images "
        "get the right answer"
    ]
    if metrics.top5 is not None:
        phrases.append(f"{100 * metrics.top5:.1f}% have it among the first five")
    calibration_note = (
        f"Cross-entropy {metrics.loss:.3f}; the confidence is off by {100 * metrics.calibration_error:.1f} "
        "points on average (expected calibration error). The ± is the 95% interval that so many images leave."
    )
    notes = [tag("p", note, class_="warn") for note in report.notes]
    return joined(
        [
            tag("h1", report.title),
            tag("p", f"{', '.join(phrases)}.", class_="lead"),
            tag("p", calibration_note),
            *notes,
        ]
    )


def _section(title: str, note: str, *content: object) -> Html:
    return joined([tag("h2", title), tag("p", note, class_="note"), *content])


def _curves(drawn: dict[str, Html]) -> Html:
    if "curves" not in drawn:
        return Html("")
    note = (
        "Training values are taken over the epoch, on augmented images and while the weights change, so they "
        "may be worse than those on the validation images, which are taken at its end."
    )
    return _section("Curves", note, drawn["curves"])


def _confusion(report: TrainingReport, drawn: dict[str, Html]) -> Html:
    note = (
        "A row is a true class, a cell the share of its images that got an answer: right ones blue, mistakes "
        "orange on a square-root scale, so that rare ones show."
    )
    pairs = tag("ul", *(tag("li", text) for text in _confused(report.metrics)))
    content = (
        [tag("p", "Most often confused:"), pairs]
        if pairs != "<ul></ul>"
        else [tag("p", "No image is mistaken.")]
    )
    return _section("Confusion", note, drawn["confusion"], *content)


def _confused(metrics: Metrics) -> Iterator[str]:
    """The most frequent mistakes in words, most images first."""
    names = [each.name for each in metrics.classes]
    mistakes = sorted(
        (-count, true, answer)
        for true, row in enumerate(metrics.confusion)
        for answer, count in enumerate(row)
        if count and true != answer
    )
    for count, true, answer in mistakes[:_MOST_PAIRS]:
        images = sum(metrics.confusion[true])
        yield f"{names[true]} taken for {names[answer]}: {_share(-count / images)} of {images:,}"


def _share(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.095 else f"{100 * share:.1f}%"


def _classes(metrics: Metrics) -> Html:
    columns = ("class", "precision", "recall", "F1", "images")
    rows = sorted(metrics.classes, key=lambda each: (each.f1, each.name))
    table = tag(
        "table",
        tag("thead", table_row(columns, "th")),
        tag("tbody", *(table_row(_class_cells(each)) for each in rows)),
        class_="wide",
    )
    content = tag("div", table, class_="scroll")
    if len(rows) > _MOST_OPEN_CLASSES:
        content = tag("details", tag("summary", f"all {len(rows)} classes"), content)
    note = (
        "Lowest F1 first. Precision: how often an answer is right; recall: how many images of the class are "
        "found; F1: their harmonic mean."
    )
    return _section("Per class", note, content)


def _class_cells(each: ClassMetrics) -> Sequence[object]:
    shares = [f"{100 * share:.1f}%" for share in (each.precision, each.recall, each.f1)]
    return [each.name, *shares, f"{each.images:,}"]


def _gallery(report: TrainingReport, drawn: dict[str, Html]) -> Html:
    if "gallery" not in drawn:
        return Html("")
    note = (
        f"{report.metrics_split.capitalize()} images as the network takes them, each with what speaks for "
        "the answer (Grad-CAM): the brighter, the more."
    )
    if report.views:
        last = [view for view in report.views if view.maps.shape[1] >= MIN_HEATMAP_PX] or report.views
        height, width = last[-1].maps.shape[1:]
        note += f" They are those of the last maps with {height} × {width} places, and no finer."
    return _section("Gallery", note, drawn["gallery"])


def _inside(report: TrainingReport, drawn: dict[str, Html]) -> Html:
    if "feature-maps" not in drawn:
        return Html("")
    note = (
        "The strongest channels of the stem and of each block for one image, each from its least value "
        "(blue) to its greatest (yellow). Blocks whose maps have a single place are left out."
    )
    parts = [_section("Inside the network", note, drawn["feature-maps"])]
    if "gates" in drawn:
        text = (
            "Attention multiplies each channel by a gate. Gates below 0.05 are shut, above 0.95 open. Where "
            "most are open, or all alike, a block hardly needs its attention."
        )
        parts += [tag("p", text, class_="note"), drawn["gates"]]
    return joined(parts)
