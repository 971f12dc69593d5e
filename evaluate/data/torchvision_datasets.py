"""Any classification data set of torchvision, by the name of its class: `torchvision:Flowers102`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision.datasets
from torch import Tensor

from ...search_space.errors import DataError, UnknownNameError, first_line
from .builtin import CACHE_FOLDER, VALIDATION_FRACTION
from .in_memory import InMemoryData, in_memory_data
from .splits import LabelledT, Split, check_classes, split_off_validation, split_three_ways
from .streaming import StreamingData
from .torchvision_adapter import MapStyleDataset, TorchvisionImages, class_indices, load_in_memory

# Words for `split=`, the first that a data set knows.
_SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "trainval", "train-standard"),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
_EXTRA_ARGUMENTS: dict[str, dict[str, str]] = {"EMNIST": {"split": "balanced"}}
# A mirrored 3, letter or arrow is nothing.
_NO_HORIZONTAL_FLIP = (
    "EMNIST", "GTSRB", "KMNIST", "MNIST", "Omniglot", "QMNIST", "RenderedSST2", "SEMEION", "SVHN", "USPS",
)  # fmt: skip
_NOT_CLASSIFICATION = (
    "CarlaStereo", "CelebA", "Cityscapes", "CocoCaptions", "CocoDetection", "CREStereo", "ETH3DStereo",
    "FallingThingsStereo", "Flickr30k", "Flickr8k", "FlyingChairs", "FlyingThings3D", "HD1K", "HMDB51",
    "InStereo2k", "Kinetics", "Kitti", "Kitti2012Stereo", "Kitti2015Stereo", "KittiFlow", "LFWPairs",
    "Middlebury2014Stereo", "MovingMNIST", "PhotoTour", "SBDataset", "SBU", "SceneFlowStereo", "Sintel",
    "SintelStereo", "UCF101", "VOCDetection", "VOCSegmentation", "WIDERFace",
)  # fmt: skip
_NOT_DATASETS = ("DatasetFolder", "ImageFolder", "LSUN", "LSUNClass", "VisionDataset")
_SPLIT_FRACTIONS = (0.15, 0.15)


class _UnknownSplitError(Exception):
    """A data set has no split of this name."""


def load_torchvision(name: str, root: Path | None, download: bool) -> InMemoryData | StreamingData:
    """A data set of torchvision: in memory if that takes 1 GiB at most, else read as it is used.

    Where there are only images for training and for testing, 10% of the former validate; where
    all come as one, 70/15/15 train, validate and test, class by class.

    Args:
        name: `torchvision:` and the name of a class of `torchvision.datasets`.
        root: as torchvision wants it; bneck's cache folder if left out.
        download: fetch what is missing.
    Raises:
        UnknownNameError: no such data set.
        DataError: files are missing or broken, or the data set is not for classification.
    """
    parts = _load_parts(name, root or CACHE_FOLDER.expanduser(), download)
    horizontal_flip = name.partition(":")[2] not in _NO_HORIZONTAL_FLIP
    in_memory = load_in_memory(name, parts)
    if in_memory is not None:
        class_names = _class_names(next(iter(parts.values())), [part.labels for part in in_memory.values()])
        return in_memory_data(
            name, class_names, _three_splits(name, class_names, in_memory), horizontal_flip=horizontal_flip
        )
    streamed = {
        key: TorchvisionImages(f"{name}/{key}", part, torch.arange(len(part)), class_indices(name, part))
        for key, part in parts.items()
    }
    class_names = _class_names(next(iter(parts.values())), [part.labels for part in streamed.values()])
    return StreamingData(
        name, class_names, _three_splits(name, class_names, streamed), horizontal_flip=horizontal_flip
    )


def _load_parts(name: str, root: Path, download: bool) -> dict[str, MapStyleDataset]:
    """The parts that a data set comes in: `train`, `validation`, `test`, or `all`."""
    kind = name.partition(":")[2]
    known: dict[str, Any] = {
        key: value
        for key, value in vars(torchvision.datasets).items()
        if inspect.isclass(value) and issubclass(value, torchvision.datasets.VisionDataset)
    }
    if kind in _NOT_CLASSIFICATION:
        raise DataError(f"{name}: its targets are no classes; choose a data set for classification")
    if kind not in known or kind in _NOT_DATASETS:
        valid_names = sorted(set(known) - set(_NOT_CLASSIFICATION) - set(_NOT_DATASETS))
        raise UnknownNameError("torchvision data set", kind, valid_names)
    dataset_class = known[kind]
    accepted = _accepted_arguments(dataset_class)
    base_arguments: dict[str, Any] = dict(_EXTRA_ARGUMENTS.get(kind, {}))
    base_arguments |= {"root": root} if "root" in accepted else {}
    base_arguments |= {"download": download} if "download" in accepted else {}

    def instantiate(**split_arguments: Any) -> MapStyleDataset:
        return _instantiate(
            name, dataset_class, root, {**base_arguments, **split_arguments}, "download" in accepted
        )

    if "train" in accepted:
        return {"train": instantiate(train=True), "test": instantiate(train=False)}
    if "split" not in accepted:
        return {"all": instantiate()}
    parts: dict[str, MapStyleDataset] = {}
    for split, split_names in _SPLIT_NAMES.items():
        for split_name in split_names:
            try:
                parts[split] = instantiate(split=split_name)
                break
            except _UnknownSplitError:
                continue
    if "train" not in parts or len(parts) == 1:
        raise DataError(f"{name}: has no split for {'testing' if 'train' in parts else 'training'}")
    return parts


def _accepted_arguments(dataset_class: type) -> set[str]:
    """What a data set can be made with; where it takes anything, what its parent takes too."""
    names: set[str] = set()
    for kind in dataset_class.__mro__:
        if "__init__" not in vars(kind):
            continue
        parameters = inspect.signature(vars(kind)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names


def _instantiate(
    name: str,
    dataset_class: Callable[..., MapStyleDataset],
    root: Path,
    arguments: Mapping[str, Any],
    downloadable: bool,
) -> MapStyleDataset:
    try:
        return dataset_class(**arguments)
    except Exception as error:  # broken files can raise anything
        if isinstance(error, ValueError) and "Valid values are" in str(error):
            raise _UnknownSplitError from error
        if arguments.get("download"):
            problem, hint = "cannot be downloaded", "try again, or fetch it by hand"
        else:
            problem = f"cannot be read from {root}"
            hint = "--download fetches it" if downloadable else "put it there as torchvision describes"
        raise DataError(f"{name}: {problem} ({first_line(error)}); {hint}") from error


def _class_names(part: MapStyleDataset, labels: Sequence[Tensor]) -> tuple[str, ...]:
    """As the data set has them; numbers where it has none."""
    count = max(int(part_labels.max()) for part_labels in labels) + 1
    names = getattr(part, "classes", None) or getattr(part, "categories", None) or ()
    if len(names) < count:
        return tuple(str(number) for number in range(count))
    # ImageNet has several words for a class.
    return tuple(name if isinstance(name, str) else ", ".join(map(str, name)) for name in names)


def _three_splits(
    name: str, class_names: tuple[str, ...], parts: Mapping[str, LabelledT]
) -> dict[Split, LabelledT]:
    """Train, validation and test from the parts that there are."""
    if "all" in parts:
        check_classes(name, parts["all"].labels, class_names, 3)
        return split_three_ways(parts["all"], _SPLIT_FRACTIONS)
    others = [parts[key] for key in ("validation", "test") if key in parts]
    check_classes(name, parts["train"].labels, class_names, 1 if len(others) == 2 else 2)
    for other in others:
        check_classes(name, other.labels, class_names, 0)
    if len(others) == 1:
        return split_off_validation(parts["train"], others[0], VALIDATION_FRACTION)
    return {"train": parts["train"], "validation": others[0], "test": others[1]}
