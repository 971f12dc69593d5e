"""torch data sets of any form as `Data`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from bneck.evaluate.data import torch_pair
from bneck.evaluate.data.augmentation import Augmentation
from bneck.evaluate.data.dataset import SPLITS, Data, load_data
from bneck.evaluate.data.in_memory import InMemoryData
from bneck.evaluate.data.streaming import StreamingData, unreadable_images_text
from bneck.evaluate.data.torch_pair import data_from_datasets
from bneck.search_space.errors import DataError
from bneck.testing.data import DataContract

from .example_torchvision import noise


class Images(Dataset[Any]):
    """`count` images, the k-th of class k modulo 3; `convert` makes the item."""

    def __init__(
        self,
        count: int,
        convert: Callable[[Any], Any] = Image.fromarray,
        growing: bool = False,
        **attributes: Any,
    ) -> None:
        self.pixels = [noise(count + index, 6, 6 + index * growing, 3) for index in range(count)]
        self.convert, self.reads = convert, 0
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return self.convert(self.pixels[index]), index % 3


class Holey(Images):
    """Growing images of which some cannot be read."""

    def __init__(self, count: int, holes: tuple[int, ...], **attributes: Any) -> None:
        super().__init__(count, growing=True, **attributes)
        self.holes = holes

    def __getitem__(self, index: int) -> Any:
        if index in self.holes:
            raise OSError("image file is truncated (3 bytes not processed)")
        return super().__getitem__(index)


def targets(count: int) -> list[int]:
    return [index % 3 for index in range(count)]


def counts(data: Data) -> list[int]:
    return [data.count(split) for split in SPLITS]


def raw_test_images(data: Data) -> torch.Tensor:
    channels = data.image_channels
    raw = data.with_normalization((0.0,) * channels, (1.0,) * channels)
    return torch.cat([images for images, _ in raw.batches("test", 6, 8)])


class TestInMemoryContract(DataContract):
    @pytest.fixture
    def data(self) -> Data:
        return load_data((Images(30), Images(12)))


class TestStreamingContract(DataContract):
    @pytest.fixture
    def data(self) -> Data:
        return load_data((Images(30, growing=True, targets=targets(30)), Images(12, growing=True)))


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "PIL": Image.fromarray,
    "array": lambda pixels: pixels,
    "tensor": lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1),
    "float tensor": lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1) / 255,
    "float array": lambda pixels: pixels / np.float32(255),
}


@pytest.mark.parametrize("form", CONVERSIONS)
def test_images_of_every_form_have_the_same_pixels(form: str) -> None:
    data = load_data((Images(30, CONVERSIONS[form]), Images(12, CONVERSIONS[form])))
    assert isinstance(data, InMemoryData)
    expected = torch.stack([torch.from_numpy(noise(12 + index, 6, 6, 3)) for index in range(12)])
    assert raw_test_images(data).permute(0, 2, 3, 1).equal(expected.float())
    assert data.labels("test").tolist() == targets(12)


@pytest.mark.parametrize(
    "convert",
    [
        lambda pixels: Image.fromarray(pixels[..., 0]),
        lambda pixels: pixels[..., 0],
        lambda pixels: pixels[..., :1],
        lambda pixels: torch.from_numpy(pixels[..., 0]),
        lambda pixels: torch.from_numpy(pixels[..., :1]).permute(2, 0, 1),
    ],
    ids=["PIL", "H x W", "H x W x 1", "tensor H x W", "tensor 1 x H x W"],
)
def test_grayscale_images_have_one_channel(convert: Callable[[Any], Any]) -> None:
    data = load_data((Images(30, convert), Images(12, convert)))
    assert (data.image_channels, data.image_size_px) == (1, 6)
    assert raw_test_images(data)[0, 0].equal(torch.from_numpy(noise(12, 6, 6, 3)[..., 0]).float())


def test_a_pair_is_train_and_test_and_a_tenth_of_train_validates() -> None:
    # Of each class 20 images train, of which a tenth is 2.
    data = load_data((Images(60, classes=["a", "b", "c"]), Images(12)))
    assert counts(data) == [54, 6, 12]
    assert (data.name, data.class_names) == ("Images", ("a", "b", "c"))


def test_three_are_train_validation_and_test() -> None:
    data = load_data((Images(30), Images(9), Images(12)))
    assert counts(data) == [30, 9, 12]
    assert data.class_names == ("0", "1", "2")


def test_torchs_own_data_sets_fit() -> None:
    pixels = torch.from_numpy(noise(0, 12, 3, 6, 6))
    whole = TensorDataset(pixels, torch.tensor(targets(12)))
    data = load_data((whole, Subset(whole, range(6))))
    assert counts(data) == [9, 3, 6]
    assert raw_test_images(data).equal(pixels[:6].float())


def test_name_and_mirroring_can_be_chosen() -> None:
    data = data_from_datasets(Images(30), Images(12), name="own", horizontal_flip=True)
    assert (data.name, data.horizontal_flip) == ("own", True)


@pytest.mark.parametrize("kind", ["sizes differ", "too large", "palette"])
def test_images_that_do_not_fit_in_one_tensor_are_streamed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "too large":
        monkeypatch.setattr(torch_pair, "MAX_IN_MEMORY_BYTES", 72 * 6 * 6 * 3 - 1)
    convert = (lambda pixels: Image.fromarray(pixels).convert("P")) if kind == "palette" else Image.fromarray
    train, test = (
        Images(count, convert, growing=kind == "sizes differ", targets=targets(count)) for count in (60, 12)
    )
    data = load_data((train, test))
    assert isinstance(data, StreamingData)
    assert counts(data) == [54, 6, 12]
    assert (data.image_channels, data.image_size_px) == (3, None)
    assert train.reads < 8, "labels come from the list"
    batches = data.batches(
        "train", 8, 10, shuffle=torch.Generator().manual_seed(0), augment=Augmentation(flip_crop=True)
    )
    assert sum(len(labels) for _, labels in batches) == 50  # the last four are less than half a batch


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"targets": [5] * 30},
        {"targets": ["x"] * 30},
        {"targets": [0, 1]},
        {"targets": targets(30), "target_transform": lambda label: label},
    ],
    ids=["none", "other labels", "text", "too short", "transformed"],
)
def test_labels_that_are_not_listed_are_read_from_the_items(attributes: dict[str, Any]) -> None:
    train = Images(30, growing=True, **attributes)
    data = load_data((train, Images(12, growing=True)))
    assert torch.bincount(torch.cat([data.labels(split) for split in SPLITS])).tolist() == [14, 14, 14]
    assert train.reads >= 30


@pytest.mark.parametrize("hole", [0, 17, 29])
def test_an_unreadable_item_is_left_out_and_named(hole: int) -> None:
    data = load_data((Images(30), Holey(30, (hole,), targets=targets(30))))
    assert [len(labels) for _, labels in data.batches("test", 8, 30)] == [29]
    message = unreadable_images_text(data)
    assert message is not None
    assert f"test/{hole} (truncated)" in message


def test_an_unreadable_item_without_a_listed_label_is_refused() -> None:
    with pytest.raises(DataError, match=r"^Holey: .*truncated.*targets"):
        load_data((Holey(30, (5,)), Images(12)))


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([])


def items(item: Any) -> list[Any]:
    return [item] * 9


GRAY = np.zeros((4, 4), np.uint8)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (Stream(), "train data.*__len__.*Stream"),
        ([], "none of the 0 images"),
        (items(GRAY), "pairs of image and label, got ndarray"),
        (items((GRAY, 1, 2)), "pairs of image and label, got tuple"),
        (items(("file.png", 1)), "images.*got str"),
        (items((np.zeros((4, 4, 2), np.uint8), 1)), r"channels.*\(4, 4, 2\)"),
        (items((torch.zeros(4, 4, 3), 1)), r"channels.*\(4, 4, 3\)"),
        (items((torch.randn(3, 4, 4) - 5, 1)), "from 0 to 1.*normalisation"),
        (items((np.full((4, 4), np.nan, np.float32), 1)), "from 0 to 1"),
        (items((torch.zeros(3, 4, 4, dtype=torch.int64), 1)), "uint8.*int64"),
        (items((GRAY, {"boxes": []})), "labels must be integers"),
        (items((GRAY, 0.5)), "labels must be integers"),
        (items((GRAY, None)), "labels must be integers"),
        (items((GRAY, True)), "labels must be integers"),
        (items((GRAY, torch.tensor([1, 0]))), "labels must be integers"),
        (items((GRAY, -1)), "labels must be from 0"),
        ([(GRAY, 0)] * 9 + [(GRAY, 1)], "class '1' needs at least 2 images"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(train: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data((train, items((GRAY, 0))))
