"""An estimated value with its uncertainty."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference of two independent estimates, whose intervals may be asymmetric.

        For two proportions with Wilson's intervals this is Newcombe's hybrid score interval.

        Source: Newcombe 1998, Statistics in Medicine 17, 873-890, method 10; Zou and Donner 2008,
        doi:10.1002/sim.3095.
        """
        value = self.value - other.value
        below = math.hypot(self.value - self.low, other.high - other.value)
        above = math.hypot(self.high - self.value, other.value - other.low)
        return Estimate(value, value - below, value + above)
