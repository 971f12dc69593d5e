"""Splits and subsets with all classes, and batches.

Splits do not depend on the seed of a run, so that results of different runs are comparable and the test
images are never used for training or selection. Files are split by a hash of their path, so that adding or
removing one moves no other; data sets with a fixed list of images are split by position.
"""

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, Protocol, Self, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ...search_space.errors import DataError
from ...search_space.printable import utf8_problem

Hashes = NDArray[np.uint64]
Split = Literal["train", "validation", "test"]
EvaluationSplit = Literal["train", "validation", "test", "all"]

SPLITS: tuple[Split, ...] = get_args(Split)
_SEED = 0
_MAX_LISTED = 10


class Labelled(Protocol):
    """Labeled images."""

    @property
    def labels(self) -> Tensor:
        """`n` int64."""

    @property
    def hashes(self) -> Hashes | None:
        """Hash of each image's path, `n` uint64; None if images are known by their position only."""

    def __getitem__(self, positions: Tensor, /) -> Self:
        """The images at these positions, `m` int64."""


LabelledT = TypeVar("LabelledT", bound=Labelled)


def check_classes(place: str, labels: Tensor, class_names: Sequence[str], min_images: int) -> None:
    """Raise `DataError` if a class has too few images, a label is out of range or a name is not UTF-8.

    Args:
        place: file, folder or data set, for the message.
        labels: `n` int64.
        class_names: names of the labels 0, 1, ...
    """
    for problem in filter(None, map(utf8_problem, class_names)):
        raise DataError(f"{place}: class names must be UTF-8: {problem}")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
        wrong = int(labels.max() if labels.max() >= len(class_names) else labels.min())
        raise DataError(f"{place}: labels must be from 0 to {len(class_names) - 1}, got {wrong}")
    counts = torch.bincount(labels, minlength=len(class_names)).tolist()
    too_small = [
        f"class '{name}' needs at least {min_images} image{'' if min_images == 1 else 's'}, got {count}"
        for name, count in zip(class_names, counts, strict=True)
        if count < min_images
    ]
    if too_small:
        more = [f"{len(too_small) - _MAX_LISTED} more classes"] if len(too_small) > _MAX_LISTED else []
        hint = "add images or remove the class" + ("es" if len(too_small) > 1 else "")
        raise DataError(f"{place}: {'; '.join([*too_small[:_MAX_LISTED], *more, hint])}")


