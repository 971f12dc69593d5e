"""Seed noise of one training, estimated from the replicates of a search.

A search replicates some networks, with different numbers of seeds, so the table of networks and seeds has
gaps. Model: accuracy = network + seed + noise. If the seed effects are significant (F test, 5%, at least 3
degrees of freedom), they are removed from the values and from the noise (least squares). Otherwise they stay
in both, and the noise is the pooled variance within networks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .reliability import least_significant_difference, student_t_quantile

SeedTable = Mapping[str, Mapping[int, float]]

MIN_DEGREES_OF_FREEDOM = 3  # with fewer, replicates that agree by chance would suggest no noise
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class SeedNoise:
    """Seed standard deviation of one training.

    Attributes:
        std: in the unit of the values.
        degrees_of_freedom: of the estimate.
    """

    std: float
    degrees_of_freedom: int

    def ci95_half_width(self, trainings: int) -> float:
        """Half width of the 95% interval of a mean over trainings (Student's t)."""
        return student_t_quantile(self.degrees_of_freedom) * self.std / math.sqrt(trainings)

    def least_significant_difference(self, one: int = 1, other: int = 1) -> float:
        """Smallest significant difference (95%) of two networks with `one` and `other` trainings."""
        return least_significant_difference(self.std, self.degrees_of_freedom, one, other)


@dataclass(frozen=True)
class _VarianceDecomposition:
    """Sums of squares within networks, before and after removing seed effects.

    Attributes:
        effects: least-squares effect by seed, 0 for the lowest seed.
    """

    within_sum_of_squares: float
    within_degrees_of_freedom: int
    residual_sum_of_squares: float
    residual_degrees_of_freedom: int
    effects: Mapping[int, float]

    @property
    def seed_effect_is_significant(self) -> bool:
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
    """Seed noise of one training; None without replicates.

    Args:
        table: values by network and seed, with gaps; all networks share one seed.
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
    """Effect of each seed relative to the lowest; empty if not significant."""
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
    for number in range(len(replicated)):  # center each network at its own mean
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
