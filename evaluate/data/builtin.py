"""The data sets known by name: scikit-learn's digits, Fashion-MNIST, CIFAR-10 and CIFAR-100."""

import gzip
import pickle
import zlib
from collections.abc import Callable, Sequence
from http.client import HTTPException
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...search_space.errors import DataError, first_line
from .in_memory import InMemoryData, LabelledImages, in_memory_data
from .splits import check_classes, split_off_validation, split_three_ways

CACHE_FOLDER = Path("~/.cache/bneck")
VALIDATION_FRACTION = 0.1
SYSTEM_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")

_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_FASHION_FILES = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip
_CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_CIFAR10_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip
_CIFAR100_FILES = ("train", "test")


def load_digits() -> InMemoryData:
    """1,797 grey 8x8 images that scikit-learn brings along: 60% train, 20% validation, 20% test."""
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
    pixels = torch.from_numpy(digits.images * (255 / 16)).round().to(torch.uint8)
    images = LabelledImages(pixels[..., None], torch.from_numpy(digits.target))
    return in_memory_data(
        "digits", tuple("0123456789"), split_three_ways(images, (0.2, 0.2)), horizontal_flip=False
    )


def load_fashion_mnist(root: Path | None, download: bool) -> InMemoryData:
    """70,000 grey 28x28 images of clothes; 10% of the 60,000 for training validate.

    Raises:
        DataError: the files are missing, broken or cannot be downloaded.
    """
    if root is None:
        folders = [SYSTEM_FASHION_FOLDER, CACHE_FOLDER.expanduser() / "FashionMNIST" / "raw"]
    else:
        folders = [root, root / "FashionMNIST" / "raw"]

    def fetch() -> None:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(root or CACHE_FOLDER.expanduser(), download=True)

    hint = "--download fetches them, or apt-get install dataset-fashion-mnist"
    files = _locate_files("fashion-mnist", folders, _FASHION_FILES, fetch if download else None, hint)
    train_pixels, train_labels, test_pixels, test_labels = (read_idx(file) for file in files)
    if len(train_pixels) != len(train_labels) or len(test_pixels) != len(test_labels):
        raise DataError(
            f"{files[0].parent}: there must be as many labels as images; {_redownload_hint(files[0].parent)}"
        )
    train = LabelledImages(train_pixels[..., None], train_labels.long())
    test = LabelledImages(test_pixels[..., None], test_labels.long())
    return _in_memory("fashion-mnist", files[0].parent, _FASHION_CLASSES, train, test)


def load_cifar10(root: Path | None, download: bool) -> InMemoryData:
    """60,000 colour 32x32 images; 10% of the 50,000 for training validate.

    Raises:
        DataError: the files are missing, broken or cannot be downloaded.
    """
    files = _cifar_files("cifar10", root, download, "CIFAR10", "cifar-10-batches-py", _CIFAR10_FILES)
    batches = [read_cifar_batch(file, "labels") for file in files]
    train = LabelledImages(
        torch.cat([batch.pixels for batch in batches[:-1]]),
        torch.cat([batch.labels for batch in batches[:-1]]),
    )
    return _in_memory("cifar10", files[0].parent, _CIFAR10_CLASSES, train, batches[-1])


def load_cifar100(root: Path | None, download: bool) -> InMemoryData:
    """60,000 colour 32x32 images of 100 classes; 10% of the 50,000 for training validate.

    Raises:
        DataError: the files are missing, broken or cannot be downloaded.
    """
    files = _cifar_files("cifar100", root, download, "CIFAR100", "cifar-100-python", _CIFAR100_FILES)
    train, test = (read_cifar_batch(file, "fine_labels") for file in files)
    names = files[0].with_name("meta")
    class_names = read_cifar_names(names, "fine_label_names") if names.is_file() else _CIFAR100_CLASSES
    return _in_memory("cifar100", files[0].parent, class_names, train, test)


def _cifar_files(
    name: str,
    root: Path | None,
    download: bool,
    torchvision_class: str,
    folder: str,
    file_names: Sequence[str],
) -> list[Path]:
    root = root or CACHE_FOLDER.expanduser()

    def fetch() -> None:
        import torchvision.datasets

        # torchvision only downloads: its reader takes no files but the original ones, by checksum,
        # and unpickles whatever they hold.
        getattr(torchvision.datasets, torchvision_class)(root, download=True)

    hint = "--download fetches them"
    return _locate_files(name, [root, root / folder], file_names, fetch if download else None, hint)


