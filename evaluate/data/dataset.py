"""The `Data` protocol, and data sets by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Generator, Tensor

from ...search_space.errors import BneckError, DataError, PluginError, UnknownNameError
from ...search_space.printable import printable
from ..plugins import resolve
from ..trust import require_trusted
from .augmentation import NO_AUGMENTATION, Augmentation
from .builtin import data_cache_folder, load_digits, load_fashion_mnist
from .folder_layout import listed
from .image_folder import load_folder, load_whole_folder
from .splits import SPLITS, EvaluationSplit, Split, stratified_subset
from .streaming import StreamingData, find_unreadable_images, left_out_notice, unreadable_images_text
from .torch_pair import MapStyleDataset, data_from_datasets

__all__ = [
    "SPLITS",
    "Data",
    "DataSource",
    "EvaluationSplit",
    "Split",
    "absolute_name",
    "class_difference",
    "find_unreadable_images",
    "left_out_notice",
    "load_data",
    "load_whole",
    "normalize_as_trained",
    "subsample",
    "unreadable_images_text",
]


@runtime_checkable
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


DataSource = (
    str
    | Path
    | Data
    | tuple[MapStyleDataset, MapStyleDataset]
    | tuple[MapStyleDataset, MapStyleDataset, MapStyleDataset]
)


BUILTIN = ("digits", "fashion-mnist", "cifar10", "cifar100")


def load_data(source: DataSource, *, root: str | Path | None = None, download: bool = False) -> Data:
    """Open a data set.

    Args:
        source: one of

            - a name: `digits`, `fashion-mnist`, `cifar10`, `cifar100`, or `torchvision:` and a class of
              torchvision, such as `torchvision:Flowers102`;
            - a folder with a sub-folder of images for each class, or with such folders in `train` and
              `val` or `test`: a path, or `folder:` and the path;
            - torch `Dataset`s `(train, test)` or `(train, validation, test)`: see
              `bneck.evaluate.data.torch_pair.data_from_datasets`. With two, 10% of `train` become the
              validation split;
            - an object of the `Data` protocol, which is returned unchanged;
            - an entry point in the group `bneck.data`, or `module:attribute`: any of the above, or a function
              without arguments that returns it.
        root: folder with the files of a named data set; by default the usual places.
        download: fetch missing files; without it nothing is downloaded.
    Raises:
        UnknownNameError: no data set has this name.
        DataError: files are missing or broken, or items of a data set are not images with labels.
        PluginError: the object behind a name cannot be imported or is not a data set.
        TrustError: a `module:attribute` that only a file names, or a folder to download to.

    Example:
        >>> from bneck.evaluate import load_data
        >>> data = load_data("digits")
        >>> data.count("train"), data.class_names[:3]
        (1079, ('0', '1', '2'))
        >>> images, labels = next(data.batches("train", resolution_px=16, batch_size=32))
        >>> images.shape
        torch.Size([32, 1, 16, 16])
    """
    root = None if root is None else Path(root)
    if folder := _folder_of(source):
        return load_folder(*folder)
    if isinstance(source, tuple | list):
        if len(source) not in (2, 3):
            raise DataError(
                f"data: needs (train, test) or (train, validation, test), got {len(source)} items"
            )
        return data_from_datasets(source[0], source[-1], source[1] if len(source) == 3 else None)
    if not isinstance(source, str):
        if isinstance(source, Data):
            return source
        raise DataError(
            "data: must be a name, a folder, torch Datasets (train, test) or an object of the Data protocol, "
            f"got {type(source).__name__}"
        )
    kind, _, path = source.partition(":")
    if kind == "torchvision" and path:
        return _load_torchvision(source, path, root, download)
    builtin: Mapping[str, Callable[[], Data]] = {
        "digits": load_digits,
        "fashion-mnist": lambda: load_fashion_mnist(root, download),
        "cifar10": lambda: _load_torchvision(source, "CIFAR10", root, download),
        "cifar100": lambda: _load_torchvision(source, "CIFAR100", root, download),
    }
    if source in builtin:
        return builtin[source]()
    require_trusted(source)
    forms = ("folder:PATH", "torchvision:NAME")
    try:
        loaded: Any = resolve("data set", source, "bneck.data", builtin, forms)
    except (PluginError, UnknownNameError):
        if "/" in source:
            return load_folder(f"folder:{source}", _path(source))  # says what is wrong with it
        for place in (Path(source), Path(path), *([root / source] if root else ())):
            if source and place.name and _exists(place):
                hint = f"give folder:{place}" if place.is_dir() else f"{place} is a file, give a folder"
                raise DataError(f"unknown data set '{printable(source)}'; {printable(hint)}") from None
        raise
    try:
        data = loaded() if callable(loaded) else loaded
    except BneckError:
        raise
    except Exception as error:
        raise PluginError(f"data set {source}: {type(error).__name__}: {error}") from error
    if not isinstance(data, str | Path | tuple | Data):
        raise PluginError(
            f"data set {source}: must be Data, torch Datasets (train, test), a folder, or a function without "
            f"arguments that returns one of them, got {type(data).__name__}"
        )
    return load_data(data, root=root, download=download)


def load_whole(
    source: DataSource,
    class_names: Sequence[str] | None = None,
    *,
    root: Path | None = None,
    download: bool = False,
) -> Data:
    """Open a data set to evaluate a network on all of its images.

    The images of a folder, with or without folders of splits, become the test split; classes may be empty.
    Other data sets are opened as by `load_data`.

    Args:
        class_names: classes of the network, in order; by default those of the data.
    Raises:
        DataError: see `load_data`; or a folder has no images, or images of another class.
    """
    if folder := _folder_of(source):
        return load_whole_folder(*folder, class_names)
    return load_data(source, root=root, download=download)


def absolute_name(source: str) -> str:
    """The name of a data set that is valid in every working directory: folders with their absolute path."""
    folder = _folder_of(source)
    return folder[0] if folder else source


def _folder_of(source: DataSource) -> tuple[str, Path] | None:
    """Name and absolute path if a source is a folder; names of built-in data sets are no folders."""
    if isinstance(source, Path):
        source = f"folder:{source}"
    if not isinstance(source, str) or source in ("", *BUILTIN):
        return None
    kind, _, path = source.partition(":")
    given = _path(path if kind == "folder" and path else source).absolute()
    is_folder = (kind == "folder" and path) or (_exists(given) and given.is_dir())
    return (f"folder:{given}", given) if is_folder else None


def _path(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise DataError(f"{path}: no home folder of this user; give the path in full") from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _load_torchvision(name: str, dataset: str, root: Path | None, download: bool) -> Data:
    from .torchvision_datasets import load_torchvision  # torchvision takes a second to import

    return load_torchvision(name, dataset, root or data_cache_folder(), download)


def class_difference(trained: Sequence[str], given: Sequence[str]) -> str | None:
    """Which classes of the data differ from those that a network was trained on; None if none does."""
    if tuple(trained) == tuple(given):
        return None
    missing = [name for name in trained if name not in set(given)]
    new = [name for name in given if name not in set(trained)]
    if not missing and not new:
        place = next(i for i, names in enumerate(zip(trained, given, strict=False)) if names[0] != names[1])
        return f"the order differs, class {place} is '{given[place]}' instead of '{trained[place]}'"
    parts = [f"{text} {listed(names)}" for text, names in (("without", missing), ("with", new)) if names]
    return f"the data is {' and '.join(parts)} ({len(trained):,} classes in training, {len(given):,} here)"


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
    if difference := class_difference(training_stats.class_names, data.class_names):
        raise error(f"{data.name}: the {model_kind} was trained on other classes: {difference}")
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
            hashes = data.hashes(split) if isinstance(data, StreamingData) else None
            data = data.subset(split, stratified_subset(data.labels(split), max_images, hashes))
    return data
