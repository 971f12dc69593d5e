"""Data sets by name: scikit-learn's digits and Fashion-MNIST."""

import gzip
import zlib
from http.client import HTTPException
from importlib.util import find_spec
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...search_space.errors import DataError, first_line
from ..user_cache import user_cache_folder
from .in_memory import InMemoryData, LabelledImages, in_memory_data
from .splits import check_classes, three_splits

SYSTEM_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")

_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_FASHION_FILES = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip


def data_cache_folder() -> Path:
    """Where data sets are downloaded to."""
    return user_cache_folder() / "bneck"


def load_digits() -> InMemoryData:
    """scikit-learn's 1,797 grayscale 8x8 images: 60% train, 20% validation, 20% test."""
    table = _digits_table()
    pixels = torch.from_numpy(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).round().to(torch.uint8)
    images = LabelledImages(pixels[..., None], torch.from_numpy(table[:, -1].astype(np.int64)))
    splits = three_splits({"all": images}, fractions=(0.2, 0.2))
    return in_memory_data("digits", tuple("0123456789"), splits, horizontal_flip=False)


def _digits_table() -> NDArray[np.float64]:
    """64 pixels and the label of each image: importing scikit-learn itself takes 0.1 GB in each worker."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("digits: needs scikit-learn, which is not installed; pip install scikit-learn")
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        return np.loadtxt(gzip.decompress(file.read_bytes()).decode().splitlines(), delimiter=",")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({first_line(error)}); reinstall scikit-learn") from error


def load_fashion_mnist(root: Path | None, download: bool) -> InMemoryData:
    """70,000 grayscale 28x28 images of clothes; 10% of the 60,000 training images are for validation.

    Raises:
        DataError: the files are missing, broken or cannot be downloaded.
    """
    cache = data_cache_folder()
    folders = [SYSTEM_FASHION_FOLDER, cache / "FashionMNIST" / "raw"]
    if root is not None:
        folders = [root, root / "FashionMNIST" / "raw"]
    files = _locate_fashion_files(folders)
    if files is None and download:
        from torchvision.datasets import FashionMNIST

        try:
            FashionMNIST(root or cache, download=True)
        except (OSError, RuntimeError, HTTPException) as error:
            raise DataError(f"fashion-mnist: cannot be downloaded ({first_line(error)})") from error
        files = _locate_fashion_files(folders)
    if files is None:
        raise DataError(
            f"fashion-mnist: {', '.join(_FASHION_FILES)} not found in {' or '.join(map(str, folders))}; "
            "--download fetches them, or apt-get install dataset-fashion-mnist"
        )
    folder = files[0].parent
    train_pixels, train_labels, test_pixels, test_labels = (read_idx(file) for file in files)
    parts = {}
    for part, pixels, labels in (("train", train_pixels, train_labels), ("test", test_pixels, test_labels)):
        if len(pixels) != len(labels):
            raise DataError(f"{folder}: {len(pixels)} {part} images, {len(labels)} labels; {_remedy(folder)}")
        parts[part] = LabelledImages(pixels[..., None], labels.long())
        check_classes(str(folder), parts[part].labels, _FASHION_CLASSES, 2 if part == "train" else 0)
    return in_memory_data("fashion-mnist", _FASHION_CLASSES, three_splits(parts), horizontal_flip=True)


def read_idx(path: Path) -> Tensor:
    """Read an idx file of unsigned bytes, plain or with the suffix `.gz`.

    Raises:
        DataError: not an idx file of unsigned bytes, or truncated.
    Source: the format is described at yann.lecun.com/exdb/mnist.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); {_remedy(path)}") from error
    header_bytes = 4 + 4 * content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else None
    if header_bytes is None or len(content) < header_bytes:
        raise DataError(f"{path}: not an idx file of bytes; {_remedy(path)}")
    shape = [int.from_bytes(content[place : place + 4]) for place in range(4, header_bytes, 4)]
    if len(content) - header_bytes != prod(shape):
        raise DataError(
            f"{path}: must hold {prod(shape)} bytes, got {len(content) - header_bytes}; {_remedy(path)}"
        )
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape).copy())


def _locate_fashion_files(folders: list[Path]) -> list[Path] | None:
    """All files from the first folder that has each of them, plain or gzipped."""
    for folder in folders:
        variants = ((folder / name, folder / f"{name}.gz") for name in _FASHION_FILES)
        files = [next((path for path in paths if path.is_file()), None) for paths in variants]
        if None not in files:
            return [path for path in files if path is not None]
    return None


def _remedy(path: Path) -> str:
    return f"remove {path.name} and fetch it again with --download"