def check_statistics(name: str, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise `DataError` unless there is a mean and a standard deviation for each channel.

    Args:
        name: data set, for the message.
    """
    if not len(mean) == len(std) == channels:
        raise DataError(
            f"{name}: normalisation needs {channels} color channel{'' if channels == 1 else 's'}, "
            f"got {len(mean)} means and {len(std)} standard deviations; use data with as many channels"
        )


def path_hashes(folder: str, paths: Iterable[str]) -> Hashes:
    """64-bit hash of the path of each file relative to a folder.

    It is the same on every system: separators are `/`, and names are normalised to Unicode NFC.

    Args:
        folder: a parent of all paths, as they spell it.
    """
    start = len(folder.rstrip(os.sep)) + 1
    return np.fromiter((_path_hash(path[start:]) for path in paths), np.uint64)


def _path_hash(path: str) -> int:
    name = unicodedata.normalize("NFC", path.replace(os.sep, "/"))
    digest = blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest)


def hash_split(labels: Tensor, hashes: Hashes, fractions: Sequence[float]) -> list[Tensor]:
    """Split off parts of about the given fractions by the hash of each image.

    The last part has the hashes from 0 to its fraction of 2^64, and so on; the remainder has the highest.
    An image keeps its part whatever other images there are, except in a class that would miss a part: this
    part gets the image of the class with the nearest hash.

    Args:
        labels: `n` int64; each class has more images than there are fractions.
        hashes: `n` uint64.
        fractions: between 0 and 1, with a sum below 1.
    Returns:
        Ascending positions: the remainder first, then each part.
    """
    thresholds = [np.uint64(2**64 * total) for total in np.cumsum(fractions[::-1])]
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(1 + len(fractions))]
    for class_positions in _classes_by_hash(labels, hashes):
        ends = np.searchsorted(hashes[class_positions], thresholds)
        for number in range(len(ends)):
            smallest = ends[number - 1] + 1 if number else 1
            ends[number] = np.clip(ends[number], smallest, len(class_positions) - len(ends) + number)
        for part, positions in zip(reversed(parts), np.split(class_positions, ends), strict=True):
            part.append(positions)
    return [torch.from_numpy(np.sort(np.concatenate(part))) for part in parts]


def _classes_by_hash(labels: Tensor, hashes: Hashes) -> list[NDArray[np.int64]]:
    """Positions of each class, ascending by hash."""
    order = np.lexsort((hashes, labels.numpy()))
    counts = torch.bincount(labels)
    return np.split(order, np.cumsum(counts[counts > 0].numpy())[:-1])


def stratified_split(labels: Tensor, fractions: Sequence[float]) -> list[Tensor]:
    """Split off parts with the given fractions of every class, deterministically.

    Counts are rounded to the nearest integer, but every part gets at least one image of each class.

    Args:
        labels: `n` int64; each class has more images than there are fractions.
        fractions: between 0 and 1, with a sum below 1.
    Returns:
        Ascending positions: the remainder first, then each part.
    """
    parts: list[list[Tensor]] = [[] for _ in range(1 + len(fractions))]
    for class_positions in _shuffled_classes(labels):
        sizes = [max(1, int(fraction * len(class_positions) + 0.5)) for fraction in fractions]
        for part, positions in zip(
            parts, torch.split(class_positions, [len(class_positions) - sum(sizes), *sizes]), strict=True
        ):
            part.append(positions)
    return [torch.cat(part).sort().values for part in parts]


def three_splits(
    parts: Mapping[str, LabelledT],
    *,
    validation_fraction: float = 0.1,
    fractions: tuple[float, float] = (0.15, 0.15),
) -> dict[Split, LabelledT]:
    """Train, validation and test splits from the parts that a data set consists of.

    Args:
        parts: `all`, with at least three images per class; or `train` with `validation`, `test` or both. With
            one of them, that one is the test split, and validation images are split off `train`, which has
            at least two images per class.
        validation_fraction: fraction of `train` for validation.
        fractions: fractions of `all` for validation and test.
    """
    if "all" in parts:
        images = parts["all"]
        train, validation, test = (images[part] for part in _split_off(images, fractions))
        return {"train": train, "validation": validation, "test": test}
    if "validation" in parts and "test" in parts:
        return {"train": parts["train"], "validation": parts["validation"], "test": parts["test"]}
    images, test = parts["train"], parts["test"] if "test" in parts else parts["validation"]
    train, validation = (images[part] for part in _split_off(images, (validation_fraction,)))
    return {"train": train, "validation": validation, "test": test}


def _split_off(images: Labelled, fractions: Sequence[float]) -> list[Tensor]:
    if images.hashes is None:
        return stratified_split(images.labels, fractions)
    return hash_split(images.labels, images.hashes, fractions)


def stratified_subset(labels: Tensor, count: int, hashes: Hashes | None = None) -> Tensor:
    """Select a stratified subset of `count` images; smaller subsets are contained in larger ones.

    Every class is represented if `count` permits it.

    Args:
        labels: `n` int64.
        hashes: `n` uint64: select the highest of each class; without them images are drawn by position.
    Returns:
        Ascending positions, `min(n, count)` of them.
    """
    if hashes is None:
        classes = _shuffled_classes(labels)
    else:  # the highest are the last that `hash_split` would move from the training images
        classes = [torch.from_numpy(each[::-1].copy()) for each in _classes_by_hash(labels, hashes)]
    positions = torch.cat(classes)
    # The j-th of the m images of a class is included in subsets of more than the fraction j/m of all images.
    entry_fraction = torch.cat(
        [
            torch.arange(len(class_positions), dtype=torch.float64) / len(class_positions)
            for class_positions in classes
        ]
    )
    return positions[entry_fraction.argsort(stable=True)[:count]].sort().values


def batch_indices(count: int, batch_size: int, shuffle: Generator | None) -> tuple[Tensor, ...]:
    """Positions of the images of each batch for one epoch over `count` images.

    In order without `shuffle`. With it in a new random order, and a last batch less than half full is dropped
    unless it is the only one, because batch statistics of few images are unreliable.
    """
    if shuffle is None:
        return torch.split(torch.arange(count), batch_size)
    batches = torch.split(torch.randperm(count, generator=shuffle), batch_size)
    return batches[: num_shuffled_batches(count, batch_size)]


def num_shuffled_batches(count: int, batch_size: int) -> int:
    """Number of batches of a shuffled epoch; see `batch_indices`."""
    full_batches, rest = divmod(count, batch_size)
    return max(1, full_batches + (2 * rest >= batch_size))


def augmentation_generator(shuffle: Generator | None, augment: bool) -> Generator | None:
    """The generator for augmentation; None without augmentation.

    Raises:
        ValueError: augmentation without a generator.
    """
    if augment and shuffle is None:
        raise ValueError("augment needs random numbers: pass a generator as shuffle")
    return shuffle if augment else None


def _shuffled_classes(labels: Tensor) -> list[Tensor]:
    """Positions of each class in a fixed random order."""
    # NumPy guarantees the stream of RandomState; torch may change its streams between releases, which would
    # change the test set.
    random = np.random.RandomState(_SEED)
    counts = torch.bincount(labels)
    classes = torch.split(labels.argsort(stable=True), counts[counts > 0].tolist())
    return [
        class_positions[torch.from_numpy(random.permutation(len(class_positions)))]
        for class_positions in classes
    ]
