"""By how much a network is expected to widen the front, over all that may be true of it.

The expected growth of the dominated hypervolume, exactly, for any number of objectives: the space that
nothing dominates is cut into boxes along the front, and what a network gains in a box is a product of one
factor an objective.

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
    """What is believed of one objective of `m` networks, lower is better: normal, or its logarithm is.

    Attributes:
        mean, std: `m`, of the loss or of its logarithm; a deviation of 0 is certainty.
    """

    mean: Array
    std: Array
    logarithmic: bool = False

    @property
    def median(self) -> Array:
        """`m`."""
        if not self.logarithmic:
            return self.mean
        values: Array = np.exp(self.mean)
        return values

    def midpoint_to_worst(self, loss: float) -> float:
        """The middle between a loss and the worst of all, on the scale that is normal."""
        if self.logarithmic:
            return math.exp((math.log(loss) + float(self.mean.max())) / 2)
        return (loss + float(self.mean.max())) / 2

    def expected_improvement(self, bound: float) -> Array:
        """`m`: the expected `max(bound - loss, 0)`."""
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
        """`m`: the probability that the loss is at most so much."""
        from scipy.special import ndtr

        bound = math.log(bound) if self.logarithmic else bound
        values: Array = ndtr((bound - self.mean) / np.maximum(self.std, 1e-9))
        return values


def expected_hypervolume_improvement(
    predicted_losses: list[LossDistribution], front: Array, reference_point: Array
) -> Array:
    """The expected growth of the hypervolume by each of `m` networks alone.

    Args:
        predicted_losses: for each of `d` objectives; taken as independent of each other.
        front: `k x d` losses that no other one of them dominates; `k` may be 0.
        reference_point: `d`, the reference point.
    Source: the boxes are those of a grid through the front; above a cell of all objectives but the last, what
        is not dominated ends at the least last loss of the front's rows below that cell.
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
    """The front, or rows spread evenly over it where all would make too many boxes."""
    most = int(MAX_BOXES ** (1 / max(front.shape[1] - 1, 1)))
    if len(front) <= most:
        return front
    order = np.lexsort(front.T)
    thinned: Array = front[order[np.linspace(0, len(front) - 1, most).round().astype(int)]]
    return thinned
