"""Any classification data set of torchvision, by the name of its class: `torchvision:Flowers102`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision.datasets
from torch import Tensor

from ...search_space.errors import DataError, UnknownNameError, first_line
from .builtin import CACHE_FOLDER, VALIDATION_SHARE
from .in_memory import TensorData, tensor_data
from .splits import Part, Split, check_classes, divided, with_validation
from .streaming import FolderData
from .torchvision_adapter import Items, LabelledItems, class_numbers, read_all

# Words for `split=`, the first that a data set knows.
_SPLIT_WORDS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "trainval", "train-standard"),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
_FURTHER_ARGUMENTS: dict[str, dict[str, str]] = {"EMNIST": {"split": "balanced"}}
# A mirrored 3, letter or arrow is nothing.
_NEVER_MIRRORED = (
    "EMNIST", "GTSRB", "KMNIST", "MNIST", "Omniglot", "QMNIST", "RenderedSST2", "SEMEION", "SVHN", "USPS",
)  # fmt: skip
_OTHER_TASKS = (
    "CarlaStereo", "CelebA", "Cityscapes", "CocoCaptions", "CocoDetection", "CREStereo", "ETH3DStereo",
    "FallingThingsStereo", "Flickr30k", "Flickr8k", "FlyingChairs", "FlyingThings3D", "HD1K", "HMDB51",
    "InStereo2k", "Kinetics", "Kitti", "Kitti2012Stereo", "Kitti2015Stereo", "KittiFlow", "LFWPairs",
    "Middlebury2014Stereo", "MovingMNIST", "PhotoTour", "SBDataset", "SBU", "SceneFlowStereo", "Sintel",
    "SintelStereo", "UCF101", "VOCDetection", "VOCSegmentation", "WIDERFace",
)  # fmt: skip
_NO_DATA_SETS = ("DatasetFolder", "ImageFolder", "LSUN", "LSUNClass", "VisionDataset")
_SHARES = (0.15, 0.15)


class _UnknownWordError(Exception):
    """A data set has no split of this name."""


def load_torchvision(name: str, root: Path | None, download: bool) -> TensorData | FolderData:
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
    parts = _parts(name, root or CACHE_FOLDER.expanduser(), download)
    flips = name.partition(":")[2] not in _NEVER_MIRRORED
    in_memory = read_all(name, parts)
    if in_memory is not None:
        class_names = _class_names(next(iter(parts.values())), [part.labels for part in in_memory.values()])
        return tensor_data(name, class_names, _three(name, class_names, in_memory), flips=flips)
    streamed = {
        key: LabelledItems(f"{name}/{key}", part, torch.arange(len(part)), class_numbers(name, part))
        for key, part in parts.items()
    }
    class_names = _class_names(next(iter(parts.values())), [part.labels for part in streamed.values()])
    return FolderData(name, class_names, _three(name, class_names, streamed), flips=flips)


def _parts(name: str, root: Path, download: bool) -> dict[str, Items]:
    """The parts that a data set comes in: `train`, `validation`, `test`, or `all`."""
    kind = name.partition(":")[2]
    known: dict[str, Any] = {
        key: value
        for key, value in vars(torchvision.datasets).items()
        if inspect.isclass(value) and issubclass(value, torchvision.datasets.VisionDataset)
    }
    if kind in _OTHER_TASKS:
        raise DataError(f"{name}: its targets are no classes; choose a data set for classification")
    if kind not in known or kind in _NO_DATA_SETS:
        fit = sorted(set(known) - set(_OTHER_TASKS) - set(_NO_DATA_SETS))
        raise UnknownNameError("torchvision data set", kind, fit)
    make = known[kind]
    accepted = _arguments(make)
    given: dict[str, Any] = dict(_FURTHER_ARGUMENTS.get(kind, {}))
    given |= {"root": root} if "root" in accepted else {}
    given |= {"download": download} if "download" in accepted else {}

    def made(**which: Any) -> Items:
        return _made(name, make, root, {**given, **which}, "download" in accepted)

    if "train" in accepted:
        return {"train": made(train=True), "test": made(train=False)}
    if "split" not in accepted:
        return {"all": made()}
    parts: dict[str, Items] = {}
    for split, words in _SPLIT_WORDS.items():
        for word in words:
            try:
                parts[split] = made(split=word)
                break
            except _UnknownWordError:
                continue
    if "train" not in parts or len(parts) == 1:
        raise DataError(f"{name}: has no split for {'testing' if 'train' in parts else 'training'}")
    return parts


def _arguments(make: type) -> set[str]:
    """What a data set can be made with; where it takes anything, what its parent takes too."""
    names: set[str] = set()
    for kind in make.__mro__:
        if "__init__" not in vars(kind):
            continue
        parameters = inspect.signature(vars(kind)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names


def _made(
    name: str, make: Callable[..., Items], root: Path, arguments: Mapping[str, Any], fetches: bool
) -> Items:
    try:
        return make(**arguments)
    except Exception as error:  # broken files can raise anything
        if isinstance(error, ValueError) and "Valid values are" in str(error):
            raise _UnknownWordError from error
        if arguments.get("download"):
            problem, remedy = "cannot be downloaded", "try again, or fetch it by hand"
        else:
            problem = f"cannot be read from {root}"
            remedy = "--download fetches it" if fetches else "put it there as torchvision describes"
        raise DataError(f"{name}: {problem} ({first_line(error)}); {remedy}") from error


def _class_names(part: Items, labels: Sequence[Tensor]) -> tuple[str, ...]:
    """As the data set has them; numbers where it has none."""
    count = max(int(of_part.max()) for of_part in labels) + 1
    names = getattr(part, "classes", None) or getattr(part, "categories", None) or ()
    if len(names) < count:
        return tuple(str(number) for number in range(count))
    # ImageNet has several words for a class.
    return tuple(name if isinstance(name, str) else ", ".join(map(str, name)) for name in names)


def _three(name: str, class_names: tuple[str, ...], parts: Mapping[str, Part]) -> dict[Split, Part]:
    """Train, validation and test from the parts that there are."""
    if "all" in parts:
        check_classes(name, parts["all"].labels, class_names, 3)
        return divided(parts["all"], _SHARES)
    others = [parts[key] for key in ("validation", "test") if key in parts]
    check_classes(name, parts["train"].labels, class_names, 1 if len(others) == 2 else 2)
    for other in others:
        check_classes(name, other.labels, class_names, 0)
    if len(others) == 1:
        return with_validation(parts["train"], others[0], VALIDATION_SHARE)
    return {"train": parts["train"], "validation": others[0], "test": others[1]}
