"""How a supernet is trained, as a value that its file keeps."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from ...search_space.errors import FieldError
from ..training.recipe import Recipe

SamplingStrategy = Literal["uniform", "balanced", "sandwich"]


@dataclass(frozen=True)
class SupernetConfig:
    """What is trained for how long.

    Attributes:
        recipe: of the steps; its `bn_recalibration_images` is of no use here.
        strategy: which networks a step trains: `uniform` one at random; `balanced` one, so that every
            choice of a gene comes equally often; `sandwich` the largest on the labels, and the
            smallest and two at random on its answers.
        max_macs: of the networks that are trained; None for no limit.
        minutes: of computing, instead of the recipe's epochs, over which its schedule is stretched:
            the process's own time on a CPU, the clock's on a GPU.
        seed: of the weights, the networks, the images' order and augmentation.
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
            if getattr(self.recipe, name) != required:
                value = getattr(self.recipe, name)
                raise FieldError(name, f"must be {required} in the recipe of a supernet, got {value}")
