"""Data: a pair of torch data sets with random grey images of two brightness classes."""

import torch
from torch.utils.data import TensorDataset


def load() -> tuple[TensorDataset, TensorDataset]:
    """Training and test images."""
    return _images(120, 0), _images(40, 1)


def _images(count: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    pixels = torch.rand((count, 1, 16, 16), generator=generator) * 0.5 + 0.5 * labels[:, None, None, None]
    return TensorDataset(pixels, labels)
