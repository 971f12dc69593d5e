"""Data sets of torchvision by name: whatever way they are split, labelled and sized."""

import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image
from torchvision.datasets.utils import verify_str_arg

from bneck.evaluate.data import torchvision_adapter
from bneck.evaluate.data.augmentation import Augmentation
from bneck.evaluate.data.dataset import SPLITS, Data, load_dataset
from bneck.evaluate.data.in_memory import InMemoryData
from bneck.evaluate.data.streaming import StreamingData, unreadable_images_text
from bneck.search_space.errors import DataError, UnknownNameError


class Pictures:
    """As many pictures as are asked for, the k-th of class k modulo 3, all different."""

    def __init__(self, count: int, mode: str = "RGB", **described: Any) -> None:
        self.count, self.mode, self.read = count, mode, 0
        self.__dict__.update(described)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        self.read += 1
        return Image.new("RGB", (6, 6), (index, self.count, 7)).convert(self.mode), index % 3


class Growing(Pictures):
    """No two pictures have the same size."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return image.resize((6 + index, 6)), label


def known(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    """Let torchvision have a data set called Toy."""

    methods = {
        "__init__": make,
        "__len__": lambda self: len(self.pictures),
        "__getitem__": lambda self, index: self.pictures[index],
        "__getattr__": lambda self, name: getattr(vars(self)["pictures"], name),
    }
    toy = type("Toy", (torchvision.datasets.VisionDataset,), methods)
    monkeypatch.setattr(torchvision.datasets, "Toy", toy, raising=False)


def counts(data: Data) -> list[int]:
    return [data.count(split) for split in SPLITS]


def error_of(name: str, root: Path, download: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(name, root=root, download=download)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "ROOT")


def test_fake_data_is_divided_70_15_15(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(self: Any) -> None:
        fake.__init__(self, size=200, image_size=(3, 12, 12), num_classes=4)

    fake = torchvision.datasets.FakeData
    monkeypatch.setattr(torchvision.datasets, "FakeData", type("Small", (fake,), {"__init__": make}))
    before = torch.get_rng_state()
    data = load_dataset("torchvision:FakeData", root=tmp_path)
    assert isinstance(data, InMemoryData)
    assert sum(counts(data)) == 200
    assert abs(data.count("test") - 30) <= 2
    assert (data.name, data.class_names, data.image_size_px) == ("torchvision:FakeData", tuple("0123"), 12)
    assert torch.get_rng_state().equal(before)


@pytest.mark.slow
def test_fake_data_as_torchvision_has_it(tmp_path: Path) -> None:
    data = load_dataset("torchvision:FakeData", root=tmp_path)
    assert (sum(counts(data)), len(data.class_names), data.image_size_px) == (1000, 10, 224)
    images, labels = next(data.batches("test", 32, 8))
    assert images.shape == (8, 3, 32, 32)
    assert labels.equal(data.labels("test")[:8])


def write_idx(path: Path, array: Any) -> None:
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_kmnist_is_read_from_its_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "KMNIST" / "raw"
    folder.mkdir(parents=True)
    written = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    for prefix, part in (("train", written[:40]), ("t10k", written[40:])):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", part)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(len(part), dtype=np.uint8) % 10)
    data = load_dataset("torchvision:KMNIST", root=tmp_path)
    # Of four images of each class one validates, for one is the least.
    assert counts(data) == [30, 10, 20]
    assert data.class_names[:3] == ("o", "ki", "su")
    assert (data.image_channels, data.image_size_px) == (1, 28)
    images, labels = next(data.with_normalization((0.0,), (1.0,)).batches("test", 28, 20))
    assert images[:, 0].equal(torch.from_numpy(written[40:]).float())
    assert labels.tolist() == [*range(10), *range(10)]
    assert isinstance(data, InMemoryData)
    assert not data.horizontal_flip, "a mirrored character is nothing"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # Of each class 20 train and of the 10 others a tenth is 1.
        ({"train": 60, "test": 30}, [54, 6, 30]),
        ({"train": 60, "val": 30}, [54, 6, 30]),
        ({"trainval": 60, "test": 30}, [54, 6, 30]),
        ({"train": 60, "valid": 12, "test": 30}, [60, 12, 30]),
        ({"train": 60, "val": 12, "test": 30, "extra": 90}, [60, 12, 30]),
        ({"train-standard": 60, "val": 30}, [54, 6, 30]),
    ],
    ids=["+".join(words) for words in ("st", "sv", "tt", "svt", "svte", "places")],
)
def test_splits_by_word(
    words: dict[str, int], expected: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(self: Any, root: Path, split: str = "train", download: bool = False) -> None:
        assert (root, download) == (tmp_path, False)
        self.pictures = Pictures(words[verify_str_arg(split, "split", list(words))], classes=["a", "b", "c"])

    known(monkeypatch, make)
    data = load_dataset("torchvision:Toy", root=tmp_path)
    assert counts(data) == expected
    assert data.class_names == ("a", "b", "c")
    images, labels = next(data.with_normalization((0.0,) * 3, (1.0,) * 3).batches("test", 6, 30))
    assert images[:, :, 0, 0].tolist() == [[place, 30, 7] for place in range(30)]
    assert labels.tolist() == [place % 3 for place in range(30)]


def test_a_switch_for_training_is_found_in_a_parent_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def of_parent(self: Any, root: Path, train: bool = True, download: bool = False) -> None:
        self.pictures = Pictures(30 if train else 9, "L")

    def make(self: Any, root: Path, what: str | None = None, **others: Any) -> None:
        super(type(self), self).__init__(root, **others)

    known(monkeypatch, of_parent)
    toy = type("Toy", (torchvision.datasets.Toy,), {"__init__": make})
    monkeypatch.setattr(torchvision.datasets, "Toy", toy)
    data = load_dataset("torchvision:Toy", root=tmp_path)
    assert counts(data) == [27, 3, 9]
    assert (data.image_channels, data.class_names) == (1, ("0", "1", "2"))


@pytest.mark.parametrize("kind", ["growing", "large", "palette"])
def test_what_does_not_fit_in_one_tensor_is_read_as_it_is_used(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if kind == "large":
        monkeypatch.setattr(torchvision_adapter, "MAX_IN_MEMORY_BYTES", 60 * 6 * 6 * 3 - 1)
    labels = [place % 3 for place in range(60)]

    def make(self: Any, root: Path) -> None:
        listed: dict[str, Any] = {
            "_samples": [("file", label) for label in labels],
            "categories": ["a", "b", "c"],
        }
        self.pictures = (
            Growing(60, **listed)
            if kind == "growing"
            else Pictures(60, "P" if kind == "palette" else "RGB", **listed)
        )
        self.pictures.read = 0
        made.append(self.pictures)

    made: list[Pictures] = []
    known(monkeypatch, make)
    data = load_dataset("torchvision:Toy", root=tmp_path)
    assert isinstance(data, StreamingData)
    assert counts(data) == [42, 9, 9]
    assert (data.class_names, data.image_channels, data.image_size_px) == (("a", "b", "c"), 3, None)
    assert made[0].read < 8, "labels are listed, no need to decode"
    source = torch.Generator().manual_seed(0)
    seen: Counter[int] = Counter()
    for images, batch in data.batches("train", 8, 10, shuffle=source, augment=Augmentation(flip_crop=True)):
        assert images.shape[1:] == (3, 8, 8)
        seen.update(batch.tolist())
    assert sum(seen.values()) == 40  # the last two are less than half a batch
    assert set(seen) == {0, 1, 2}


def test_a_list_that_is_not_of_the_classes_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(self: Any, root: Path) -> None:
        # As `labels` and `y` of another kind may be, and `_samples` without classes.
        self.pictures = Growing(
            30, labels=[5] * 30, y=[0] * 30, targets=["x"] * 30, _samples=[("file",)] * 30
        )

    known(monkeypatch, make)
    data = load_dataset("torchvision:Toy", root=tmp_path)
    assert torch.bincount(torch.cat([data.labels(split) for split in SPLITS])).tolist() == [10, 10, 10]


@pytest.mark.parametrize("unreadable", [(17,), (0,), (29,)])
def test_an_item_that_cannot_be_read_is_left_out_by_its_number(
    unreadable: tuple[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Holey(Growing):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            if index in unreadable:
                raise OSError("image file is truncated (3 bytes not processed)")
            return super().__getitem__(index)

    def make(self: Any, root: Path, train: bool = True) -> None:
        self.pictures = Holey(30, y=[place % 3 for place in range(30)])

    known(monkeypatch, make)
    data = load_dataset("torchvision:Toy", root=tmp_path)
    assert [len(labels) for _, labels in data.batches("test", 8, 30)] == [29]
    assert unreadable_images_text(data) == "1 of 60 images could not be read and was left out: " + (
        f"test/{unreadable[0]} (truncated)"
    )


def test_a_class_that_only_a_broken_image_tells_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Holey(Growing):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            if index == 5:
                raise OSError("image file is truncated")
            return super().__getitem__(index)

    def make(self: Any, root: Path) -> None:
        self.pictures = Holey(30)

    known(monkeypatch, make)
    assert error_of("torchvision:Toy", tmp_path) == (
        "torchvision:Toy: has no list of classes, and an image cannot be read (truncated); "
        "remove its files and use --download"
    )


def test_a_data_set_without_a_readable_image_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(self: Any, root: Path) -> None:
        self.pictures = []

    known(monkeypatch, make)
    assert error_of("torchvision:Toy", tmp_path) == (
        "torchvision:Toy: has no image that can be read; remove its files and use --download"
    )


@pytest.mark.parametrize("target", [{"boxes": []}, (1, 2), 0.5, None, torch.tensor([1, 0]), True])
def test_targets_that_are_no_classes_are_refused(
    target: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(self: Any, root: Path) -> None:
        self.pictures = [(Image.new("RGB", (4, 4)), target)] * 9

    known(monkeypatch, make)
    message = f"torchvision:Toy: its targets are no classes but {type(target).__name__}; "
    assert error_of("torchvision:Toy", tmp_path) == message + "choose a data set for classification"


def test_items_that_are_no_pictures_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(self: Any, root: Path) -> None:
        self.pictures = [(torch.zeros(3), 1)] * 9

    known(monkeypatch, make)
    message = "torchvision:Toy: its items are no pictures but Tensor; choose another"
    assert error_of("torchvision:Toy", tmp_path) == message


def test_other_tasks_are_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    message = "torchvision:VOCDetection: its targets are no classes; choose a data set for classification"
    assert error_of("torchvision:VOCDetection", tmp_path, download=True) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "near"), [("SVNH", "SVHN"), ("Flowers", "Flowers102"), ("ImageFolder", "Image")]
)
def test_an_unknown_name_gets_the_nearest_ones(name: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=f"^unknown torchvision data set '{name}'; nearest: .*{near}"):
        load_dataset(f"torchvision:{name}", root=tmp_path)


@pytest.mark.parametrize("name", ["SVHN", "EMNIST", "EuroSAT", "OxfordIIITPet", "QMNIST", "SEMEION", "USPS"])
def test_missing_files_are_told_with_the_remedy(name: str, tmp_path: Path) -> None:
    message = error_of(f"torchvision:{name}", tmp_path)
    assert message.startswith(f"torchvision:{name}: cannot be read from ROOT (")
    assert message.endswith("; --download fetches it")


def test_files_that_cannot_be_fetched_must_be_put_there(tmp_path: Path) -> None:
    message = error_of("torchvision:ImageNet", tmp_path, download=True)
    assert message.startswith("torchvision:ImageNet: cannot be read from ROOT (")
    assert message.endswith("; put it there as torchvision describes")


@pytest.mark.parametrize("download", [False, True])
def test_files_are_fetched_only_when_asked(
    download: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[bool] = []

    def make(self: Any, root: Path, train: bool = True, download: bool = True) -> None:
        asked.append(download)
        raise RuntimeError("the network is down\nand more")

    known(monkeypatch, make)
    message = error_of("torchvision:Toy", tmp_path, download)
    assert asked == [download]
    assert message == (
        "torchvision:Toy: cannot be downloaded (the network is down); try again, or fetch it by hand"
        if download
        else "torchvision:Toy: cannot be read from ROOT (the network is down); --download fetches it"
    )


def test_classes_with_too_few_images_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(self: Any, root: Path) -> None:
        self.pictures = Pictures(7, classes=["a", "b", "c"])  # three of a, two of the others

    known(monkeypatch, make)
    assert error_of("torchvision:Toy", tmp_path) == (
        "torchvision:Toy: class 'b' needs at least 3 images, got 2; class 'c' needs at least 3 images, "
        "got 2; add images or remove the classes"
    )


def test_broken_files_are_not_taken_for_a_missing_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(self: Any, root: Path, split: str = "train") -> None:
        raise ValueError("not a MATLAB file")

    known(monkeypatch, make)
    assert error_of("torchvision:Toy", tmp_path) == (
        "torchvision:Toy: cannot be read from ROOT (not a MATLAB file); put it there as torchvision describes"
    )


def test_a_data_set_without_test_images_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(self: Any, root: Path, split: str = "train") -> None:
        verify_str_arg(split, "split", ["train"])
        self.pictures = Pictures(9)

    known(monkeypatch, make)
    assert error_of("torchvision:Toy", tmp_path) == "torchvision:Toy: has no split for testing"
