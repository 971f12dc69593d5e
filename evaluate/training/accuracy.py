"""Accuracy of a trained network, with its confidence interval and learning curve."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..statistics.outcomes import Outcomes


@dataclass(frozen=True)
class Epoch:
    """One point of a learning curve; validation fields are None for epochs without validation.

    Attributes:
        train_loss, train_top1: means over the epoch on augmented images, while the weights change.
        seconds: duration of the epoch, validation included.
    """

    train_loss: float
    validation_loss: float | None = None
    validation_top1: float | None = None
    train_top1: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Accuracy:
    """Result of one training run.

    Attributes:
        top1: fraction of validation images classified correctly.
        loss: validation cross-entropy without label smoothing.
        images: number of validation images, those that could not be read left out.
        images_seen: number of training images processed, repetitions included.
        curve: one point per epoch.
        outcomes: which of the images were classified correctly, in the order of the split, by
            `pack_outcomes`; empty if unknown.
    """

    top1: float
    loss: float
    images: int
    images_seen: int
    seed: int
    seconds: float
    curve: tuple[Epoch, ...]
    outcomes: str = ""

    @property
    def correct(self) -> "Outcomes | None":
        """Whether each image was classified correctly, `images` booleans; None if unknown.

        Raises:
            ValueError: `outcomes` and `images` differ in the number of images.
        """
        from ..statistics.outcomes import unpack_outcomes

        return unpack_outcomes(self.outcomes, self.images) if self.outcomes else None

    @property
    def ci95(self) -> tuple[float, float]:
        """95% confidence interval of `top1` for `images` validation images, without seed noise."""
        return wilson_interval(self.top1, self.images)


def wilson_interval(fraction: float, count: int) -> tuple[float, float]:
    """95% score interval of a proportion estimated from `count` trials; it is not symmetric.

    Args:
        fraction: values outside 0 to 1 count as the nearer end.
    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    z = 1.96
    fraction = min(max(fraction, 0.0), 1.0)
    shrunk = 1 + z * z / count
    center = (fraction + z * z / (2 * count)) / shrunk
    half = z / shrunk * math.sqrt(fraction * (1 - fraction) / count + z * z / (4 * count * count))
    return max(0.0, center - half), min(1.0, center + half)
