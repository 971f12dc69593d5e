"""A training to draw: three classes, two mistakes, a block with attention."""

from collections.abc import Sequence

import numpy as np

from bneck.evaluate import Epoch
from bneck.evaluate.training.grad_cam import BlockActivations, Example
from bneck.evaluate.training.metrics import ClassMetrics, Metrics
from bneck.results.pages.training import TrainingReport

from .example_network import NETWORK

NAMES = ("shirt", "shoe", "bag")
CURVE = (Epoch(1.5, 1.25, 0.5, 0.375), Epoch(1.0, 0.75, 0.75, 0.625), Epoch(0.5, 1.0, 0.625, 0.875))
# Shirts are taken for bags 12 times in 100.
CONFUSION = ((84, 4, 12), (0, 50, 0), (3, 0, 47))


def metrics(confusion: Sequence[Sequence[int]] = CONFUSION, names: Sequence[str] = NAMES) -> Metrics:
    """Precision, recall and F1 by their definitions; the rest is made up."""
    counts = np.array(confusion)
    right, true, answered = counts.diagonal(), counts.sum(1), counts.sum(0)
    rows = zip(
        names,
        true.tolist(),
        (right / np.maximum(answered, 1)).tolist(),
        (right / np.maximum(true, 1)).tolist(),
        (2 * right / np.maximum(true + answered, 1)).tolist(),
        strict=True,
    )
    return Metrics(
        images=int(counts.sum()),
        top1=float(right.sum() / counts.sum()),
        top5=0.98 if len(names) > 5 else None,
        loss=0.25,
        calibration_error=0.031,
        classes=tuple(ClassMetrics(*row) for row in rows),
        confusion=tuple(tuple(row) for row in counts.tolist()),
    )


def example(position: int, label: int, *top_predictions: tuple[int, float], channels: int = 1) -> Example:
    """Four by four pixels, each different, hot in the upper left."""
    pixels = (position + np.arange(16 * channels, dtype=np.uint8)).reshape(4, 4, channels)
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, 0] = 1
    return Example(position, pixels, label, top_predictions, heatmap)


EXAMPLES = (
    example(5, 0, (2, 0.87), (0, 0.1), (1, 0.03)),
    example(17, 2, (0, 0.6), (2, 0.4)),
    example(40, 1, (1, 0.41), (0, 0.4)),
)
VIEWS = (
    BlockActivations("stem", np.arange(32, dtype=np.float32).reshape(2, 4, 4), (3, 1), None),
    # Two of the eight are shut and one is open.
    BlockActivations(
        "block 1",
        np.zeros((2, 2, 2), np.float32),
        (0, 7),
        np.array([0.5, 0, 1, 0.04, 0.25, 0.75, 0.95, 0.05], np.float32),
    ),
)


def report(
    names: tuple[str, ...] = NAMES,
    confusion: Sequence[Sequence[int]] = CONFUSION,
    curve: tuple[Epoch, ...] = CURVE,
    examples: tuple[Example, ...] = EXAMPLES,
    views: tuple[BlockActivations, ...] = VIEWS,
    facts: tuple[tuple[str, object], ...] = (("data", "clothes"), ("seed", 7)),
    notes: tuple[str, ...] = ("2 images could not be read.",),
    title: str = "small on clothes",
) -> TrainingReport:
    return TrainingReport(
        title=title,
        facts=facts,
        curve=curve,
        best_epoch=2 if curve else None,
        metrics=metrics(confusion, names),
        metrics_split="test",
        examples=examples,
        views=views,
        viewed_example=examples[0] if examples else None,
        class_names=names,
        notes=notes,
        architecture=NETWORK,
        samples=tuple((each.label, each.pixels) for each in examples),
    )
