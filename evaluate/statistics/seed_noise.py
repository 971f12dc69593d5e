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

from .reliability import student_t_quantile

SeedTable = Mapping[str, Mapping[int, float]]

MIN_DEGREES_OF_FREEDOM = 3  # with less, trainings that are equal by luck would pass for no noise
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class SeedNoise:
    """What chance does to one training.

    Attributes:
        std: in the unit of the values.
        degrees_of_freedom: that it was found with.
    """

    std: float
    degrees_of_freedom: int

    def ci95_half_width(self, trainings: int) -> float:
        """Half the 95% interval of a mean of so many trainings, by Student's t."""
        return student_t_quantile(self.degrees_of_freedom) * self.std / math.sqrt(trainings)

    def least_significant_difference(self, one: int = 1, other: int = 1) -> float:
        """How far apart the means of two networks, of so many trainings each, are by chance at most (95%)."""
        return student_t_quantile(self.degrees_of_freedom) * self.std * math.sqrt(1 / one + 1 / other)


@dataclass(frozen=True)
class _VarianceDecomposition:
    """The squares within networks, and what the seeds leave of them; each with its freedom.

    Attributes:
        effects: by seed, as least squares has them, 0 for the lowest seed.
    """

    within_sum_of_squares: float
    within_degrees_of_freedom: int
    residual_sum_of_squares: float
    residual_degrees_of_freedom: int
    effects: Mapping[int, float]

    @property
    def seed_effect_is_significant(self) -> bool:
        """Whether seeds move all networks alike by more than chance lets expect."""
        from scipy.special import fdtri

        seed_degrees_of_freedom = self.within_degrees_of_freedom - self.residual_degrees_of_freedom
        if self.residual_degrees_of_freedom < MIN_DEGREES_OF_FREEDOM or seed_degrees_of_freedom < 1:
            return False
        seeds, residual_sum_of_squares = (
            (self.within_sum_of_squares - self.residual_sum_of_squares) / seed_degrees_of_freedom,
            self.residual_sum_of_squares / self.residual_degrees_of_freedom,
        )
        return bool(
            seeds
            > fdtri(seed_degrees_of_freedom, self.residual_degrees_of_freedom, _CONFIDENCE)
            * residual_sum_of_squares
        )


def estimate_seed_noise(table: SeedTable) -> SeedNoise | None:
    """The noise of one training; None where no network was trained twice.

    Args:
        table: the values of each network by seed, with gaps; all networks have one seed in common, as
            they have in a search.
    """
    split = _decompose_variance(table)
    if split.within_degrees_of_freedom < 1:
        return None
    if split.seed_effect_is_significant:
        return SeedNoise(
            math.sqrt(split.residual_sum_of_squares / split.residual_degrees_of_freedom),
            split.residual_degrees_of_freedom,
        )
    return SeedNoise(
        math.sqrt(split.within_sum_of_squares / split.within_degrees_of_freedom),
        split.within_degrees_of_freedom,
    )


def seed_effects(table: SeedTable) -> dict[int, float]:
    """What each seed adds to all networks alike, beyond the lowest seed; empty where none is told."""
    split = _decompose_variance(table)
    return dict(split.effects) if split.seed_effect_is_significant else {}


def _decompose_variance(table: SeedTable) -> _VarianceDecomposition:
    replicated = [row for row in table.values() if len(row) > 1]
    seeds = sorted({seed for row in replicated for seed in row})
    trainings = [
        (number, seed, value) for number, row in enumerate(replicated) for seed, value in row.items()
    ]
    if not trainings:
        return _VarianceDecomposition(0.0, 0, 0.0, 0, {})
    network_index = np.array([number for number, _, _ in trainings])
    values = np.array([value for _, _, value in trainings], dtype=np.float64)
    design = np.array([[seed == each for each in seeds] for _, seed, _ in trainings], dtype=np.float64)
    for number in range(len(replicated)):  # networks are free: each is seen around its own mean
        mask = network_index == number
        values[mask] -= values[mask].mean()
        design[mask] -= design[mask].mean(0)
    effects, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    degrees_of_freedom = len(values) - len(replicated)
    residual_sum_of_squares = (
        float(((values - design @ effects) ** 2).sum()) if degrees_of_freedom > rank else 0.0
    )
    relative_to_first = dict(zip(seeds, (effects - effects[0]).tolist(), strict=True))
    return _VarianceDecomposition(
        float((values**2).sum()),
        degrees_of_freedom,
        residual_sum_of_squares,
        degrees_of_freedom - int(rank),
        relative_to_first,
    )
