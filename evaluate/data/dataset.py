"""The images that networks are judged on: what a data set is, and the ones there are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from torch import Generator, Tensor

from ...search_space.errors import BneckError, DataError, UnknownNameError
from .augmentation import NO_AUGMENTATION, Augmentation
from .builtin import load_cifar10, load_cifar100, load_digits, load_fashion_mnist
from .image_folder import load_folder
from .splits import SPLITS, Split, stratified_subset
from .streaming import find_unreadable_images, unreadable_images_text

__all__ = [
    "DATASETS",
    "SPLITS",
    "Data",
    "Split",
    "find_unreadable_images",
    "load_dataset",
    "normalize_as_trained",
    "subsample",
    "unreadable_images_text",
]

DATASETS = ("digits", "fashion-mnist", "cifar10", "cifar100", "folder:PATH", "torchvision:NAME")


class Data(Protocol):
    """Labelled images in three splits without an image in common.

    A search trains on `train` and chooses by `validation`; `test` is for the networks chosen.
    """

    @property
    def name(self) -> str:
        """As the user wrote it: `digits`, `folder:/path`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the labels 0, 1, ..."""

    @property
    def image_channels(self) -> int:
        """1 for grey, 3 for colour."""

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        """What is taken from the pixels (0 to 255), one a channel, before a network sees them."""

    @property
    def pixel_std(self) -> tuple[float, ...]:
        """What the difference is divided by, one a channel."""

    @property
    def image_size_px(self) -> int | None:
        """The longer side of images in memory, which all have the same size; None where sizes differ."""

    def count(self, split: Split) -> int:
        """Number of images."""

    def labels(self, split: Split) -> Tensor:
        """Class of each image, `n` int64, in the fixed order of the split; reads no image."""

    def subset(self, split: Split, positions: Tensor) -> "Data":
        """The same data with only some images of a split, at these positions, `n` int64.

        The other splits and the normalisation stay, and dropped images cost nothing.
        """

    def with_normalization(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "Data":
        """The same images as a network sees them that was trained on other data.

        Args:
            mean, std: for `pixel_mean` and `pixel_std`, one a channel.
        Raises:
            DataError: more or fewer channels than the images have.
        """

    def batches(
        self,
        split: Split,
        resolution_px: int,
        batch_size: int,
        *,
        shuffle: Generator | None = None,
        augment: Augmentation = NO_AUGMENTATION,
        shard: tuple[int, int] = (0, 1),
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through a split once.

        Args:
            resolution_px: side of the square images wanted, `r`.
            batch_size: images a batch, `n`; the last may have fewer.
            shuffle: without it, the whole split in its fixed order. With it, a new random
                order each time, and a last batch less than half full is left out unless it
                is the only one.
            augment: what is done to single images at random, drawing from `shuffle`; its `mixes`
                are left to the caller.
            shard: `(rank, world)`: of each batch only every `world`-th image from `rank` on. What is
                drawn does not depend on it, so the shards together are the batch.
        Yields:
            Images, `n x channels x r x r` float32, normalised, in the channels_last memory
            format; labels, `n` int64. Images that cannot be read are left out, and batches without
            any as well; but shards stay in step, so one of several may have an empty batch.
        Raises:
            ValueError: images are to be augmented without `shuffle`.
            DataError: not one image can be read.
        """


def load_dataset(name: str, *, root: Path | None = None, download: bool = False) -> Data:
    """Open a data set by name.

    Args:
        name: `digits`, `fashion-mnist`, `cifar10`, `cifar100`; `folder:` and the path of a folder
            with a sub-folder of images for each class; or `torchvision:` and the name of one of its
            classification data sets, such as `torchvision:Flowers102`.
        root: where the files of a named data set are; the usual places if left out.
        download: fetch files that are missing; otherwise nothing is ever fetched.
    Raises:
        UnknownNameError: no data set of this name.
        DataError: files are missing or broken.
    """
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        return load_folder(name, Path(path).expanduser())
    if kind == "torchvision" and path:
        from .torchvision_datasets import load_torchvision  # takes a second to import

        return load_torchvision(name, root, download)
    match name:
        case "digits":
            return load_digits()
        case "fashion-mnist":
            return load_fashion_mnist(root, download)
        case "cifar10":
            return load_cifar10(root, download)
        case "cifar100":
            return load_cifar100(root, download)
    raise UnknownNameError("data set", name, DATASETS)


class TrainingDataStats(Protocol):
    """What is kept of the images that weights were learned from."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def pixel_mean(self) -> tuple[float, ...]: ...

    @property
    def pixel_std(self) -> tuple[float, ...]: ...


def normalize_as_trained(
    data: Data, training_stats: TrainingDataStats, channels: int, model_kind: str, error: type[BneckError]
) -> Data:
    """The data as a network was trained to see it.

    Args:
        channels: that the network takes.
        model_kind: `network` or `supernet`, for messages.
    Raises:
        error: the data has other classes or channels.
    """
    if data.image_channels != channels:
        raise error(f"{data.name} has {data.image_channels} channels, the {model_kind} takes {channels}")
    if data.class_names != training_stats.class_names:
        data_classes, trained_classes = (
            ", ".join(names[:5]) for names in (data.class_names, training_stats.class_names)
        )
        raise error(
            f"{data.name} has other classes ({data_classes}) than the {model_kind} ({trained_classes})"
        )
    return data.with_normalization(training_stats.pixel_mean, training_stats.pixel_std)


def subsample(data: Data, train: int | None = None, validation: int | None = None) -> Data:
    """The same data with at most so many images for training and validation; the test split stays.

    Every class keeps its share, the choice is always the same, and fewer images are part of
    more. A split that has no more than asked for stays whole.

    Args:
        train: images for training; None for all.
        validation: images for validation; None for all.
    Raises:
        DataError: less than one image asked for.
    """
    limits: dict[Split, int | None] = {"train": train, "validation": validation}
    for split, max_images in limits.items():
        if max_images is not None and max_images < 1:
            raise DataError(f"{data.name}: the limit of {split} images must be at least 1, got {max_images}")
        if max_images is not None and max_images < data.count(split):
            data = data.subset(split, stratified_subset(data.labels(split), max_images))
    return data