def read_idx(path: Path) -> Tensor:
    """The bytes of an idx file, plain or with the suffix `.gz`, in their shape.

    Raises:
        DataError: not an idx file of unsigned bytes, or cut short.
    Source: the format is described at yann.lecun.com/exdb/mnist.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); {_redownload_hint(path)}") from error
    header_bytes = 4 + 4 * content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else None
    if header_bytes is None or len(content) < header_bytes:
        raise DataError(f"{path}: not an idx file of bytes; {_redownload_hint(path)}")
    shape = [int.from_bytes(content[place : place + 4]) for place in range(4, header_bytes, 4)]
    if len(content) - header_bytes != prod(shape):
        raise DataError(
            f"{path}: holds {len(content) - header_bytes} of {prod(shape)} bytes; {_redownload_hint(path)}"
        )
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape).copy())


def read_cifar_batch(path: Path, label_key: str) -> LabelledImages:
    """The images of one of the pickled files of CIFAR-10 or CIFAR-100.

    Args:
        label_key: `labels` in CIFAR-10; `fine_labels` or `coarse_labels` in CIFAR-100.
    Raises:
        DataError: not such a file, or cut short.
    Source: the format is described at www.cs.toronto.edu/~kriz/cifar.html.
    """
    try:
        batch = _unpickled(path)
        planes = np.asarray(batch["data"], np.uint8).reshape(len(batch[label_key]), 3, 32, 32)
        labels = torch.tensor(batch[label_key], dtype=torch.int64)
    except Exception as error:  # a broken pickle can raise anything
        raise DataError(
            f"{path}: not a CIFAR batch ({first_line(error)}); {_redownload_hint(path)}"
        ) from error
    return LabelledImages(torch.from_numpy(planes.transpose(0, 2, 3, 1).copy()), labels)


def read_cifar_names(path: Path, key: str) -> tuple[str, ...]:
    """The names of the classes, from the file beside the batches.

    Args:
        key: `fine_label_names` or `coarse_label_names` in CIFAR-100.
    Raises:
        DataError: not such a file, or cut short.
    """
    try:
        return tuple(str(name) for name in _unpickled(path)[key])
    except Exception as error:  # a broken pickle can raise anything
        raise DataError(
            f"{path}: no names of classes ({first_line(error)}); {_redownload_hint(path)}"
        ) from error


def _unpickled(path: Path) -> Any:
    with path.open("rb") as file:
        return _ArrayUnpickler(file, encoding="latin1").load()


class _ArrayUnpickler(pickle.Unpickler):
    """Reads Python 2's NumPy arrays and nothing else, for a pickle can run any function."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            # The files give align and copy as 0 and 1; NumPy 2.4 warns unless they are booleans.
            return lambda code, align, copy: np.dtype(code, align=bool(align), copy=bool(copy))
        if name == "_reconstruct" and module.startswith("numpy"):
            return lambda kind, shape, code: np.ndarray(shape, np.uint8)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _locate_files(
    name: str,
    folders: Sequence[Path],
    file_names: Sequence[str],
    fetch: Callable[[], None] | None,
    hint: str,
) -> list[Path]:
    """The files, all from the first place that has every one, plain or gzipped; fetched if need be."""
    missing = []
    for place in folders:
        file_by_path = {place / file_name: _plain_or_gzipped(place / file_name) for file_name in file_names}
        files = [file for file in file_by_path.values() if file is not None]
        if len(files) == len(file_names):
            return files
        missing.append(str(next(path for path, file in file_by_path.items() if file is None)))
    if fetch is None:
        raise DataError(f"{name}: no file {' and no file '.join(missing)}; {hint}")
    try:
        fetch()
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(f"{name}: cannot be downloaded ({first_line(error)})") from error
    return _locate_files(name, folders, file_names, None, hint)


def _plain_or_gzipped(path: Path) -> Path | None:
    return next((file for file in (path, path.with_name(path.name + ".gz")) if file.is_file()), None)


def _redownload_hint(path: Path) -> str:
    return f"remove {path.name} and fetch it again with --download"


def _in_memory(
    name: str, place: Path, class_names: tuple[str, ...], train: LabelledImages, test: LabelledImages
) -> InMemoryData:
    check_classes(str(place), train.labels, class_names, 2)
    check_classes(str(place), test.labels, class_names, 0)
    return in_memory_data(
        name, class_names, split_off_validation(train, test, VALIDATION_FRACTION), horizontal_flip=True
    )
