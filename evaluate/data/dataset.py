"""The `Data` protocol, and data sets by name."""

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
    """Labeled images in three disjoint splits.

    A search trains on `train` and selects by `validation`; `test` is for the final evaluation of the selected
    networks.
    """

    @property
    def name(self) -> str:
        """Name of the data set, such as `digits` or `folder:/path`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, ..."""

    @property
    def image_channels(self) -> int:
        """1 for grayscale, 3 for color."""

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        """Subtracted from the pixels (0 to 255), one value per channel."""

    @property
    def pixel_std(self) -> tuple[float, ...]:
        """Divisor after subtraction of the mean, one value per channel."""

    @property
    def image_size_px(self) -> int | None:
        """The longer side of images in memory, which all have the same size; None if sizes differ."""

    def count(self, split: Split) -> int:
        """Number of images."""

    def labels(self, split: Split) -> Tensor:
        """Class of each image, `n` int64, in the fixed order of the split; decodes no image."""

    def subset(self, split: Split, positions: Tensor) -> "Data":
        """The data with only the images of a split at these positions, `n` int64.

        The other splits and the normalisation do not change. Dropped images are never decoded.
        """

    def with_normalization(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "Data":
        """The same images with another normalisation, such as that of a pretrained network.

        Args:
            mean, std: new `pixel_mean` and `pixel_std`, one value per channel.
        Raises:
            DataError: the number of channels differs.
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
        """Iterate over the batches of one epoch.

        Args:
            resolution_px: side of the square images, `r`.
            batch_size: images per batch, `n`; the last batch may have fewer.
            shuffle: without it, the whole split in its fixed order. With it, a new random order each epoch,
                and a last batch less than half full is dropped unless it is the only one.
            augment: augmentation of single images, with random numbers from `shuffle`; `mixes` are left to
                the caller.
            shard: `(rank, world_size)`: every `world_size`-th image of each batch, starting at `rank`. Random
                numbers do not depend on it: the union of all shards is the batch.
        Yields:
            Images, `n x channels x r x r` float32, normalised, in the channels_last memory format; labels,
            `n` int64. Unreadable images are left out, and so are batches without a readable image, except
            that with several shards an empty batch is yielded to keep the shards in step.
        Raises:
            ValueError: augmentation without `shuffle`.
            DataError: no image can be read.
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
    """Classes and normalisation of the data that weights were trained on."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def pixel_mean(self) -> tuple[float, ...]: ...

    @property
    def pixel_std(self) -> tuple[float, ...]: ...


def normalize_as_trained(
    data: Data, training_stats: TrainingDataStats, channels: int, model_kind: str, error: type[BneckError]
) -> Data:
    """The data with the normalisation that a network was trained with.

    Args:
        channels: input channels of the network.
        model_kind: `network` or `supernet`, for messages.
        error: type to raise.
    Raises:
        error: the classes or the number of channels differ.
    """
    if data.image_channels != channels:
        raise error(f"{data.name}: the {model_kind} needs {channels} channels, got {data.image_channels}")
    if data.class_names != training_stats.class_names:
        data_classes, trained_classes = (
            ", ".join(names[:5]) for names in (data.class_names, training_stats.class_names)
        )
        raise error(
            f"{data.name}: the {model_kind} was trained on other classes ({trained_classes}), "
            f"got {data_classes}"
        )
    return data.with_normalization(training_stats.pixel_mean, training_stats.pixel_std)


def subsample(data: Data, train: int | None = None, validation: int | None = None) -> Data:
    """Limit the number of training and validation images; the test split does not change.

    The choice is stratified and deterministic; smaller subsets are contained in larger ones.

    Args:
        train: maximum number of training images; None for all.
        validation: maximum number of validation images; None for all.
    Raises:
        DataError: a limit below 1.
    """
    limits: dict[Split, int | None] = {"train": train, "validation": validation}
    for split, max_images in limits.items():
        if max_images is not None and max_images < 1:
            raise DataError(f"{data.name}: the limit of {split} images must be at least 1, got {max_images}")
        if max_images is not None and max_images < data.count(split):
            data = data.subset(split, stratified_subset(data.labels(split), max_images))
    return data
