"""Expected hypervolume improvement (EHVI), exact for any number of independent objectives.

The non-dominated region is partitioned into boxes along the front; the expected improvement within a box is
a product of one factor per objective.

Source: Emmerich, Deutz & Klinkenberg 2011, doi:10.1109/CEC.2011.5949880; Daulton, Balandat & Bakshy 2020,
arXiv 2006.05078.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_BOXES = 4000


@dataclass(frozen=True, eq=False)
class LossDistribution:
    """Normal or log-normal distribution of one objective of `m` networks, lower is better.

    Attributes:
        mean, std: `m`, of the loss or of its logarithm; a standard deviation of 0 is a known value.
    """

    mean: Array
    std: Array
    logarithmic: bool = False

    @property
    def median(self) -> Array:
        if not self.logarithmic:
            return self.mean
        values: Array = np.exp(self.mean)
        return values

    def midpoint_to_worst(self, loss: float) -> float:
        """Midpoint of a loss and the worst mean, on the scale of the normal distribution."""
        if self.logarithmic:
            return math.exp((math.log(loss) + float(self.mean.max())) / 2)
        return (loss + float(self.mean.max())) / 2

    def expected_improvement(self, bound: float) -> Array:
        """`m`: expectation of `max(bound - loss, 0)`."""
        from scipy.special import ndtr

        if bound == -math.inf or (self.logarithmic and bound <= 0):
            return np.zeros(len(self.mean))
        min_std = 1e-9 * max(1.0, abs(bound))
        std = np.maximum(self.std, 1e-9 if self.logarithmic else min_std)
        if self.logarithmic:
            z = (math.log(bound) - self.mean) / std
            expected = np.exp(self.mean + std**2 / 2)
            values: Array = bound * ndtr(z) - expected * ndtr(z - std)
        else:
            z = (bound - self.mean) / std
            values = std * (z * ndtr(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
        return np.maximum(values, 0)

    def probability_of_improvement(self, bound: float) -> Array:
        """`m`: probability that the loss is at most `bound`."""
        from scipy.special import ndtr

        bound = math.log(bound) if self.logarithmic else bound
        values: Array = ndtr((bound - self.mean) / np.maximum(self.std, 1e-9))
        return values


def expected_hypervolume_improvement(
    predicted_losses: list[LossDistribution], front: Array, reference_point: Array
) -> Array:
    """`m`: expected hypervolume improvement by each network alone.

    Args:
        predicted_losses: one per objective, `d`; assumed independent.
        front: `k x d` mutually non-dominated losses; `k` may be 0.
        reference_point: `d`.
    The boxes are the cells of a grid through the front in all objectives but the last; in the last, a box
    ends at the lowest loss of the front's rows that lie below the cell.
    """
    front = _thinned(front[(front < reference_point).all(1)])
    *others, last = predicted_losses
    edges = [np.unique(np.append(front[:, place], reference_point[place])) for place in range(len(others))]
    widths = []
    for losses, bounds in zip(others, edges, strict=True):
        reached = np.array([np.zeros(len(losses.mean)), *map(losses.expected_improvement, bounds.tolist())])
        widths.append(np.diff(reached, axis=0))
    gains = np.zeros(len(last.mean))
    heights: dict[float, Array] = {}
    for cell in product(*(range(len(bounds)) for bounds in edges)):
        low = np.array([-np.inf if not n else edges[place][n - 1] for place, n in enumerate(cell)])
        rows_below = (front[:, :-1] <= low).all(1)
        height = float(np.min(front[rows_below, -1], initial=reference_point[-1]))
        if height not in heights:
            heights[height] = last.expected_improvement(height)
        gain = heights[height]
        for place, n in enumerate(cell):
            gain = gain * widths[place][n]
        gains += gain
    return gains


def _thinned(front: Array) -> Array:
    """The front, or equally spaced rows of it where all would make more than `MAX_BOXES` boxes."""
    most = int(MAX_BOXES ** (1 / max(front.shape[1] - 1, 1)))
    if len(front) <= most:
        return front
    order = np.lexsort(front.T)
    thinned: Array = front[order[np.linspace(0, len(front) - 1, most).round().astype(int)]]
    return thinned
