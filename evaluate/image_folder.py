"""Data in folders: an image file's folder is its class, read anew for every batch."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Generator, Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.v2 import functional

from ..search_space.errors import DataError
from .image_tensors import normalised
from .splits import Split, augmentation_source, batch_positions, check_classes, stratified_parts

_IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]) * 255
_IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]) * 255
_CROP_SCALE = (0.35, 1.0)
_CROP_RATIO = (3 / 4, 4 / 3)
_SHARE = 0.15
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """Image files with their classes.

    Attributes:
        paths: `n` files.
        labels: `n` int64.
    """

    paths: tuple[Path, ...]
    labels: Tensor

    def __getitem__(self, chosen: Tensor) -> "LabelledFiles":
        return LabelledFiles(tuple(self.paths[place] for place in chosen.tolist()), self.labels[chosen])


@dataclass(frozen=True, eq=False)
class FolderData:
    """Colour images in class folders; implements `bneck.evaluate.data.Data`.

    Images are normalised as for ImageNet. Augmentation is a random crop of 35% to 100% of
    the area, mirrored half of the time; without it, the middle of the image is taken.
    As many threads read as torch computes with.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[Split, LabelledFiles]
    image_channels: int = 3

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        return tuple(_IMAGENET_MEAN.tolist())

    @property
    def pixel_std(self) -> tuple[float, ...]:
        return tuple(_IMAGENET_STD.tolist())

    def count(self, split: Split) -> int:
        return len(self.splits[split].labels)

    def labels(self, split: Split) -> Tensor:
        return self.splits[split].labels

    def keep(self, split: Split, chosen: Tensor) -> "FolderData":
        return replace(self, splits={**self.splits, split: self.splits[split][chosen]})

    def batches(
        self,
        split: Split,
        resolution_px: int,
        batch_size: int,
        *,
        shuffle: Generator | None = None,
        augment: bool = False,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        source = augmentation_source(shuffle, augment)
        files = self.splits[split]
        with ThreadPoolExecutor(torch.get_num_threads()) as readers:
            for chosen in batch_positions(len(files.labels), batch_size, shuffle):
                batch = files[chosen]
                if source is None:
                    pixels = readers.map(lambda path: read_middle(path, resolution_px), batch.paths)
                else:
                    # Drawn here and not by the readers, whose order is not fixed.
                    chances = torch.rand(len(chosen), 5, generator=source).tolist()
                    pixels = readers.map(
                        lambda path, chance: read_crop(path, resolution_px, chance), batch.paths, chances
                    )
                stacked = torch.from_numpy(np.stack(list(pixels)))
                yield normalised(stacked, _IMAGENET_MEAN, _IMAGENET_STD), batch.labels


def load_folder(name: str, root: Path) -> FolderData:
    """Data in `root/CLASS/image` or in `root/train/CLASS/image` with `val` or `test` or both beside.

    Class folders alone are divided 70/15/15, class by class. With `train` and one more folder
    that one is the test split, and 15% of `train` validate. `validation` is the same as `val`;
    what is hidden or has no image suffix is ignored.

    Args:
        name: as the user wrote it.
        root: the folder.
    Raises:
        DataError: no such folder, fewer than two classes, different classes in the folders, a
            class with too few images, an image that cannot be read.
    """
    if not root.is_dir():
        raise DataError(f"{name}: no folder {root}; give one with a sub-folder of images for each class")
    named = {folder.name: folder for folder in _folders(root)}
    if "val" in named and "validation" in named:
        raise DataError(f"{root}: val and validation are the same split; remove or rename one")
    validation, test = named.get("val", named.get("validation")), named.get("test")
    if "train" not in named or validation is test is None:
        class_names, everything = _read_classes(root, 3)
        parts = stratified_parts(everything.labels, (_SHARE, _SHARE))
        train_files, validation_files, test_files = (everything[part] for part in parts)
    else:
        train, both = named["train"], validation is not None and test is not None
        class_names, train_files = _read_classes(train, 1 if both else 2)
        others = []
        for folder in (validation, test):
            if folder is not None:
                other_names, files = _read_classes(folder, 1)
                _check_same(train, class_names, folder, other_names)
                others.append(files)
        if not both:
            rest, held_out = stratified_parts(train_files.labels, (_SHARE,))
            others.insert(0, train_files[held_out])
            train_files = train_files[rest]
        validation_files, test_files = others
    splits: dict[Split, LabelledFiles] = {
        "train": train_files,
        "validation": validation_files,
        "test": test_files,
    }
    for files in splits.values():
        for path in files.paths:
            _verify(path)
    return FolderData(name, class_names, splits)


def read_middle(path: Path, resolution_px: int) -> NDArray[np.uint8]:
    """The middle square of an image, 224/256 of its shorter side.

    Returns:
        `r x r x 3` uint8.
    Raises:
        DataError: the file cannot be read.
    """
    shorter_px = round(resolution_px * 256 / 224)
    image = functional.resize(_read(path), [shorter_px])
    return np.array(functional.center_crop(image, [resolution_px, resolution_px]))


def read_crop(path: Path, resolution_px: int, chance: Sequence[float]) -> NDArray[np.uint8]:
    """A part of an image made square, mirrored or not.

    Args:
        chance: five numbers from 0 to 1, for area, aspect ratio, top, left and mirroring.
    Returns:
        `r x r x 3` uint8.
    Raises:
        DataError: the file cannot be read.
    """
    image = _read(path)
    top, left, height, width = crop_box(image.height, image.width, chance[:4])
    image = functional.resized_crop(image, top, left, height, width, [resolution_px, resolution_px])
    return np.array(functional.horizontal_flip(image) if chance[4] < 0.5 else image)


def crop_box(height: int, width: int, chance: Sequence[float]) -> tuple[int, int, int, int]:
    """Where to crop an image: 35% to 100% of its area, 3:4 to 4:3, and no larger than the image.

    Args:
        height, width: of the image, pixels.
        chance: four numbers from 0 to 1, for area, aspect ratio, top and left.
    Returns:
        Top, left, height and width, pixels.
    """
    area = height * width * (_CROP_SCALE[0] + chance[0] * (_CROP_SCALE[1] - _CROP_SCALE[0]))
    ratio = _CROP_RATIO[0] * (_CROP_RATIO[1] / _CROP_RATIO[0]) ** chance[1]
    crop_height = min(height, max(1, round((area / ratio) ** 0.5)))
    crop_width = min(width, max(1, round((area * ratio) ** 0.5)))
    top, left = (height - crop_height + 1) * chance[2], (width - crop_width + 1) * chance[3]
    return min(int(top), height - crop_height), min(int(left), width - crop_width), crop_height, crop_width


def _read_classes(folder: Path, least: int) -> tuple[tuple[str, ...], LabelledFiles]:
    """The classes of a folder and their images, both in order of name."""
    classes = _folders(folder)
    if len(classes) < 2:
        found = f"only '{classes[0].name}'" if classes else "none"
        raise DataError(
            f"{folder}: needs a sub-folder of images for each of two or more classes, got {found}"
        )
    images = [_images(of_class) for of_class in classes]
    labels = torch.repeat_interleave(torch.tensor([len(paths) for paths in images]))
    class_names = tuple(of_class.name for of_class in classes)
    check_classes(str(folder), labels, class_names, least)
    return class_names, LabelledFiles(tuple(path for paths in images for path in paths), labels)


def _check_same(first: Path, first_names: Sequence[str], second: Path, second_names: Sequence[str]) -> None:
    pairs = ((first, first_names, second, second_names), (second, second_names, first, first_names))
    for has, names, lacks, other_names in pairs:
        missing = ", ".join(sorted(set(names) - set(other_names)))
        if missing:
            raise DataError(f"{lacks}: lacks {missing}, which {has} has; all need the same classes")


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMG_EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )


def _verify(path: Path) -> None:
    """Raise `DataError` unless the file starts as an image and its checksums, if any, are right."""
    try:
        with Image.open(path) as image:
            image.verify()
    except _UNREADABLE as error:
        raise _unreadable(path) from error


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except _UNREADABLE as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> DataError:
    return DataError(f"{path}: not a readable image; remove or replace it")
