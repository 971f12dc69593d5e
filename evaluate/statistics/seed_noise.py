"""How much the trainings of one network differ by the seed alone, from the few that were trained again.

A search trains some networks again, some of them more often than others, so the table of networks and
seeds has gaps. A seed gives all networks the same order of images, and may move all of them alike:
accuracy = network + seed + noise. Where that is told (F test, 5%, on 3 degrees of freedom at least), the
seeds' effects are taken out of the values and out of the noise (least squares). Where it is not, they are
left in both: the noise is the pooled variance within networks, and takes for chance what the seeds may do.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .reliability import student_t

Table = Mapping[str, Mapping[int, float]]

LEAST_FREEDOM = 3  # with less, trainings that are equal by luck would pass for no noise
_CERTAIN = 0.95


@dataclass(frozen=True)
class Noise:
    """What chance does to one training.

    Attributes:
        deviation: in the unit of the values.
        freedom: that it was found with.
    """

    deviation: float
    freedom: int

    def margin(self, trainings: int) -> float:
        """Half the 95% interval of a mean of so many trainings, by Student's t."""
        return student_t(self.freedom) * self.deviation / math.sqrt(trainings)

    def tellable(self, one: int = 1, other: int = 1) -> float:
        """How far apart the means of two networks, of so many trainings each, are by chance at most (95%)."""
        return student_t(self.freedom) * self.deviation * math.sqrt(1 / one + 1 / other)


@dataclass(frozen=True)
class _Split:
    """The squares within networks, and what the seeds leave of them; each with its freedom.

    Attributes:
        effects: by seed, as least squares has them, 0 for the lowest seed.
    """

    within: float
    within_freedom: int
    left: float
    left_freedom: int
    effects: Mapping[int, float]

    @property
    def seeds_matter(self) -> bool:
        """Whether seeds move all networks alike by more than chance lets expect."""
        from scipy.special import fdtri

        seeds_freedom = self.within_freedom - self.left_freedom
        if self.left_freedom < LEAST_FREEDOM or seeds_freedom < 1:
            return False
        seeds, left = (self.within - self.left) / seeds_freedom, self.left / self.left_freedom
        return bool(seeds > fdtri(seeds_freedom, self.left_freedom, _CERTAIN) * left)


def noise_of(table: Table) -> Noise | None:
    """The noise of one training; None where no network was trained twice.

    Args:
        table: the values of each network by seed, with gaps; all networks have one seed in common, as
            they have in a search.
    """
    split = _split(table)
    if split.within_freedom < 1:
        return None
    if split.seeds_matter:
        return Noise(math.sqrt(split.left / split.left_freedom), split.left_freedom)
    return Noise(math.sqrt(split.within / split.within_freedom), split.within_freedom)


def seed_effects(table: Table) -> dict[int, float]:
    """What each seed adds to all networks alike, beyond the lowest seed; empty where none is told."""
    split = _split(table)
    return dict(split.effects) if split.seeds_matter else {}


def _split(table: Table) -> _Split:
    again = [row for row in table.values() if len(row) > 1]
    seeds = sorted({seed for row in again for seed in row})
    trainings = [(number, seed, value) for number, row in enumerate(again) for seed, value in row.items()]
    if not trainings:
        return _Split(0.0, 0, 0.0, 0, {})
    owner = np.array([number for number, _, _ in trainings])
    values = np.array([value for _, _, value in trainings], dtype=np.float64)
    design = np.array([[seed == each for each in seeds] for _, seed, _ in trainings], dtype=np.float64)
    for number in range(len(again)):  # networks are free: each is seen around its own mean
        own = owner == number
        values[own] -= values[own].mean()
        design[own] -= design[own].mean(0)
    effects, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(values) - len(again)
    left = float(((values - design @ effects) ** 2).sum()) if freedom > rank else 0.0
    beyond_first = dict(zip(seeds, (effects - effects[0]).tolist(), strict=True))
    return _Split(float((values**2).sum()), freedom, left, freedom - int(rank), beyond_first)
