"""A world with a known truth: networks, images and trainings.

    training t of network n is right on image i if  ability_n + seed_nt + common_i + own_ni + flip_nti > 0

All terms but the ability are normal. The variances of the image terms add up to 1, so that a network's
accuracy on unseen images, expected over seeds, is a value of the normal distribution function.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from bneck.evaluate.statistics.arrays import Array

CENTER = 0.88  # accuracy of a network of medium size
DISAGREEMENT = 0.2  # share of the image variance that two networks do not have in common
FLIPS = 0.5  # share of the seed variance that is due to single images
MACS_RANGE = 3.0  # of log MACs
TRAITS = 8
_DENSITY = math.exp(-(ndtri(CENTER) ** 2) / 2) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Setting:
    """What a search meets.

    Attributes:
        noise: standard deviation of the validation accuracy over seeds, in points.
        structure: standard deviation of the accuracy over networks of equal MACs, in points.
        slope: points for each factor e of MACs.
        images: number of validation images.
    """

    noise: float
    structure: float
    slope: float
    images: int

    @property
    def key(self) -> tuple[int, ...]:
        """For seeds: no two settings share their images."""
        return round(100 * self.noise), round(100 * self.structure), round(100 * self.slope), self.images

    def __str__(self) -> str:
        return f"{self.noise:g}/{self.structure:g}/{self.slope:g}, {self.images:,} images"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network: its log MACs from 0 to `MACS_RANGE`, and traits that decide its structure."""

    log_macs: float
    traits: Array

    @property
    def macs(self) -> int:
        return round(1e6 * math.exp(self.log_macs))


@dataclass(eq=False)
class World:
    """Draws networks and trains them.

    Attributes:
        rng: of everything that is drawn.
    """

    setting: Setting
    rng: np.random.Generator

    def __post_init__(self) -> None:
        weights = self.rng.standard_normal(TRAITS)
        self.weights = weights / np.linalg.norm(weights)
        self.common = math.sqrt(1 - DISAGREEMENT) * self.rng.standard_normal(self.setting.images)

    @cached_property
    def flip_std(self) -> float:
        """So that the flips of single images have their share of the seed variance.

        E[p (1 - p)] of an image is density x std / sqrt(pi) for small deviations.
        """
        variance = FLIPS * (self.setting.noise / 100) ** 2 * self.setting.images
        return min(variance * math.sqrt(math.pi) / _DENSITY, math.sqrt(DISAGREEMENT))

    @cached_property
    def seed_std(self) -> float:
        return math.sqrt(1 - FLIPS) * self.setting.noise / 100 / _DENSITY

    def ability(self, candidate: Candidate) -> float:
        trend = self.setting.slope * (candidate.log_macs - MACS_RANGE / 2)
        structure = self.setting.structure * float(self.weights @ candidate.traits)
        return float(ndtri(CENTER)) + (trend + structure) / 100 / _DENSITY

    def true_accuracy(self, candidate: Candidate) -> float:
        """On unseen images, expected over seeds."""
        return float(ndtr(self.ability(candidate) / math.sqrt(1 + self.seed_std**2)))

    def own_images(self) -> Array:
        """What each image means to one network alone, whatever the seed."""
        std = math.sqrt(DISAGREEMENT - self.flip_std**2)
        return std * self.rng.standard_normal(self.setting.images)

    def train(self, candidate: Candidate, own_images: Array) -> NDArray[np.bool_]:
        """Whether each validation image is classified correctly."""
        seed = self.seed_std * self.rng.standard_normal()
        flips = self.flip_std * self.rng.standard_normal(self.setting.images)
        right: NDArray[np.bool_] = self.ability(candidate) + seed + self.common + own_images + flips > 0
        return right

    def random(self) -> Candidate:
        return Candidate(float(self.rng.uniform(0, MACS_RANGE)), self.rng.standard_normal(TRAITS))

    def near(self, parent: Candidate) -> Candidate:
        """A variation; traits keep their distribution, so that the structure of random parents does too."""
        log_macs = float(np.clip(parent.log_macs + 0.3 * self.rng.standard_normal(), 0, MACS_RANGE))
        traits = 0.8 * parent.traits + 0.6 * self.rng.standard_normal(TRAITS)
        return Candidate(log_macs, traits)


SETTINGS = tuple(
    Setting(noise, structure, slope, images)
    for images in (359, 2000)
    for noise, structure, slope in ((0.4, 0.4, 1.0), (0.6, 0.3, 0.5), (0.6, 0.2, 0.0))
)
UNSTRUCTURED = tuple(Setting(0.6, 0.0, 0.0, images) for images in (359, 2000))
"""All networks are equally accurate."""
