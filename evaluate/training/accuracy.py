"""How well a trained network does, and how sure that is."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One point of the curves; the validation is None where it was not asked for.

    Attributes:
        train_loss, train_top1: over the epoch, on augmented images, while the weights change.
        seconds: that it took, with its validation.
    """

    train_loss: float
    validation_loss: float | None = None
    validation_top1: float | None = None
    train_top1: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Accuracy:
    """The judgement of one training.

    Attributes:
        top1: share of right answers on the validation images.
        loss: cross-entropy on them, without smoothing.
        images: number of validation images.
        images_seen: number of training images that were shown, repetitions included.
        curve: one point an epoch.
    """

    top1: float
    loss: float
    images: int
    images_seen: int
    seed: int
    seconds: float
    curve: tuple[Epoch, ...]

    @property
    def ci95_half_width(self) -> float:
        """Half the 95% interval of `top1` that so many validation images leave.

        Training again with another seed moves the accuracy too; that is not in it.
        """
        return wilson_half_width(self.top1, self.images)


def wilson_half_width(fraction: float, count: int) -> float:
    """Half the width of the 95% score interval for a share of `count`.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    z = 1.96
    return (
        z / (1 + z * z / count) * math.sqrt(fraction * (1 - fraction) / count + z * z / (4 * count * count))
    )
