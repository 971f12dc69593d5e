"""Accuracy, calibration and per-class metrics of a network on a split."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...search_space.network import Network
from ..data.dataset import SPLITS, Data, EvaluationSplit
from ..statistics.outcomes import pack_outcomes
from .trivial_accuracy import TrivialAccuracy

_CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class; precision is 0 if it is never predicted, recall is 0 if it has no images."""

    name: str
    images: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Metrics:
    """Metrics of a trained network on a split.

    Attributes:
        top1, top5: fraction of images whose class is the most likely, or one of the five most likely
            predictions; `top5` is None for five classes or fewer.
        loss: cross-entropy.
        calibration_error: expected calibration error, 15 bins of equal width.
        confusion: number of images by true class (row) and predicted class (column).
        outcomes: which images are classified correctly, in the order of the logits, by `pack_outcomes`.
    """

    images: int
    top1: float
    top5: float | None
    loss: float
    calibration_error: float
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    outcomes: str = ""

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have images; chance for a constant answer."""
        recalls = [each.recall for each in self.classes if each.images]
        return sum(recalls) / len(recalls)

    @property
    def trivial(self) -> TrivialAccuracy:
        """Chance level and share of the most frequent class."""
        return TrivialAccuracy.of(
            [each.images for each in self.classes], [each.name for each in self.classes]
        )

    @property
    def better_than_majority(self) -> bool:
        """Whether `top1` is significantly above chance and the share of the most frequent class (95%)."""
        return self.trivial.is_beaten_by(self.top1)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            **asdict(self),
            "balanced_accuracy": self.balanced_accuracy,
            **self.trivial.as_dict,
            "better_than_majority": self.better_than_majority,
        }


def predict(
    network: Network, data: Data, split: EvaluationSplit, *, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Logits for each image of a split in its fixed order, in evaluation mode.

    Args:
        split: `all` for one split after the other.

    Returns:
        Logits, `n x classes` float32, and labels, `n` int64, both on the CPU.
    """
    network.to(device).eval()
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    with torch.inference_mode():
        for part in [each for each in SPLITS if data.count(each)] if split == "all" else [split]:
            for images, batch_labels in data.batches(part, network.architecture.resolution_px, 256):
                logits.append(network(images.to(device)).float().cpu())
                labels.append(batch_labels)
    return torch.cat(logits), torch.cat(labels)


def compute_metrics(logits: Tensor, labels: Tensor, class_names: Sequence[str]) -> Metrics:
    """Compare predictions with the true classes.

    Args:
        logits: `n x classes`, at least one image.
        labels: `n` int64.
        class_names: names of the labels 0, 1, ...; a class may have no images.
    Source: calibration error by Guo et al. 2017, arXiv:1706.04599.
    """
    from torchmetrics.functional import classification as classification_metrics  # takes seconds to import

    count = len(class_names)
    predicted = logits.argmax(1)
    # torchmetrics mistakes logits that all lie between 0 and 1 for probabilities.
    probabilities = logits.softmax(1)
    top1 = classification_metrics.multiclass_accuracy(predicted, labels, count, "micro")
    top5 = (
        classification_metrics.multiclass_accuracy(logits, labels, count, "micro", top_k=5)
        if count > 5
        else None
    )
    columns = zip(
        class_names,
        labels.bincount(minlength=count).tolist(),
        classification_metrics.multiclass_precision(predicted, labels, count, average=None).tolist(),
        classification_metrics.multiclass_recall(predicted, labels, count, average=None).tolist(),
        classification_metrics.multiclass_f1_score(predicted, labels, count, average=None).tolist(),
        strict=True,
    )
    confusion = classification_metrics.multiclass_confusion_matrix(predicted, labels, count)
    return Metrics(
        images=len(labels),
        top1=_exact_fraction(top1, len(labels)),
        top5=None if top5 is None else _exact_fraction(top5, len(labels)),
        loss=float(nn.functional.cross_entropy(logits, labels)),
        calibration_error=float(
            classification_metrics.multiclass_calibration_error(
                probabilities, labels, count, _CALIBRATION_BINS, "l1"
            )
        ),
        classes=tuple(ClassMetrics(*row) for row in columns),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        outcomes=pack_outcomes((predicted == labels).numpy()),
    )


def _exact_fraction(fraction: Tensor, images: int) -> float:
    """Undo the float32 rounding of a fraction of `images`."""
    return round(float(fraction) * images) / images
