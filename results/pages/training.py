"""The page of a training run: metrics, mistakes, and what the network responds to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ...evaluate import Epoch
from ...evaluate.training.grad_cam import MIN_HEATMAP_PX, BlockActivations, Example
from ...evaluate.training.metrics import Metrics
from ...search_space import Architecture, cost
from ..plots.training import (
    confusion_figure,
    curves_figure,
    gallery_figure,
    gates_figure,
    maps_figure,
    samples_figure,
)
from .drawing import Drawing
from .html import render

_MOST_PAIRS = 5
_MOST_OPEN_CLASSES = 20


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """Values on the page.

    Attributes:
        facts: provenance as names and values.
        best_epoch: the epoch whose weights were selected, counted from 1.
        metrics: computed on the split `metrics_split`; `examples` are images of that split.
        viewed_example: the image that `views` were computed on; None without views.
        notes: warnings, such as images that could not be read.
        samples: a label and an image of that class, `h x w x channels`, for some classes.
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
    architecture: Architecture | None = None
    samples: tuple[tuple[int, NDArray[np.uint8]], ...] = ()


def figures(report: TrainingReport) -> dict[str, go.Figure]:
    """The figures by file name; those without data are left out."""
    spatial_views = [view for view in report.views if view.maps.shape[1] > 1]
    candidates: dict[str, go.Figure | None] = {
        "samples": samples_figure(report.samples, report.class_names) if report.samples else None,
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
    """The page as one self-contained HTML file."""
    fine_views = [view for view in report.views if view.maps.shape[1] >= MIN_HEATMAP_PX] or report.views
    return render(
        "training",
        title=report.title,
        provenance=report.facts,
        network=report.architecture and Drawing(report.architecture),
        cost=report.architecture and cost(report.architecture),
        metrics=report.metrics,
        split=report.metrics_split,
        notes=report.notes,
        figures=figures(report),
        confused=list(_most_confused(report.metrics)),
        classes=sorted(report.metrics.classes, key=lambda each: (each.f1, each.name)),
        most_open_classes=_MOST_OPEN_CLASSES,
        heatmap_shape=fine_views[-1].maps.shape[1:] if fine_views else None,
    )


def _most_confused(metrics: Metrics) -> Iterator[tuple[str, str, float, int]]:
    """True class, predicted class, fraction and number of images of the true class; most mistakes first."""
    names = [each.name for each in metrics.classes]
    mistakes = sorted(
        (-count, true, predicted)
        for true, row in enumerate(metrics.confusion)
        for predicted, count in enumerate(row)
        if count and true != predicted
    )
    for count, true, predicted in mistakes[:_MOST_PAIRS]:
        images = sum(metrics.confusion[true])
        yield names[true], names[predicted], -count / images, images
