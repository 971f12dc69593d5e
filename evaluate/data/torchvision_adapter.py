"""What data sets of torchvision hand out, item by item, as pictures with class numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...search_space.errors import DataError
from .decode import DECODE_ERRORS, DecodedImage, DownscaleFn, UnreadableImageError, as_rgb, reason
from .in_memory import LabelledImages

MAX_IN_MEMORY_BYTES = 2**30


class MapStyleDataset(Protocol):
    """One part of a data set, as torchvision has it."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int, /) -> tuple[Any, Any]:
        """An image and its target."""


@dataclass(frozen=True, eq=False)
class TorchvisionImages:
    """Images of a torchvision data set with their classes; implements `streaming.ImageSource`.

    Attributes:
        name: of this part, for messages: `torchvision:GTSRB/test`.
        indices: `n` int64, in `items`.
        labels: `n` int64.
    """

    name: str
    items: MapStyleDataset
    indices: Tensor
    labels: Tensor

    def path(self, index: int) -> Path:
        return Path(self.name) / str(int(self.indices[index]))

    def read(self, index: int, downscale_fn: DownscaleFn) -> DecodedImage:
        try:
            image = as_rgb(self.items[int(self.indices[index])][0])
            return DecodedImage(image, *image.size, downscale=1)
        except DECODE_ERRORS as error:
            raise UnreadableImageError(self.path(index), reason(error)) from error

    def __getitem__(self, positions: Tensor) -> "TorchvisionImages":
        return TorchvisionImages(self.name, self.items, self.indices[positions], self.labels[positions])


def load_in_memory(name: str, parts: Mapping[str, MapStyleDataset]) -> dict[str, LabelledImages] | None:
    """All images of all parts in memory.

    Returns:
        None if they take more than `MAX_IN_MEMORY_BYTES`, differ in size or are partly unreadable.
    Raises:
        DataError: items that are no pictures with a class.
    """
    first = next(_first_readable(name, part, range(len(part)))[1] for part in parts.values())
    shape = np.asarray(first).shape
    if first.mode not in ("L", "RGB") or prod(shape) * sum(map(len, parts.values())) > MAX_IN_MEMORY_BYTES:
        return None
    read: dict[str, LabelledImages] = {}
    for key, part in parts.items():
        pixels, labels = np.empty((len(part), *shape), np.uint8), np.empty(len(part), np.int64)
        for index in range(len(part)):
            try:
                image, target = part[index]
                if (image.mode, image.size) != (first.mode, first.size):
                    return None
                pixels[index], labels[index] = image, _class_index(name, target)
            except DECODE_ERRORS:
                return None
        part_pixels = pixels if pixels.ndim == 4 else pixels[..., None]
        read[key] = LabelledImages(torch.from_numpy(part_pixels), torch.from_numpy(labels))
    return read


def _first_readable(name: str, part: MapStyleDataset, indices: Iterable[int]) -> tuple[int, Image.Image, int]:
    """Place, picture and class of the first item that can be read."""
    for index in indices:
        try:
            image, target = part[index]
        except DECODE_ERRORS:
            continue
        if not isinstance(image, Image.Image):
            raise DataError(f"{name}: its items are no pictures but {type(image).__name__}; choose another")
        return index, image, _class_index(name, target)
    raise DataError(f"{name}: has no image that can be read; remove its files and use --download")


def _class_index(name: str, target: Any) -> int:
    array = np.asarray(target) if isinstance(target, (int, np.integer, Tensor)) else None
    if array is None or array.ndim or array.dtype.kind not in "iu":
        raise DataError(
            f"{name}: its targets are no classes but {type(target).__name__}; "
            "choose a data set for classification"
        )
    return int(array)


def class_indices(name: str, part: MapStyleDataset) -> Tensor:
    """Class of each image, without decoding all where the data set has a list of them.

    Returns:
        `n` int64.
    Raises:
        DataError: items that are no pictures with a class.
    """
    pairs = getattr(part, "_samples", None)
    label_lists = [getattr(part, key, None) for key in ("targets", "labels", "_labels", "y")]
    label_lists.append([pair[-1] for pair in pairs] if isinstance(pairs, Sequence) else None)
    indices = range(len(part))
    ends = [_first_readable(name, part, indices), _first_readable(name, part, reversed(indices))]
    for labels in label_lists:
        array = np.asarray(labels)
        is_list = array.shape == (len(part),) and array.dtype.kind in "iu"
        if is_list and all(array[index] == label for index, _, label in ends):
            return torch.from_numpy(array.astype(np.int64))
    try:
        return torch.tensor([_class_index(name, part[index][1]) for index in indices])
    except DECODE_ERRORS as error:
        raise DataError(
            f"{name}: has no list of classes, and an image cannot be read ({reason(error)}); "
            "remove its files and use --download"
        ) from error
