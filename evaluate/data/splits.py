"""How the images of a data set are divided: into splits, subsets and batches, class by class.

The division belongs to the data set, not to the run: it is the same for every seed, so that
results of two runs compare and no search ever sees the test images.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, Self, TypeVar, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from ...search_space.errors import DataError

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = get_args(Split)
_SEED = 0
_MAX_LISTED = 10


class Labelled(Protocol):
    """Images with their classes."""

    @property
    def labels(self) -> Tensor:
        """`n` int64."""

    def __getitem__(self, positions: Tensor, /) -> Self:
        """Those at some places, `m` int64."""


LabelledT = TypeVar("LabelledT", bound=Labelled)


def check_classes(place: str, labels: Tensor, class_names: Sequence[str], min_images: int) -> None:
    """Raise `DataError` where a class has fewer than `min_images` images or a label has no class.

    Args:
        place: what the message begins with: a file, a folder or a data set.
        labels: `n` int64.
        class_names: of the labels 0, 1, ...
    """
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
        more = [f"{len(too_small) - _MAX_LISTED} more are like this"] if len(too_small) > _MAX_LISTED else []
        hint = "add images or remove the class" + ("es" if len(too_small) > 1 else "")
        raise DataError(f"{place}: {'; '.join([*too_small[:_MAX_LISTED], *more, hint])}")


def check_statistics(name: str, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise `DataError` unless there is a mean and a deviation for each channel.

    Args:
        name: of the data set, which the message begins with.
    """
    if not len(mean) == len(std) == channels:
        raise DataError(
            f"{name}: has {channels} colour channel{'' if channels == 1 else 's'}, "
            f"got means of {len(mean)} and deviations of {len(std)}; use data with as many channels"
        )


def stratified_split(labels: Tensor, fractions: Sequence[float]) -> list[Tensor]:
    """Divide the images into a rest and one part a share, each with every class.

    Of each class a part holds its share, rounded to the nearest whole number but at least
    one image; what is left is the rest. The same labels are always divided the same way.

    Args:
        labels: `n` int64; each class has more images than there are shares.
        fractions: between 0 and 1, together less than 1.
    Returns:
        Ascending positions: of the rest first, then of each part.
    """
    parts: list[list[Tensor]] = [[] for _ in range(1 + len(fractions))]
    for class_positions in _shuffled_classes(labels):
        sizes = [max(1, int(fraction * len(class_positions) + 0.5)) for fraction in fractions]
        for part, positions in zip(
            parts, torch.split(class_positions, [len(class_positions) - sum(sizes), *sizes]), strict=True
        ):
            part.append(positions)
    return [torch.cat(part).sort().values for part in parts]


def split_three_ways(images: LabelledT, fractions: tuple[float, float]) -> dict[Split, LabelledT]:
    """The three splits of images that come as one.

    Args:
        images: at least three images of each class.
        fractions: for validation and test.
    """
    train, validation, test = (images[part] for part in stratified_split(images.labels, fractions))
    return {"train": train, "validation": validation, "test": test}


def split_off_validation(train: LabelledT, test: LabelledT, fraction: float) -> dict[Split, LabelledT]:
    """The three splits of images that come as two.

    Args:
        train: at least two images of each class.
        fraction: of these, for validation.
    """
    rest, validation = (train[part] for part in stratified_split(train.labels, (fraction,)))
    return {"train": rest, "validation": validation, "test": test}


def stratified_subset(labels: Tensor, count: int) -> Tensor:
    """Choose `count` images with every class in proportion; all where there are no more.

    Every class is there if `count` allows, and a smaller subset is part of a larger one.

    Args:
        labels: `n` int64.
    Returns:
        Ascending positions, `min(n, count)` of them.
    """
    classes = _shuffled_classes(labels)
    positions = torch.cat(classes)
    # The j-th of the m images of a class enters once the fraction j/m of all is wanted.
    entry_fraction = torch.cat(
        [
            torch.arange(len(class_positions), dtype=torch.float64) / len(class_positions)
            for class_positions in classes
        ]
    )
    return positions[entry_fraction.argsort(stable=True)[:count]].sort().values


def batch_indices(count: int, batch_size: int, shuffle: Generator | None) -> tuple[Tensor, ...]:
    """Positions of the images of each batch, for one pass over `count` images.

    In order without `shuffle`. With it in a new random order, and without the last batch if
    that is less than half full, for batch normalisation learns badly from few images; a
    batch that is the only one stays.
    """
    if shuffle is None:
        return torch.split(torch.arange(count), batch_size)
    batches = torch.split(torch.randperm(count, generator=shuffle), batch_size)
    return batches[: num_shuffled_batches(count, batch_size)]


def num_shuffled_batches(count: int, batch_size: int) -> int:
    """The number of batches in a shuffled pass."""
    full_batches, rest = divmod(count, batch_size)
    return max(1, full_batches + (2 * rest >= batch_size))


def augmentation_generator(shuffle: Generator | None, augment: bool) -> Generator | None:
    """The generator that augmentation draws from; None where nothing is augmented.

    Raises:
        ValueError: augmentation without a generator.
    """
    if augment and shuffle is None:
        raise ValueError("augment draws at random: pass a generator as shuffle")
    return shuffle if augment else None


def _shuffled_classes(labels: Tensor) -> list[Tensor]:
    """Positions of each class in a random order that never changes."""
    # NumPy freezes the stream of RandomState; torch may change its own with any release, and
    # with it which images are the test set.
    random = np.random.RandomState(_SEED)
    counts = torch.bincount(labels)
    classes = torch.split(labels.argsort(stable=True), counts[counts > 0].tolist())
    return [
        class_positions[torch.from_numpy(random.permutation(len(class_positions)))]
        for class_positions in classes
    ]
