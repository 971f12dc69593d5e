"""A pair of torch `Dataset`s as data of bneck."""

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...evaluate.data.builtin import VALIDATION_FRACTION
from ...evaluate.data.dataset import Data
from ...evaluate.data.in_memory import in_memory_data
from ...evaluate.data.splits import check_classes, split_off_validation
from ...evaluate.data.streaming import StreamingData
from ...evaluate.data.torchvision_adapter import (
    MapStyleDataset,
    TorchvisionImages,
    class_indices,
    load_in_memory,
)
from ...search_space import DataError


@dataclass(frozen=True, eq=False)
class _Pictures:
    """A data set whose tensors are converted to PIL images."""

    items: MapStyleDataset

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = self.items[index]
        return _as_picture(image), target

    def __getattr__(self, name: str) -> Any:
        return getattr(self.items, name)


def data_from_datasets(train: MapStyleDataset, test: MapStyleDataset) -> Data:
    """Images for training and test; every tenth training image of a class validates.

    Args:
        train, test: items are pairs of image and class number. An image is a PIL image or a tensor,
            `channels x height x width`, uint8 or float from 0 to 1: no normalization, no augmentation.
    Raises:
        DataError: other items, or a class has too few images.
    """
    name = type(train).__name__
    pictures = {"train": _Pictures(train), "test": _Pictures(test)}
    in_memory = load_in_memory(name, pictures)
    if in_memory is not None:
        classes = _class_names(train, in_memory["train"].labels)
        for part in in_memory.values():
            check_classes(name, part.labels, classes, 0)
        splits = split_off_validation(in_memory["train"], in_memory["test"], VALIDATION_FRACTION)
        return in_memory_data(name, classes, splits, horizontal_flip=False)
    files = {
        key: TorchvisionImages(f"{name}/{key}", part, torch.arange(len(part)), class_indices(name, part))
        for key, part in pictures.items()
    }
    classes = _class_names(train, files["train"].labels)
    for images in files.values():
        check_classes(name, images.labels, classes, 0)
    streamed = split_off_validation(files["train"], files["test"], VALIDATION_FRACTION)
    return StreamingData(name, classes, streamed, horizontal_flip=False)


def _class_names(train: object, labels: Tensor) -> tuple[str, ...]:
    count = int(labels.max()) + 1
    names = getattr(train, "classes", ())
    return tuple(map(str, names)) if len(names) >= count else tuple(map(str, range(count)))


def _as_picture(image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    from torchvision.transforms.functional import to_pil_image

    if not isinstance(image, Tensor) or image.ndim not in (2, 3):
        raise DataError(f"images must be PIL images or tensors, got {type(image).__name__}")
    if image.is_floating_point() and not 0 <= float(image.min()) <= float(image.max()) <= 1:
        raise DataError("float images must be from 0 to 1; leave the normalization to bneck")
    picture: Image.Image = to_pil_image(image)
    return picture
