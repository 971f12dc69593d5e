"""Miniature files of every torchvision data set that bneck knows, in the layout that torchvision reads."""

import bz2
import csv
import gzip
import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Write = Callable[[Path, pytest.MonkeyPatch], None]


def noise(seed: int, *shape: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_idx(path: Path, array: Bytes) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content = header + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_image(path: Path, seed: int = 0) -> None:
    """An image whose size depends on the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, 9, 8 + seed % 5, 3)).save(path)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def python2_pickle(planes: Bytes, labels: list[int], key: bytes = b"labels") -> bytes:
    """A CIFAR batch as pickled by Python 2 and its NumPy, opcode by opcode."""

    def text(content: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(content)) + content

    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text(b"b") + b"tR"
    dtype = (
        b"cnumpy\ndtype\n(" + text(b"u1") + b"K\0K\1tR(K\3" + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2
    )
    shape = b"M" + struct.pack("<H", len(planes)) + b"M" + struct.pack("<H", 3072)
    array = start + b"(K\1(" + shape + b"t" + dtype + b"K\0tb\x89" + text(planes.tobytes()) + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\2}(" + text(b"data") + array + text(key) + listed + b"u."


def python2_names(key: bytes, names: Sequence[str]) -> bytes:
    """The file of class names beside the batches of CIFAR."""
    listed = b"](" + b"".join(b"U" + bytes([len(name)]) + name.encode() for name in names) + b"e"
    return b"\x80\2}U" + bytes([len(key)]) + key + listed + b"s."


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six batches of 20 images of noise, with labels 0 to 9 repeated."""
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    batches = {
        name: python2_pickle(noise(seed, 20, 3072), [*range(10)] * 2) for seed, name in enumerate(names)
    }
    classes = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    _write_cifar(root, monkeypatch, "CIFAR10", batches, "batches.meta", b"label_names", classes)


def write_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 training and 100 test images of noise, with labels 0 to 99 repeated."""
    batches = {
        name: python2_pickle(noise(seed, count, 3072), [n % 100 for n in range(count)], b"fine_labels")
        for seed, (name, count) in enumerate((("train", 200), ("test", 100)))
    }
    names = [f"thing {number}" for number in range(100)]
    _write_cifar(root, monkeypatch, "CIFAR100", batches, "meta", b"fine_label_names", names)


def _write_cifar(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
    batches: dict[str, bytes],
    meta: str,
    key: bytes,
    names: Sequence[str],
) -> None:
    dataset_class = getattr(torchvision.datasets, dataset)
    folder = root / dataset_class.base_folder
    folder.mkdir(parents=True)
    for name, content in {**batches, meta: python2_names(key, names)}.items():
        (folder / name).write_bytes(content)
    listed = [[name, md5(folder / name)] for name in batches]
    monkeypatch.setattr(dataset_class, "train_list", listed[:-1])
    monkeypatch.setattr(dataset_class, "test_list", listed[-1:])
    entry = {"filename": meta, "key": key.decode(), "md5": md5(folder / meta)}
    monkeypatch.setattr(dataset_class, "meta", entry)


def _write_mnist(name: str, train: str = "train", test: str = "t10k", classes: int = 10) -> Write:
    def write(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for seed, (prefix, count) in enumerate(((train, 4 * classes), (test, 2 * classes))):
            folder = root / name / "raw"
            write_idx(folder / f"{prefix}-images-idx3-ubyte", noise(seed, count, 28, 28))
            write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % classes)

    return write


def _write_usps(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("usps.bz2", 40), ("usps.t.bz2", 20)):
        rows = (
            f"{index % 10 + 1} " + " ".join(f"{place}:0.{index % 7}" for place in range(1, 257))
            for index in range(count)
        )
        (root / name).write_bytes(bz2.compress("\n".join(rows).encode()))


def _write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in (("train", 40), ("test", 20)):
        path = root / f"{split}_32x32.mat"
        labels = np.arange(count, dtype=np.uint8)[:, None] % 10 + 1  # 10 is the digit 0
        scipy.io.savemat(path, {"X": noise(0, 32, 32, 3, count), "y": labels})
        row = torchvision.datasets.SVHN.split_list[split]
        monkeypatch.setitem(torchvision.datasets.SVHN.split_list, split, [*row[:2], md5(path)])


def _write_eurosat(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("Forest", "River")):
        for number in range(5):
            write_image(root / "eurosat" / "2750" / name / f"{name}_{number}.jpg", 5 * seed + number)


def _write_gtsrb(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "gtsrb" / "GTSRB"
    for label in range(3):
        for number in range(4):
            write_image(folder / "Training" / f"{label:05}" / f"{number:05}.ppm", 4 * label + number)
    with (root / "gtsrb" / "GT-final_test.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(("Filename", "ClassId"))
        for number in range(6):
            write_image(folder / "Final_Test" / "Images" / f"{number:05}.ppm", number)
            writer.writerow((f"{number:05}.ppm", number % 3))


def _write_flowers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "flowers-102"
    for number in range(1, 5 * 102 + 1):
        write_image(folder / "jpg" / f"image_{number:05}.jpg", number)
    numbers = np.arange(1, 5 * 102 + 1)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": (numbers - 1) % 102 + 1})
    splits = {"trnid": numbers[: 3 * 102], "valid": numbers[3 * 102 : 4 * 102], "tstid": numbers[4 * 102 :]}
    scipy.io.savemat(folder / "setid.mat", splits)
    files: dict[str, Any] = {
        "image": ("102flowers.tgz", ""),
        "label": ("imagelabels.mat", md5(folder / "imagelabels.mat")),
        "setid": ("setid.mat", md5(folder / "setid.mat")),
    }
    monkeypatch.setattr(torchvision.datasets.Flowers102, "_file_dict", files)


def _write_food(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, (split, count) in enumerate((("train", 4), ("test", 2))):
        names = {food: [f"{food}/{part}{number}" for number in range(count)] for food in ("cake", "soup")}
        for listed in names.values():
            for number, name in enumerate(listed):
                write_image(root / "food-101" / "images" / f"{name}.jpg", number)
        (root / "food-101" / "meta").mkdir(exist_ok=True)
        (root / "food-101" / "meta" / f"{split}.json").write_text(json.dumps(names))


def _write_pets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "oxford-iiit-pet"
    (folder / "annotations").mkdir(parents=True)
    for split, count in (("trainval", 4), ("test", 2)):
        lines = []
        for label, name in enumerate(("Abyssinian", "beagle"), start=1):
            for number in range(count):
                write_image(folder / "images" / f"{name}_{split}{number}.jpg", number)
                lines.append(f"{name}_{split}{number} {label} {label} 1")
        (folder / "annotations" / f"{split}.txt").write_text("\n".join(lines))


def _write_dtd(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "dtd" / "dtd"
    (folder / "labels").mkdir(parents=True)
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        lines = [f"{name}/{split}{number}.jpg" for name in ("dotted", "woven") for number in range(count)]
        for number, line in enumerate(lines):
            write_image(folder / "images" / line, number)
        (folder / "labels" / f"{split}1.txt").write_text("\n".join(lines))


def _write_aircraft(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "fgvc-aircraft-2013b" / "data"
    folder.mkdir(parents=True)
    (folder / "variants.txt").write_text("707-320\nDC-8\n")
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        lines = []
        for variant in ("707-320", "DC-8"):
            for number in range(count):
                write_image(folder / "images" / f"{variant}{split}{number}.jpg", number)
                lines.append(f"{variant}{split}{number} {variant}\n")
        (folder / f"images_variant_{split}.txt").write_text("".join(lines))


def _write_imagenette(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in (("train", 4), ("val", 2)):
        for wnid in torchvision.datasets.Imagenette._WNID_TO_CLASS:
            for number in range(count):
                write_image(root / "imagenette2" / split / wnid / f"{number}.jpeg", number)


WRITERS: dict[str, tuple[Write, list[int], str]] = {
    # Images for training, validation and test, and the name of the first class. Of each class 10% of the
    # training images validate, but at least one; 15% of all where there is no split.
    "CIFAR10": (write_cifar10, [90, 10, 20], "airplane"),
    "CIFAR100": (write_cifar100, [100, 100, 100], "thing 0"),
    "DTD": (_write_dtd, [6, 2, 4], "dotted"),
    "EMNIST": (
        _write_mnist("EMNIST", "emnist-balanced-train", "emnist-balanced-test", 47),
        [141, 47, 94],
        "0",
    ),
    "EuroSAT": (_write_eurosat, [6, 2, 2], "Forest"),
    "FGVCAircraft": (_write_aircraft, [6, 2, 4], "707-320"),
    "Flowers102": (_write_flowers, [306, 102, 102], "pink primrose"),
    "Food101": (_write_food, [6, 2, 4], "cake"),
    "GTSRB": (_write_gtsrb, [9, 3, 6], "0"),
    "Imagenette": (_write_imagenette, [30, 10, 20], "tench, Tinca tinca"),
    "KMNIST": (_write_mnist("KMNIST"), [30, 10, 20], "o"),
    "MNIST": (_write_mnist("MNIST"), [30, 10, 20], "0 - zero"),
    "OxfordIIITPet": (_write_pets, [6, 2, 4], "Abyssinian"),
    "SVHN": (_write_svhn, [30, 10, 20], "0"),
    "USPS": (_write_usps, [30, 10, 20], "0"),
}
