"""Differences in test accuracy and hypervolume, by the paired bootstrap over test images and seeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.multi_objective import hypervolume
from bneck.evaluate.statistics.outcomes import Outcomes

Front = Sequence[tuple[float, Outcomes]]
"""Networks by their share of the reference's cost, and which test images they classify correctly."""


class Difference(NamedTuple):
    """A difference with its 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def accuracy_difference(
    one: Sequence[Outcomes], other: Sequence[Outcomes], samples: int = 2000
) -> Difference:
    """Accuracy of one way minus that of another on the same images.

    Args:
        one, other: outcomes for each seed; with a single seed the interval is over images alone.
    """
    differences = np.array(one, dtype=np.float64) - np.array(other, dtype=np.float64)
    n_seeds, n_images = differences.shape
    seeds, images = _weights(n_seeds, n_images, samples)
    values = ((seeds @ differences) * images).sum(1)
    return _interval(float(differences.mean()), values)


def hypervolume_difference(
    one: Sequence[Front],
    other: Sequence[Front],
    shares: tuple[float, float],
    chance: float,
    samples: int = 500,
) -> Difference:
    """Normalised hypervolume of one way's front minus that of another on the same images.

    Args:
        one, other: the fronts of each seed.
        shares: the smallest and the largest limit.
        chance: accuracy of guessing.
    """
    n_images = len(one[0][0][1])
    seeds, images = _weights(len(one), n_images, samples)
    uniform = np.full(n_images, 1 / n_images)

    def differences(weights: Array) -> Array:
        pairs = zip(one, other, strict=True)
        return np.array(
            [
                front_hypervolume(a, weights, shares, chance) - front_hypervolume(b, weights, shares, chance)
                for a, b in pairs
            ]
        )

    values = np.array([seed @ differences(image) for seed, image in zip(seeds, images, strict=True)])
    return _interval(float(differences(uniform).mean()), values)


def front_hypervolume(front: Front, weights: Array, shares: tuple[float, float], chance: float) -> float:
    """The part of the box between chance and 1, and the logarithms of two shares, that a front dominates.

    Args:
        weights: of the images, with sum 1.
    """
    smallest, largest = shares
    losses = [(-float(weights @ outcomes), math.log(max(share, smallest))) for share, outcomes in front]
    box = (1 - chance) * math.log(largest / smallest)
    return hypervolume(losses, (-chance, math.log(largest))) / box


def _weights(n_seeds: int, n_images: int, samples: int) -> tuple[Array, Array]:
    """Bootstrap weights of seeds and of images, `samples` rows each, with sum 1."""
    rng = np.random.default_rng(0)
    seeds, images = (rng.multinomial(n, np.full(n, 1 / n), samples) / n for n in (n_seeds, n_images))
    return seeds, images


def _interval(mean: float, values: Array) -> Difference:
    low, high = np.quantile(values, (0.025, 0.975))
    return Difference(mean, float(low), float(high))
