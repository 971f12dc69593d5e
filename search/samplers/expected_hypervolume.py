"""Expected hypervolume improvement (EHVI), exact for any number of independent objectives.

The region that the front does not dominate is partitioned into boxes; the expected improvement within a box
is a product of one factor per objective.

Source: Emmerich, Deutz & Klinkenberg 2011, doi:10.1109/CEC.2011.5949880; Daulton, Balandat & Bakshy 2020,
arXiv 2006.05078.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...evaluate.statistics.arrays import Array
from ...evaluate.statistics.multi_objective import NondominatedBoxes


@dataclass(frozen=True, eq=False)
class LossDistribution:
    """Normal distributions of one objective of `m` networks, lower is better.

    Attributes:
        mean, std: `m`; a standard deviation of 0 is a known value.
    """

    mean: Array
    std: Array

    def expected_improvement(self, bounds: Array) -> Array:
        """`m x b`: expectation of `max(bound - loss, 0)`; 0 for a bound of minus infinity."""
        from scipy.special import ndtr

        values = np.zeros((len(self.mean), len(bounds)))
        finite = np.isfinite(bounds)
        std = np.maximum(self.std, 1e-12)[:, None]
        z = (bounds[finite] - self.mean[:, None]) / std
        values[:, finite] = std * (z * ndtr(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
        return np.maximum(values, 0)

    def probability_of_improvement(self, bound: float) -> Array:
        """`m`: probability that the loss is at most `bound`."""
        from scipy.special import ndtr

        values: Array = ndtr((bound - self.mean) / np.maximum(self.std, 1e-9))
        return values


def expected_hypervolume_improvement(
    predicted_losses: Sequence[LossDistribution], boxes: NondominatedBoxes
) -> Array:
    """`m`: expected hypervolume improvement by each network alone.

    Args:
        predicted_losses: one per objective, `d`; assumed independent.
        boxes: of the front, with `d` objectives.
    """
    gains: Array | float = 1.0
    for losses, lower, upper in zip(predicted_losses, boxes.lower.T, boxes.upper.T, strict=True):
        gains = gains * (losses.expected_improvement(upper) - losses.expected_improvement(lower))
    return np.asarray(np.sum(gains, axis=1))
