"""Training configuration of a supernet, stored in its file."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from ...search_space.errors import FieldError
from ..training.recipe import Recipe

SamplingStrategy = Literal["uniform", "balanced", "sandwich"]


@dataclass(frozen=True)
class SupernetConfig:
    """Training configuration of a supernet.

    Attributes:
        recipe: training recipe; `bn_recalibration_images` is not used.
        strategy: networks trained in a step. `uniform`: one at random. `balanced`: one, every choice of a
            gene equally often. `sandwich`: the largest on the labels, the smallest and two random ones on
            the predictions of the largest.
        max_macs: maximum MACs of the trained networks; None for no limit.
        minutes: budget instead of the recipe's epochs, with its schedule stretched over it: process time on a
            CPU, wall time on a GPU.
        seed: random seed of initial weights, network sampling, image order and augmentation.
    Raises:
        FieldError: an unknown strategy, a non-positive limit, or a recipe with `freeze` or `drop_path`.
    """

    recipe: Recipe = field(default_factory=Recipe)
    strategy: SamplingStrategy = "uniform"
    max_macs: float | None = None
    minutes: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in get_args(SamplingStrategy):
            known = ", ".join(get_args(SamplingStrategy))
            raise FieldError("strategy", f"must be one of {known}, got '{self.strategy}'")
        for name in ("max_macs", "minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise FieldError(name, f"must be above 0, got {value}")
        for name, required in (("freeze", "none"), ("drop_path", 0)):
            if (value := getattr(self.recipe, name)) != required:
                raise FieldError(name, f"must be {required} in the recipe of a supernet, got {value}")
