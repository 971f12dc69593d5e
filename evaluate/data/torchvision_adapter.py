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
from .decode import UNREADABLE, Picture, Shrink, UnreadableImageError, as_rgb, reason
from .in_memory import LabelledImages

MEMORY_BYTES = 2**30


class Items(Protocol):
    """One part of a data set, as torchvision has it."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int, /) -> tuple[Any, Any]:
        """An image and its target."""


@dataclass(frozen=True, eq=False)
class LabelledItems:
    """Images of a torchvision data set with their classes; implements `image_stream.Images`.

    Attributes:
        name: of this part, for messages: `torchvision:GTSRB/test`.
        places: `n` int64, in `items`.
        labels: `n` int64.
    """

    name: str
    items: Items
    places: Tensor
    labels: Tensor

    def path(self, place: int) -> Path:
        return Path(self.name) / str(int(self.places[place]))

    def read(self, place: int, shrink: Shrink) -> Picture:
        try:
            image = as_rgb(self.items[int(self.places[place])][0])
            return Picture(image, *image.size, times=1)
        except UNREADABLE as error:
            raise UnreadableImageError(self.path(place), reason(error)) from error

    def __getitem__(self, chosen: Tensor) -> "LabelledItems":
        return LabelledItems(self.name, self.items, self.places[chosen], self.labels[chosen])


def read_all(name: str, parts: Mapping[str, Items]) -> dict[str, LabelledImages] | None:
    """All images of all parts in memory.

    Returns:
        None if they take more than `MEMORY_BYTES`, differ in size or are partly unreadable.
    Raises:
        DataError: items that are no pictures with a class.
    """
    first = next(_first(name, part, range(len(part)))[1] for part in parts.values())
    shape = np.asarray(first).shape
    if first.mode not in ("L", "RGB") or prod(shape) * sum(map(len, parts.values())) > MEMORY_BYTES:
        return None
    read: dict[str, LabelledImages] = {}
    for key, part in parts.items():
        pixels, labels = np.empty((len(part), *shape), np.uint8), np.empty(len(part), np.int64)
        for place in range(len(part)):
            try:
                image, target = part[place]
                if (image.mode, image.size) != (first.mode, first.size):
                    return None
                pixels[place], labels[place] = image, _class_number(name, target)
            except UNREADABLE:
                return None
        of_part = pixels if pixels.ndim == 4 else pixels[..., None]
        read[key] = LabelledImages(torch.from_numpy(of_part), torch.from_numpy(labels))
    return read


def _first(name: str, part: Items, places: Iterable[int]) -> tuple[int, Image.Image, int]:
    """Place, picture and class of the first item that can be read."""
    for place in places:
        try:
            image, target = part[place]
        except UNREADABLE:
            continue
        if not isinstance(image, Image.Image):
            raise DataError(f"{name}: its items are no pictures but {type(image).__name__}; choose another")
        return place, image, _class_number(name, target)
    raise DataError(f"{name}: has no image that can be read; remove its files and use --download")


def _class_number(name: str, target: Any) -> int:
    array = np.asarray(target) if isinstance(target, (int, np.integer, Tensor)) else None
    if array is None or array.ndim or array.dtype.kind not in "iu":
        raise DataError(
            f"{name}: its targets are no classes but {type(target).__name__}; "
            "choose a data set for classification"
        )
    return int(array)


def class_numbers(name: str, part: Items) -> Tensor:
    """Class of each image, without decoding all where the data set has a list of them.

    Returns:
        `n` int64.
    Raises:
        DataError: items that are no pictures with a class.
    """
    pairs = getattr(part, "_samples", None)
    listed = [getattr(part, key, None) for key in ("targets", "labels", "_labels", "y")]
    listed.append([pair[-1] for pair in pairs] if isinstance(pairs, Sequence) else None)
    places = range(len(part))
    ends = [_first(name, part, places), _first(name, part, reversed(places))]
    for labels in listed:
        array = np.asarray(labels)
        is_list = array.shape == (len(part),) and array.dtype.kind in "iu"
        if is_list and all(array[place] == label for place, _, label in ends):
            return torch.from_numpy(array.astype(np.int64))
    try:
        return torch.tensor([_class_number(name, part[place][1]) for place in places])
    except UNREADABLE as error:
        raise DataError(
            f"{name}: has no list of classes, and an image cannot be read ({reason(error)}); "
            "remove its files and use --download"
        ) from error
