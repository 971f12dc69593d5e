"""Data sets by name, by path, by object and by plugin."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from bneck.evaluate.data.builtin import SYSTEM_FASHION_FOLDER
from bneck.evaluate.data.dataset import SPLITS, Data, class_difference, load_data, subsample
from bneck.evaluate.data.streaming import LabelledFiles, StreamingData
from bneck.search_space.errors import DataError, PluginError, UnknownNameError
from bneck.testing.data import DataContract

from .example_torchvision import noise, write_idx


def write_fashion(root: Path, suffix: str = "") -> Path:
    """40 training and 20 test images of noise, with labels 0 to 9 repeated."""
    for seed, (prefix, count) in enumerate((("train", 40), ("t10k", 20))):
        write_idx(root / f"{prefix}-images-idx3-ubyte{suffix}", noise(seed, count, 28, 28))
        write_idx(root / f"{prefix}-labels-idx1-ubyte{suffix}", np.arange(count, dtype=np.uint8) % 10)
    return root


def write_folder(root: Path) -> Path:
    for seed, name in enumerate(("cat", "dog")):
        (root / name).mkdir()
        for number, pixels in enumerate(noise(seed, 12, 20, 14, 3)):
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


DATA: dict[str, Callable[[Path], Data]] = {
    "digits": lambda root: load_data("digits"),
    "fashion-mnist": lambda root: load_data("fashion-mnist", root=write_fashion(root)),
    "folder": lambda root: load_data(f"folder:{write_folder(root)}"),
    "digits, limited": lambda root: subsample(load_data("digits"), 200, 50),
    "folder, limited": lambda root: subsample(load_data(f"folder:{write_folder(root)}"), 10, 2),
}


class TestContract(DataContract):
    @pytest.fixture(params=["fashion-mnist", "folder", "digits, limited", "folder, limited"])
    def data(self, request: pytest.FixtureRequest, tmp_path: Path) -> Data:
        return DATA[request.param](tmp_path)


@pytest.mark.parametrize(("name", "image_size_px"), [("digits", 8), ("folder", None)])
def test_images_in_memory_have_a_size(name: str, image_size_px: int | None, tmp_path: Path) -> None:
    assert DATA[name](tmp_path).image_size_px == image_size_px


@pytest.mark.parametrize("name", ["digits", "fashion-mnist", "folder"])
def test_a_limit_leaves_the_other_splits(name: str, tmp_path: Path) -> None:
    data = DATA[name](tmp_path)
    classes = len(data.class_names)
    some = subsample(data, classes, None)
    assert sorted(some.labels("train").tolist()) == list(range(classes))
    assert [some.count(split) for split in SPLITS[1:]] == [data.count(split) for split in SPLITS[1:]]
    assert (some.name, some.class_names) == (data.name, data.class_names)


def test_the_digits_are_1797_images_in_disjoint_splits() -> None:
    digits = load_data("digits")
    counts = [digits.count(split) for split in SPLITS]
    assert sum(counts) == 1797
    # 60/20/20, each class rounded by itself.
    assert counts == [1079, 359, 359]
    assert digits.class_names == tuple("0123456789")


def test_digits_at_their_own_size_are_scikit_learns_pixels_and_labels() -> None:
    from sklearn.datasets import load_digits

    expected = load_digits()
    batches = [batch for split in SPLITS for batch in load_data("digits").batches(split, 8, 500)]
    images = torch.cat([images for images, _ in batches])[:, 0]
    labels = torch.cat([labels for _, labels in batches]).tolist()
    # 0 and 16 are the least and the most in the set; bytes are off by half a step at most.
    values = (images - images.min()) / (images.max() - images.min()) * 16
    pixels = values.round().flatten(1).int().tolist()
    rows = sorted((*row, label) for row, label in zip(pixels, labels, strict=True))
    expected_rows = zip(expected.data.astype(int).tolist(), expected.target.tolist(), strict=True)
    assert rows == sorted((*row, label) for row, label in expected_rows)


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_training_images_have_mean_0_and_deviation_1(name: str, tmp_path: Path) -> None:
    data = DATA[name](tmp_path)
    own_px = {"digits": 8, "fashion-mnist": 28}[name]
    images, _ = next(data.batches("train", own_px, data.count("train")))
    std, mean = torch.std_mean(images, (0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)
    torch.testing.assert_close(std, torch.ones_like(std), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("place", "suffix"),
    [("", ""), ("", ".gz"), ("FashionMNIST/raw", "")],
    ids=["plain", "gzip", "torchvision"],
)
def test_fashion_mnist_is_read_from_idx_files(tmp_path: Path, place: str, suffix: str) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    write_fashion(folder, suffix)
    data = load_data("fashion-mnist", root=tmp_path)
    # Of four images of each class one validates; the 20 of t10k are the test.
    assert [data.count(split) for split in SPLITS] == [30, 10, 20]
    assert data.class_names[9] == "Ankle boot"
    images, labels = next(data.batches("test", 28, 20))
    assert labels.tolist() == [*range(10), *range(10)]
    written = torch.from_numpy(noise(1, 20, 28, 28)).float()
    torch.testing.assert_close(
        (images[:, 0] - images.mean()) / images.std(), (written - written.mean()) / written.std()
    )


@pytest.mark.skipif(not SYSTEM_FASHION_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
@pytest.mark.slow
def test_the_installed_fashion_mnist_validates_with_600_of_each_class() -> None:
    data = load_data("fashion-mnist")
    assert [data.count(split) for split in SPLITS] == [54_000, 6_000, 10_000]
    assert torch.bincount(data.labels("validation")).tolist() == [600] * 10


def error_of(name: str, root: Path, download: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        load_data(name, root=root, download=download)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")


def test_missing_fashion_mnist_names_the_folders_and_the_remedy(tmp_path: Path) -> None:
    message = error_of("fashion-mnist", tmp_path)
    for text in ("fashion-mnist: ", " ROOT or ROOT/FashionMNIST/raw;", "--download", "apt-get install"):
        assert text in message


def test_a_truncated_idx_file_is_named_with_its_size(tmp_path: Path) -> None:
    labels = write_fashion(tmp_path) / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-3])
    message = error_of("fashion-mnist", tmp_path)
    assert message.startswith("ROOT/t10k-labels-idx1-ubyte: must hold 20 bytes, got 17;")
    assert "--download" in message


@pytest.mark.parametrize("content", [b"", b"<html>", b"\0\0\x08\3\0\0"], ids=["empty", "html", "header cut"])
def test_a_file_that_is_not_idx_is_named(tmp_path: Path, content: bytes) -> None:
    (write_fashion(tmp_path) / "train-labels-idx1-ubyte").write_bytes(content)
    assert error_of("fashion-mnist", tmp_path).startswith(
        "ROOT/train-labels-idx1-ubyte: not an idx file of bytes;"
    )


@pytest.mark.parametrize("length", [-9, 5, 0], ids=["truncated", "header cut", "empty"])
def test_a_broken_gzip_file_is_named(tmp_path: Path, length: int) -> None:
    images = write_fashion(tmp_path, ".gz") / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:length])
    assert error_of("fashion-mnist", tmp_path).startswith("ROOT/train-images-idx3-ubyte.gz: ")


def test_more_images_than_labels_are_refused(tmp_path: Path) -> None:
    write_idx(write_fashion(tmp_path) / "train-labels-idx1-ubyte", np.zeros(39, np.uint8))
    assert error_of("fashion-mnist", tmp_path).startswith("ROOT: 40 train images, 39 labels;")


def test_a_failed_download_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(root: Path, download: bool) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", unreachable)
    message = "fashion-mnist: cannot be downloaded (<urlopen error no route to host>)"
    assert error_of("fashion-mnist", tmp_path, download=True) == message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("fashon-mnist", "fashion-mnist"),
        ("cifar", "cifar10"),
        ("folder:", "folder:PATH"),
        ("torchvision", "torchvision:NAME"),
    ],
)
def test_an_unknown_name_gets_the_nearest_ones(name: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"^unknown data set '{name}'; .*{nearest}"):
        load_data(name)


def test_a_limit_keeps_the_classes_in_proportion_and_the_test_split_whole() -> None:
    digits = load_data("digits")
    some = subsample(digits, train=100, validation=10)
    assert [some.count(split) for split in SPLITS] == [100, 10, 359]
    # The digits are nearly balanced: 104 to 110 images of each class train.
    assert set(torch.bincount(some.labels("train")).tolist()) <= {9, 10, 11}


def test_a_limit_above_what_there_is_takes_all() -> None:
    some = subsample(load_data("digits"), train=5000)
    assert some.count("train") == 1079


def test_a_limit_of_no_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"^digits: the limit of train images must be at least 1, got 0$"):
        subsample(load_data("digits"), train=0)


def test_images_beyond_the_limit_are_never_read(tmp_path: Path) -> None:
    data = load_data(f"folder:{write_folder(tmp_path)}")
    some = subsample(data, train=4, validation=2)
    assert isinstance(some, StreamingData)
    remaining: set[str] = set()
    for files in some.splits.values():
        assert isinstance(files, LabelledFiles)
        remaining |= set(files.paths)
    for path in tmp_path.rglob("*.png"):
        if str(path) not in remaining:
            path.unlink()
    read = [sum(len(labels) for _, labels in some.batches(split, 8, 2)) for split in SPLITS]
    assert read == [4, 2, data.count("test")]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the working directory that offers data sets."""
    (tmp_path / "own_data.py").write_text(
        "from bneck.evaluate.data.dataset import load_data\n"
        "digits = load_data('digits')\n"
        "name = 'digits'\n"
        "def make(): return digits\n"
        "def datasets(): return ([], [])\n"
        "def number(): return 3\n"
        "def broken(): raise OSError('no disk')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "own_data", raising=False)
    return "own_data"


@pytest.mark.parametrize("attribute", ["digits", "name", "make"])
def test_a_plugin_offers_data_or_a_function(attribute: str, plugin: str) -> None:
    assert load_data(f"{plugin}:{attribute}").count("test") == 359


def test_a_plugin_is_found_by_its_entry_point(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(group: str, name: str = "own") -> list[EntryPoint]:
        known = group == "bneck.data" and name == "own"
        return [EntryPoint("own", f"{plugin}:make", group)] if known else []

    monkeypatch.setattr("bneck.evaluate.plugins.entry_points", installed)
    assert load_data("own").count("test") == 359
    with pytest.raises(UnknownNameError, match=r"own"):
        load_data("owns")


@pytest.mark.parametrize(
    ("attribute", "error", "message"),
    [
        ("nothing", PluginError, "own_data:nothing"),
        ("number", PluginError, r"own_data:number.*got int"),
        ("broken", PluginError, r"own_data:broken.*OSError: no disk"),
        ("datasets", DataError, "none of the 0 images"),
    ],
)
def test_a_plugin_that_offers_no_data_is_refused(
    attribute: str, error: type[Exception], message: str, plugin: str
) -> None:
    with pytest.raises(error, match=message):
        load_data(f"{plugin}:{attribute}")


def test_a_folder_can_be_given_by_its_path(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    for source in (folder, str(folder), f"folder:{folder}"):
        data = load_data(source)
        assert (data.name, data.class_names) == (f"folder:{folder}", ("cat", "dog"))


def test_data_is_returned_unchanged() -> None:
    digits = load_data("digits")
    assert load_data(digits) is digits


@pytest.mark.parametrize("source", [3, None, ([],), ([], [], [], [])])
def test_another_object_is_refused(source: Any) -> None:
    with pytest.raises(DataError, match=r"^data: .*got"):
        load_data(source)


@pytest.mark.parametrize(
    ("trained", "given", "expected"),
    [
        ("a b c d e", "a b c d e", None),
        ("a b c d e f", "a b c d e g", "without f and with g (6 classes in training, 6 here)"),
        ("a b c", "a b", "without c (3 classes in training, 2 here)"),
        ("a b c", "a c b", "order differs, class 1 is 'c' instead of 'b'"),
        ("a", " ".join(f"x{number:02}" for number in range(20)), "x00, x01, x02, x03, x04 and 15 more"),
    ],
)
def test_classes_that_differ_are_named(trained: str, given: str, expected: str | None) -> None:
    difference = class_difference(trained.split(), given.split())
    assert difference == expected if expected is None else expected in str(difference)


@pytest.mark.parametrize("name", ["Folder:photos", "dir:photos", "photos.zip", "folder:~nobody-here/x"])
def test_a_folder_under_another_name_is_suggested(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos.zip").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"folder:photos$|give a folder|give the path in full"):
        load_data(name)


def test_a_folder_in_the_data_root_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=rf"unknown data set 'photos'; give folder:{tmp_path}/photos$"):
        load_data("photos", root=tmp_path)


def test_a_path_that_is_missing_is_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        load_data(f"{tmp_path}/photos")


def test_an_empty_or_long_name_is_unknown() -> None:
    for name in ("", "a" * 300):
        with pytest.raises(UnknownNameError, match="folder:PATH"):
            load_data(name)
