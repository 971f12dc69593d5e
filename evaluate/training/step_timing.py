"""Duration of a training step and memory of a training, before the first training ends."""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ...search_space.network import Network
from ..data.dataset import Data
from .distillation import Distillation
from .recipe import Recipe
from .trainer import ComputeConfig, Trainer

TIMED_STEPS = 2


@dataclass(frozen=True)
class StepTiming:
    """Measured on a few training steps.

    Attributes:
        seconds_per_image: of training, reading of the images included.
        memory_bytes: largest resident memory of this process so far.
    """

    seconds_per_image: float
    memory_bytes: int


def time_steps(
    network: Network,
    data: Data,
    recipe: Recipe,
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
    distillation: Distillation | None = None,
) -> StepTiming | None:
    """Time `TIMED_STEPS` steps after one that warms up; None if the data has too few images.

    The network is trained by these steps.
    """
    count = min(data.count("train"), (TIMED_STEPS + 1) * recipe.batch_size)
    few = data.subset("train", torch.arange(count))
    training = Trainer(
        network,
        few,
        replace(recipe, epochs=1),
        seed=0,
        compute=ComputeConfig(device),
        distillation=distillation,
    )
    marks: list[tuple[float, int]] = []
    training.run_epoch(lambda images: marks.append((clock(), images)))
    (first, _), *timed = marks
    if not timed:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return StepTiming((timed[-1][0] - first) / sum(images for _, images in timed), memory)
