"""Which validation images were classified correctly, and what they say about images that were not seen.

All networks of a search are evaluated on the same images, a sample. An accuracy `a` on `m` images varies with
the sample by the binomial variance `a (1 - a) / m`. It has three parts, whose shares follow from two
correlations of outcomes over the images:

    correlation between networks: these images are easy or hard for all networks; cancels in differences
    correlation within a network, between its trainings, less the former: they suit this network;
        training again does not remove it
    the rest: varies between trainings, a part of the seed noise
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Values

Outcomes = NDArray[np.bool_]
MAX_NETWORKS = 300  # the correlations of more are known well enough from a part of them
_STEPS_PER_FACTOR_2 = 2


def pack_outcomes(correct: Outcomes) -> str:
    """One bit an image as text: base64 of the packed bits."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def unpack_outcomes(text: str, images: int) -> Outcomes:
    """`images` booleans.

    Raises:
        ValueError: the text is that of another number of images.
    """
    packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    if len(packed) != -(-images // 8):
        raise ValueError(f"outcomes of {8 * len(packed)} images at most, not of {images}")
    return np.unpackbits(packed, count=images).astype(np.bool_)


@dataclass(frozen=True)
class ImageSampling:
    """How accuracies vary with the sample of images.

    Attributes:
        images: number of images; infinite if they are all that matter.
        between: mean correlation of the outcomes of two networks.
        within: mean correlation of the outcomes of two trainings of one network.
        known: whether outcomes are known; otherwise the images are taken to suit all networks alike.
    """

    images: float
    between: float = 1.0
    within: float = 1.0
    known: bool = False

    @classmethod
    def of(cls, outcomes: Sequence[Sequence[Outcomes]], images: int) -> "ImageSampling":
        """The correlations of the outcomes.

        Args:
            outcomes: of each network one for every training of known outcomes.
        """
        between = _mean_correlation([each[0] for each in outcomes if each])
        correlations = [_mean_correlation(each) for each in outcomes if len(each) > 1]
        values = [each for each in correlations if each is not None]
        if between is None:
            return cls(images)
        between = min(max(between, 0.0), 1.0)
        within = float(np.mean(values)) if values else 1.0
        return cls(images, between, min(max(within, between), 1.0), known=True)

    def variances(self, accuracies: Values) -> Array:
        """Binomial variances, rounded to few levels; 1 if the images are all that matter."""
        if not math.isfinite(self.images):
            return np.ones(len(accuracies))
        # Two images right and two wrong are added (Agresti & Coull 1998): all right proves no perfection.
        accuracy = (np.clip(accuracies, 0, 1) * self.images + 2) / (self.images + 4)
        steps = np.log2(accuracy * (1 - accuracy) / (self.images + 4)) * _STEPS_PER_FACTOR_2
        variances: Array = np.exp2(np.round(steps) / _STEPS_PER_FACTOR_2)
        return variances

    @property
    def shares(self) -> tuple[float, float, float]:
        """Parts of the variance: common to all networks, of each network, and between trainings."""
        if not math.isfinite(self.images):
            return 0.0, 0.0, 0.0
        return self.between, self.within - self.between, 1 - self.within


ALL_IMAGES = ImageSampling(math.inf)


def paired_std(one: Outcomes, other: Outcomes, factor: float = 1, other_factor: float = 1) -> float:
    """Standard error, over images, of the difference between two accuracies on the same images.

    Args:
        factor, other_factor: of the accuracies, such as from accuracy to reward.
    """
    differences = factor * one - other_factor * other
    # One more image right for each alone: agreement on all images is no proof of equality.
    squares = float(((differences - differences.mean()) ** 2).sum()) + factor**2 + other_factor**2
    return math.sqrt(squares) / len(differences)


def _mean_correlation(outcomes: Sequence[Outcomes]) -> float | None:
    """Mean over all pairs; None without a pair of which neither is constant."""
    standardized = []
    for each in outcomes:
        values = each.astype(np.float64)
        if 0 < values.mean() < 1:
            standardized.append((values - values.mean()) / values.std())
    count = len(standardized)
    if count < 2:
        return None
    total = np.sum(standardized, axis=0)
    return float((total @ total) / len(total) - count) / (count * (count - 1))
