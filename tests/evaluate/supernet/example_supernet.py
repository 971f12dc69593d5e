"""Small supernets for tests."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import torch
from torch import Generator, Tensor

from bneck.evaluate.data.augmentation import NO_AUGMENTATION, Augmentation
from bneck.evaluate.data.dataset import Data, Split
from bneck.evaluate.supernet.config import SupernetConfig
from bneck.evaluate.supernet.supernet import Supernet
from bneck.evaluate.supernet.trainer import SupernetTrainer, seeded_supernet
from bneck.evaluate.training.recipe import Recipe

from ...search_space.helpers import space_of
from ..example_training import PLAIN, noise_data

# Everything that can vary does, on images of 8 and 12 pixels.
SMALL = space_of(
    """
    {out: [4, 8], depth: [0, 1], kernel: [3, 5], expansion: [1, 2], attention: [none, se, eca]}
    {out: [8, 12], depth: [1, 2], kernel: [3, 7], expansion: [1, 2, 3], attention: [none, se, eca],
     squeeze: [expanded/4, input/4], activation: [relu, silu], stride: [1, 2]}
    """.replace(",\n     squeeze", ", squeeze"),
    resolution="[8, 12]",
    stem="{out: [4, 8], kernel: [3, 5], stride: [1, 2]}",
    head="{features: [12, 16], hidden: [0, 8], activation: [relu, hardswish]}",
)
OURS = SMALL.for_data(3, 2)
CONSTANT = replace(PLAIN, schedule="constant")


def seconds_of_steps() -> Any:
    """A clock that takes a second for each step."""
    return count().__next__


def training_of(recipe: Recipe = CONSTANT, **settings: Any) -> SupernetTrainer:
    return SupernetTrainer(SMALL, noise_data(), SupernetConfig(recipe, **settings), clock=seconds_of_steps())


def lively(supernet: Supernet) -> Supernet:
    """Batch normalisation that is not that of a new network."""
    source = Generator().manual_seed(7)
    with torch.no_grad():
        for name, value in supernet.state_dict().items():
            if "norm." in name and value.ndim:
                low = -0.5 if name.endswith(("bias", "mean")) else 0.5
                value.copy_(low + torch.rand(value.shape, generator=source))
    return supernet


def supernet_of_ours(seed: int = 0) -> Supernet:
    return lively(seeded_supernet(OURS, seed))


@dataclass(frozen=True)
class TrainOnly:
    """Images of which only the training split may be used."""

    data: Data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def count(self, split: Split) -> int:
        assert split == "train"
        return self.data.count(split)

    def labels(self, split: Split) -> Tensor:
        return self.data.labels(split)  # for the fingerprint of the splits

    def batches(
        self,
        split: Split,
        resolution_px: int,
        batch_size: int,
        *,
        shuffle: Generator | None = None,
        augment: Augmentation = NO_AUGMENTATION,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        assert split == "train"
        return self.data.batches(split, resolution_px, batch_size, shuffle=shuffle, augment=augment)
