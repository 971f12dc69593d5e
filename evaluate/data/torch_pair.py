"""`Data` from map-style torch data sets: PyTorch's own, torchvision's, or yours."""

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
from .in_memory import InMemoryData, LabelledImages, in_memory_data
from .splits import LabelledT, Split, check_classes, three_splits
from .streaming import StreamingData

MAX_IN_MEMORY_BYTES = 2**30


class MapStyleDataset(Protocol):
    """A `torch.utils.data.Dataset` of images with labels."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int, /) -> Any:
        """A pair of image and label."""


def data_from_datasets(
    train: MapStyleDataset,
    test: MapStyleDataset,
    validation: MapStyleDataset | None = None,
    *,
    name: str | None = None,
    horizontal_flip: bool = False,
) -> InMemoryData | StreamingData:
    """Adapt torch `Dataset`s to the `Data` protocol.

    Items are pairs `(image, label)`. An image is a PIL image; a tensor, `channels x height x width`; or an
    array, `height x width x channels`; tensors and arrays are uint8, or float from 0 to 1. A label is an
    integer from 0. Class names come from the attribute `classes` of `train`; without it, classes are
    numbered. Labels come from the attribute `targets` if it agrees with the items; otherwise every item is
    read once.

    Images are augmented, resized and normalised by bneck: the transforms of the data sets must be
    deterministic, without normalisation. Images of one size that take at most 1 GiB stay in memory; others
    are read again in every epoch, by several threads at once.

    Args:
        validation: by default a stratified 10% of `train`.
        name: name of the data, for messages and reports; by default the class name of `train`.
        horizontal_flip: whether augmentation mirrors images, which is wrong for digits and letters.
    Raises:
        DataError: a data set without length, items of another form, or a class with too few images.
    """
    parts = {"train": train, "validation": validation, "test": test}
    name = name or type(train).__name__
    given = {key: part for key, part in parts.items() if part is not None}
    for key, part in given.items():
        if not (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
            raise DataError(
                f"{name}: the {key} data must be a map-style Dataset with __len__ and __getitem__, "
                f"got {type(part).__name__}"
            )
    return data_from_parts(name, given, horizontal_flip=horizontal_flip)


def data_from_parts(
    name: str,
    parts: Mapping[str, MapStyleDataset],
    *,
    horizontal_flip: bool,
    label_attribute: str = "targets",
    images: Mapping[str, LabelledImages] | None = None,
) -> InMemoryData | StreamingData:
    """Data from the parts that a data set consists of.

    Args:
        parts: by `train`, `test` and optionally `validation`; or `all`, which is split 70/15/15.
        label_attribute: attribute with the list of labels, or of tuples that end with the label.
        images: all images by part, if they are in memory; otherwise they are read item by item.
    Raises:
        DataError: items of another form, or a class with too few images.
    """
    in_memory = images or _load_in_memory(name, parts)
    if in_memory is not None:
        class_names, splits = _splits(name, parts, in_memory)
        return in_memory_data(name, class_names, splits, horizontal_flip=horizontal_flip)
    streamed = {
        key: TorchImages(f"{name}/{key}", part, torch.arange(len(part)), _labels(name, part, label_attribute))
        for key, part in parts.items()
    }
    class_names, streamed_splits = _splits(name, parts, streamed)
    return StreamingData(name, class_names, streamed_splits, horizontal_flip=horizontal_flip)


@dataclass(frozen=True, eq=False)
class TorchImages:
    """Images of a torch data set with labels; implements `streaming.ImageSource`.

    Attributes:
        name: name of this part, for messages: `torchvision:GTSRB/test`.
        indices: `n` int64, positions in `items`.
        labels: `n` int64.
    """

    name: str
    items: MapStyleDataset
    indices: Tensor
    labels: Tensor

    @property
    def hashes(self) -> None:
        """Images are known by their position."""

    def path(self, index: int) -> Path:
        return Path(self.name) / str(int(self.indices[index]))

    def read(self, index: int, downscale_fn: DownscaleFn) -> DecodedImage:
        try:
            image, bit_depth = as_rgb(_read(self.name, self.items, int(self.indices[index]))[0])
            return DecodedImage(image, *image.size, 1, bit_depth)
        except DECODE_ERRORS as error:
            raise UnreadableImageError(self.path(index), reason(error)) from error

    def __getitem__(self, positions: Tensor) -> "TorchImages":
        return TorchImages(self.name, self.items, self.indices[positions], self.labels[positions])


def _splits(
    name: str, parts: Mapping[str, MapStyleDataset], images: Mapping[str, LabelledT]
) -> tuple[tuple[str, ...], dict[Split, LabelledT]]:
    first = next(iter(parts.values()))
    names: Sequence[Any] = getattr(first, "classes", None) or getattr(first, "categories", None) or ()
    count = max(int(part.labels.max()) for part in images.values()) + 1
    # Imagenette has several names for a class.
    class_names = (
        tuple(each if isinstance(each, str) else ", ".join(map(str, each)) for each in names)
        if len(names) >= count
        else tuple(str(number) for number in range(count))
    )
    min_images = {"all": 3, "train": 1 if len(parts) == 3 else 2}  # one for each split
    for key, part in images.items():
        check_classes(name, part.labels, class_names, min_images.get(key, 0))
    return class_names, three_splits(images)


def _load_in_memory(name: str, parts: Mapping[str, MapStyleDataset]) -> dict[str, LabelledImages] | None:
    """All images; None if they exceed `MAX_IN_MEMORY_BYTES`, differ in size, or one is unreadable."""
    first = next(_first_readable(name, part, range(len(part)))[1] for part in parts.values())
    shape = np.asarray(first).shape
    if first.mode not in ("L", "RGB") or prod(shape) * sum(map(len, parts.values())) > MAX_IN_MEMORY_BYTES:
        return None
    images: dict[str, LabelledImages] = {}
    for key, part in parts.items():
        pixels, labels = np.empty((len(part), *shape), np.uint8), np.empty(len(part), np.int64)
        for index in range(len(part)):
            try:
                image, labels[index] = _read(name, part, index)
                if (image.mode, image.size) != (first.mode, first.size):
                    return None
                pixels[index] = image
            except DECODE_ERRORS:
                return None
        part_pixels = pixels if pixels.ndim == 4 else pixels[..., None]
        images[key] = LabelledImages(torch.from_numpy(part_pixels), torch.from_numpy(labels))
    return images


def _labels(name: str, part: MapStyleDataset, attribute: str) -> Tensor:
    """Label of each image, `n` int64; from a list of labels if the first and the last item agree with it."""
    indices = range(len(part))
    listed = getattr(part, attribute, None)
    if listed is not None and getattr(part, "target_transform", None) is None:
        labels = np.asarray([each[-1] if isinstance(each, tuple) else each for each in listed])
        ends = [_first_readable(name, part, order) for order in (indices, reversed(indices))]
        is_label_list = labels.shape == (len(part),) and labels.dtype.kind in "iu"
        if is_label_list and all(labels[index] == label for index, _, label in ends):
            return torch.from_numpy(labels.astype(np.int64))
    try:
        return torch.tensor([_read(name, part, index)[1] for index in indices])
    except DECODE_ERRORS as error:
        raise DataError(
            f"{name}: an image cannot be read ({reason(error)}) and there is no list of labels; "
            f"add the attribute {attribute}, or remove the image"
        ) from error


def _first_readable(name: str, part: MapStyleDataset, indices: Iterable[int]) -> tuple[int, Image.Image, int]:
    for index in indices:
        try:
            return index, *_read(name, part, index)
        except DECODE_ERRORS:
            continue
    raise DataError(f"{name}: none of the {len(part)} images can be read; replace them")


def _read(name: str, part: MapStyleDataset, index: int) -> tuple[Image.Image, int]:
    item = part[index]
    if not (isinstance(item, (tuple, list)) and len(item) == 2):
        raise DataError(f"{name}: items must be pairs of image and label, got {type(item).__name__}")
    return _as_image(name, item[0]), _as_label(name, item[1])


def _as_label(name: str, label: Any) -> int:
    array = np.asarray(label) if isinstance(label, (int, np.integer, np.ndarray, Tensor)) else None
    if array is None or array.ndim or array.dtype.kind not in "iu":
        raise DataError(f"{name}: labels must be integers, got {type(label).__name__} {label!r}")
    return int(array)


def _as_image(name: str, image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, Tensor):
        pixels: Any = (image if image.ndim < 3 else image.movedim(0, -1)).detach().cpu().numpy()
    elif isinstance(image, np.ndarray):
        pixels = image
    else:
        raise DataError(f"{name}: images must be PIL images, tensors or arrays, got {type(image).__name__}")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise DataError(
            f"{name}: images must have 1 or 3 channels (tensors: first axis, arrays: last axis), "
            f"got shape {tuple(image.shape)}"
        )
    if pixels.dtype.kind == "f":
        if not 0 <= pixels.min() <= pixels.max() <= 1:
            raise DataError(
                f"{name}: float pixels must be from 0 to 1, got {pixels.min():.3g} to {pixels.max():.3g}; "
                "remove normalisation from the transform, bneck normalises"
            )
        pixels = (pixels * 255).round().astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise DataError(f"{name}: pixels must be uint8, or float from 0 to 1, got {pixels.dtype}")
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
