"""Data sets of torchvision by name, such as `torchvision:Flowers102`."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision.datasets
from numpy.exceptions import VisibleDeprecationWarning

from ...search_space.errors import DataError, UnknownNameError, first_line
from .in_memory import InMemoryData, LabelledImages
from .streaming import StreamingData
from .torch_pair import data_from_parts

Parts = Mapping[str, Mapping[str, Any]]

_ALL: Parts = {"all": {}}
_BY_TRAIN: Parts = {"train": {"train": True}, "test": {"train": False}}
_BY_SPLIT: Parts = {"train": {"split": "train"}, "test": {"split": "test"}}
_WITH_VALIDATION: Parts = {**_BY_SPLIT, "validation": {"split": "val"}}


@dataclass(frozen=True)
class _Row:
    """Loading of a data set.

    Attributes:
        parts: constructor arguments of `train`, `test` and `validation`, or of `all`.
        horizontal_flip: False where a mirrored image may belong to another class.
        label_attribute: see `data_from_parts`.
        arrays: the attributes `data` and `targets` hold all images and labels.
    """

    parts: Parts
    horizontal_flip: bool = True
    label_attribute: str = "targets"
    arrays: bool = False


TORCHVISION_DATASETS: Mapping[str, _Row] = {
    "CIFAR10": _Row(_BY_TRAIN, arrays=True),
    "CIFAR100": _Row(_BY_TRAIN, arrays=True),
    "DTD": _Row(_WITH_VALIDATION, label_attribute="_labels"),
    "EMNIST": _Row(
        {key: {"split": "balanced", **part} for key, part in _BY_TRAIN.items()},
        horizontal_flip=False,
        arrays=True,
    ),
    "EuroSAT": _Row(_ALL),
    "FGVCAircraft": _Row(_WITH_VALIDATION, label_attribute="_labels"),
    "Flowers102": _Row(_WITH_VALIDATION, label_attribute="_labels"),
    "Food101": _Row(_BY_SPLIT, label_attribute="_labels"),
    "GTSRB": _Row(_BY_SPLIT, horizontal_flip=False, label_attribute="_samples"),
    "Imagenette": _Row({"train": {"split": "train"}, "test": {"split": "val"}}, label_attribute="_samples"),
    "KMNIST": _Row(_BY_TRAIN, horizontal_flip=False, arrays=True),
    "MNIST": _Row(_BY_TRAIN, horizontal_flip=False, arrays=True),
    "OxfordIIITPet": _Row(
        {"train": {"split": "trainval"}, "test": {"split": "test"}}, label_attribute="_labels"
    ),
    "SVHN": _Row(_BY_SPLIT, horizontal_flip=False, label_attribute="labels"),
    "USPS": _Row(_BY_TRAIN, horizontal_flip=False, arrays=True),
}


def load_torchvision(name: str, dataset: str, root: Path, download: bool) -> InMemoryData | StreamingData:
    """A data set of torchvision; see `data_from_parts` for its splits.

    Args:
        name: name of the data, for messages.
        dataset: key of `TORCHVISION_DATASETS`.
        root: folder of the data set, as torchvision expects it.
        download: fetch missing files; without it nothing is downloaded.
    Raises:
        UnknownNameError: not in the table.
        DataError: files are missing or broken.
    """
    if dataset not in TORCHVISION_DATASETS:
        raise UnknownNameError("torchvision data set", dataset, TORCHVISION_DATASETS)
    row = TORCHVISION_DATASETS[dataset]
    dataset_class = getattr(torchvision.datasets, dataset)
    if root.name == getattr(dataset_class, "base_folder", None):
        root = root.parent
    try:
        with warnings.catch_warnings():
            # NumPy 2.4 warns about integers for booleans in the pickles of CIFAR.
            warnings.simplefilter("ignore", VisibleDeprecationWarning)
            parts: dict[str, Any] = {
                key: dataset_class(root=root, download=download, **arguments)
                for key, arguments in row.parts.items()
            }
    except Exception as error:  # broken files can raise anything
        cause = first_line(error).partition(" You can use download")[0].rstrip(".")
        if download:
            raise DataError(f"{name}: cannot be downloaded to {root} ({cause}); try again") from error
        raise DataError(f"{name}: cannot be read from {root} ({cause}); --download fetches it") from error
    images = {key: _images(part) for key, part in parts.items()} if row.arrays else None
    return data_from_parts(
        name,
        parts,
        horizontal_flip=row.horizontal_flip,
        label_attribute=row.label_attribute,
        images=images,
    )


def _images(part: Any) -> LabelledImages:
    pixels = torch.as_tensor(part.data)
    return LabelledImages(pixels if pixels.ndim == 4 else pixels[..., None], torch.as_tensor(part.targets))
