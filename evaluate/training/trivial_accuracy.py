"""The accuracy of a classifier that ignores the images, and what few images can show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .accuracy import wilson_interval

_ALPHA = 0.05
_MIN_IMAGES = 200  # below, one image is worth more than 0.5 percentage points


@dataclass(frozen=True)
class TrivialAccuracy:
    """Accuracies that need no image.

    Attributes:
        images: number of images.
        chance: accuracy of uniform guessing, 1 / number of classes.
        majority_class: the most frequent class; the first of several.
        majority_share: its fraction of the images: the accuracy of a constant answer.
    """

    images: int
    chance: float
    majority_class: str
    majority_share: float

    @classmethod
    def of(cls, counts: Sequence[int], class_names: Sequence[str]) -> "TrivialAccuracy":
        """Of images with these counts by class; at least one image."""
        images, most = sum(counts), max(range(len(counts)), key=counts.__getitem__)
        return cls(images, 1 / len(counts), class_names[most], counts[most] / images)

    def is_beaten_by(self, top1: float) -> bool:
        """Whether an accuracy on these images is significantly above chance and majority share (95%).

        By an exact one-sided binomial test.
        """
        from scipy.special import bdtrc

        best = max(self.chance, self.majority_share)
        correct = round(top1 * self.images)
        return best < 1 and bool(bdtrc(correct - 1, self.images, best) < _ALPHA)

    @property
    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "chance": self.chance,
            "majority_class": self.majority_class,
            "majority_share": self.majority_share,
        }


def few_images_text(images: int, split: str) -> str | None:
    """A warning if an accuracy on so few images is coarse: `36 validation images: one image is ...`."""
    if not 0 < images < _MIN_IMAGES:
        return None
    low, high = wilson_interval(0.5, images)
    return (
        f"few {split} images ({images:,}): one image is worth {100 / images:.1f} percentage points, and the "
        f"95% interval of an accuracy is up to {100 * (high - low):.0f} points wide"
    )


def accuracy_warnings(metrics: Mapping[str, Any], split: str) -> list[str]:
    """Warnings about an accuracy: no better than a trivial one, or of few images.

    Args:
        metrics: `Metrics.as_dict`.
    """
    warnings = []
    if not metrics["better_than_majority"]:
        answers = [any(column) for column in zip(*metrics["confusion"], strict=True)]
        only = metrics["classes"][answers.index(True)]["name"] if sum(answers) == 1 else None
        constant = f"the network answers '{only}' for every image; " if only is not None else ""
        warnings.append(
            f"{constant}top-1 {100 * metrics['top1']:.2f}% is not better (95%) than the constant answer "
            f"'{metrics['majority_class']}', {100 * metrics['majority_share']:.2f}% of the {split} images"
        )
    return [*warnings, *filter(None, (few_images_text(metrics["images"], split),))]


def balance_text(metrics: Mapping[str, Any]) -> str:
    """`balanced accuracy 61.20%; chance 10.00%, majority class 'cat' 42.00%`."""
    majority = f"majority class '{metrics['majority_class']}' {100 * metrics['majority_share']:.2f}%"
    balanced, chance = (100 * metrics[name] for name in ("balanced_accuracy", "chance"))
    return f"balanced accuracy {balanced:.2f}%; chance {chance:.2f}%, {majority}"
