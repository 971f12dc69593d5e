"""Seed noise of one training."""

import math
from dataclasses import dataclass

from .reliability import least_significant_difference, student_t_quantile

MIN_DEGREES_OF_FREEDOM = 3  # with fewer, replicates that agree by chance would suggest no noise


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
