"""Streamed images: reproducibility by seed, and unreadable images."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bneck.evaluate.data.augmentation import Augmentation, parse_augmentation
from bneck.evaluate.data.dataset import find_unreadable_images, load_data
from bneck.evaluate.data.image_folder import load_folder
from bneck.evaluate.data.splits import SPLITS, stratified_split
from bneck.evaluate.data.streaming import (
    LabelledFiles,
    StreamingData,
    default_workers,
    unreadable_images_text,
)
from bneck.search_space.errors import DataError

FLIP_CROP = Augmentation(flip_crop=True)
EVERYTHING = parse_augmentation("flip-crop+randaugment+random-erase")


def pictures(root: Path, count: int = 12) -> Path:
    """Two classes of different images, 14 x 20."""
    for offset, name in enumerate(("cat", "dog")):
        (root / name).mkdir()
        for number in range(count):
            pixels = (np.arange(20 * 14 * 3) * (number + offset + 1) % 256).astype(np.uint8)
            Image.fromarray(pixels.reshape(20, 14, 3)).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def data(tmp_path: Path) -> StreamingData:
    """16 training, 4 validation and 4 test images, split by position."""
    files = sorted(pictures(tmp_path).rglob("*.png"))
    labels = torch.arange(2).repeat_interleave(12)
    every = LabelledFiles(tuple(map(str, files)), labels, np.zeros(24, np.uint64))
    parts = stratified_split(labels, (0.15, 0.15))
    return StreamingData(
        "folder:photos",
        ("cat", "dog"),
        {split: every[part] for split, part in zip(SPLITS, parts, strict=True)},
    )


def paths(data: StreamingData, split: str) -> Iterator[Path]:
    for place in range(data.count(split)):  # type: ignore[arg-type]
        yield data.splits[split].path(place)  # type: ignore[index]


def spoil(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:60])
    return path


@pytest.mark.parametrize(("resolution_px", "digest"), [(8, "738298db417b9c20"), (16, "d05dd546cb2e5790")])
def test_the_batches_of_a_seed_are_those_of_the_first_release(
    data: StreamingData, resolution_px: int, digest: str
) -> None:
    generator = torch.Generator().manual_seed(3)
    content = hashlib.sha256()
    for batch in data.batches("train", resolution_px, 5, shuffle=generator, augment=FLIP_CROP):
        for tensor in batch:
            content.update(tensor.contiguous().numpy().tobytes())
    assert content.hexdigest()[:16] == digest
    assert int(torch.randint(0, 2**31, (), generator=generator)) == 698732192


def test_a_red_image_is_normalised_as_for_imagenet(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / name / f"{number}.png")
    images, _ = next(load_folder("folder:red", tmp_path).batches("train", 8, 4))
    # (1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225
    expected = torch.tensor([2.24890829, -2.03571429, -1.80444444])
    torch.testing.assert_close(images[0, :, 3, 3], expected)


def test_batches_do_not_depend_on_the_number_of_threads(data: StreamingData) -> None:
    results = [
        list(
            replace(data, workers=workers).batches(
                "train", 8, 5, shuffle=torch.Generator().manual_seed(3), augment=EVERYTHING
            )
        )
        for workers in (1, 4)
    ]
    for (images, labels), (same_images, same_labels) in zip(*results, strict=True):
        assert images.equal(same_images)
        assert labels.equal(same_labels)


def test_threads_end_if_an_epoch_ends_early(data: StreamingData) -> None:
    before = threading.active_count()
    for _ in zip(range(1), replace(data, workers=3).batches("train", 8, 4), strict=False):
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_mirroring_can_be_disabled(data: StreamingData) -> None:
    def batch(horizontal_flip: bool) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        some = replace(data, horizontal_flip=horizontal_flip)
        return next(some.batches("train", 8, 16, shuffle=generator, augment=FLIP_CROP))[0]

    both, straight = batch(True), batch(False)
    same = [bool(first.equal(second)) for first, second in zip(both, straight, strict=True)]
    mirrored = [bool(first.equal(second.flip(2))) for first, second in zip(both, straight, strict=True)]
    assert all(one or other for one, other in zip(same, mirrored, strict=True))
    assert 0 < sum(same) < 16


def test_one_torch_thread_gives_one_decoding_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for threads, cores, readers in ((1, 16, 1), (4, 16, 8), (4, 4, 3), (2, 1, 1)):
        monkeypatch.setattr("bneck.evaluate.data.streaming.usable_cores", lambda cores=cores: cores)
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert default_workers() == readers


def test_an_unreadable_image_is_left_out_with_its_label_and_noted(data: StreamingData) -> None:
    whole, labels = next(data.batches("train", 8, 16))
    unreadable_images = spoil(list(paths(data, "train"))[2])
    rest, rest_labels = next(data.batches("train", 8, 16))
    others = [place for place in range(16) if place != 2]
    assert rest.equal(whole[others])
    assert rest_labels.equal(labels[others])
    assert data.unreadable_images == {unreadable_images: "truncated"}


def test_an_unreadable_image_does_not_change_the_augmentation_of_others(data: StreamingData) -> None:
    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(5)
        return next(data.batches("test", 16, 8, shuffle=generator, augment=EVERYTHING))

    whole, labels = batch()
    spoil(next(paths(data, "test")))
    rest, rest_labels = batch()
    assert len(rest) == len(whole) - 1
    (gone,) = [place for place in range(len(whole)) if not any(whole[place].equal(image) for image in rest)]
    others = [place for place in range(len(whole)) if place != gone]
    assert rest.equal(whole[others])
    assert rest_labels.equal(labels[others])


def test_a_batch_without_a_readable_image_is_skipped(data: StreamingData) -> None:
    for path in list(paths(data, "test"))[:2]:
        spoil(path)
    assert [labels.tolist() for _, labels in data.batches("test", 8, 2)] == [[1, 1]]


def test_shards_stay_in_step_if_one_has_no_readable_image(data: StreamingData) -> None:
    files = list(paths(data, "test"))
    assert len(files) == 4
    spoil(files[1])
    for rank, sizes in ((0, [1, 1]), (1, [0, 1])):
        batches = list(data.batches("test", 8, 2, shard=(rank, 2)))
        assert [len(labels) for _, labels in batches] == sizes
        assert [images.shape[1:] for images, _ in batches] == [(3, 8, 8)] * 2


def test_a_split_of_unreadable_images_is_refused(data: StreamingData) -> None:
    for path in paths(data, "validation"):
        path.write_bytes(b"<html>")
    names = ", ".join(f"{path.parent.name}/{path.name} (not an image)" for path in paths(data, "validation"))
    message = (
        f"folder:photos: none of the 4 images of the validation split can be read: {names}; replace them"
    )
    with pytest.raises(DataError) as caught:
        list(replace(data, workers=1).batches("validation", 8, 2))
    assert str(caught.value) == message


def test_an_empty_split_is_no_error(data: StreamingData) -> None:
    nothing = data.subset("test", torch.zeros(0, dtype=torch.int64))
    assert [len(labels) for _, labels in nothing.batches("test", 8, 2)] == []


def test_a_bug_in_a_decoding_thread_is_raised(data: StreamingData, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*of_picture: object) -> None:
        raise MemoryError

    monkeypatch.setattr("bneck.evaluate.data.streaming.decode_image", out_of_memory)
    with pytest.raises(MemoryError):
        next(data.batches("train", 8, 4))
    assert data.unreadable_images == {}


def test_unreadable_images_are_summarized_in_one_line(data: StreamingData) -> None:
    assert unreadable_images_text(data) is None
    first, second = list(paths(data, "train"))[:2]
    spoil(first)
    list(data.batches("train", 8, 16))
    assert unreadable_images_text(data) == (
        "1 of 24 images could not be read and was left out: cat/" + first.name + " (truncated)"
    )
    second.unlink()
    # Derived data shares the record.
    other = data.with_normalization((0.0,) * 3, (1.0,) * 3).subset("test", torch.arange(2))
    list(other.batches("train", 8, 16))
    assert unreadable_images_text(other) == (
        f"2 of 22 images could not be read and were left out: cat/{first.name} (truncated), "
        f"cat/{second.name} (no such file or directory)"
    )
    assert unreadable_images_text(data) is not None
    assert data.unreadable_images == other.unreadable_images


def test_five_of_many_unreadable_images_are_listed(data: StreamingData) -> None:
    for path in paths(data, "train"):
        spoil(path)
    with pytest.raises(DataError, match=r"none of the 16 images of the train split.*\) and 11 more; replace"):
        list(data.batches("train", 8, 4))


def test_data_in_memory_has_no_unreadable_images() -> None:
    assert unreadable_images_text(load_data("digits")) is None


def test_every_image_can_be_checked_beforehand(data: StreamingData) -> None:
    unreadable_images = {
        spoil(next(paths(data, "train"))): "truncated",
        next(paths(data, "test")): "empty file",
    }
    next(paths(data, "test")).write_bytes(b"")
    steps: list[tuple[int, int]] = []
    assert find_unreadable_images(data, lambda done, total: steps.append((done, total))) == unreadable_images
    assert steps == [(done, 24) for done in range(1, 25)]


def test_the_bits_of_16_bit_images_are_reported_unless_all_are_used(data: StreamingData) -> None:
    places = [next(paths(data, split)) for split in ("train", "test")]
    Image.fromarray(np.full((8, 8), 65_535, np.uint16)).save(places[0])
    assert find_unreadable_images(data) == {}
    assert (data.bit_depths, unreadable_images_text(data)) == ({16}, None)
    Image.fromarray(np.full((8, 8), 4_000, np.uint16)).save(places[1])
    list(data.batches("test", 8, 4))
    assert data.bit_depths == {12, 16}
    text = unreadable_images_text(data)
    assert text is not None
    assert "12 or 16 bits" in text
