"""Images in memory: statistics, resizing, augmentation."""

import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bneck.evaluate.data import in_memory
from bneck.evaluate.data.augmentation import Augmentation
from bneck.evaluate.data.in_memory import (
    InMemoryData,
    LabelledImages,
    apply_shifts_and_flips,
    channel_statistics,
    in_memory_data,
    normalize,
    resize,
    sample_shifts_and_flips,
)

FLIP_CROP = Augmentation(flip_crop=True)
A_PICTURE = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)
SHIFTED_BY_HAND = {
    ((0, 0), (0, 1)), ((0, 0), (1, 2)), ((0, 0), (2, 0)),
    ((0, 1), (0, 3)), ((1, 2), (3, 4)), ((2, 0), (4, 0)),
    ((0, 3), (0, 0)), ((3, 4), (0, 0)), ((4, 0), (0, 0)),
}  # fmt: skip


def pictures(pixels: Tensor) -> set[tuple[tuple[int, ...], ...]]:
    """The different images of an `n x height x width x 1` batch."""
    return {tuple(tuple(row) for row in picture) for picture in pixels[..., 0].tolist()}


def data(train: Tensor) -> InMemoryData:
    images = LabelledImages(train, torch.arange(len(train)) % 2)
    return in_memory_data(
        "toy", ("a", "b"), {"train": images, "validation": images, "test": images}, horizontal_flip=False
    )


def shift_and_flip(
    pixels: Tensor, max_shift_px: int, horizontal_flip: bool, generator: torch.Generator
) -> Tensor:
    return apply_shifts_and_flips(
        pixels,
        sample_shifts_and_flips(len(pixels), pixels.shape[1], max_shift_px, horizontal_flip, generator),
        max_shift_px,
    )


def test_shifts_by_one_pixel_give_nine_images() -> None:
    batch = A_PICTURE[None, :, :, None].repeat(200, 1, 1, 1)
    assert pictures(shift_and_flip(batch, 1, False, torch.Generator().manual_seed(0))) == SHIFTED_BY_HAND


def test_half_of_the_images_are_mirrored() -> None:
    batch = A_PICTURE[None, :, :, None].repeat(1000, 1, 1, 1)
    changed = shift_and_flip(batch, 0, True, torch.Generator().manual_seed(0))
    assert pictures(changed) == {((1, 2), (3, 4)), ((2, 1), (4, 3))}
    # Five standard deviations of 1000 fair coin tosses are 79.
    assert abs(int((changed[:, 0, 0, 0] == 2).sum()) - 500) < 79


def test_all_channels_are_shifted_together() -> None:
    batch = torch.stack([A_PICTURE, A_PICTURE + 10, A_PICTURE + 20], dim=2)[None].repeat(50, 1, 1, 1)
    red, green, blue = shift_and_flip(batch, 1, True, torch.Generator().manual_seed(0)).unbind(-1)
    assert green.equal(torch.where(red > 0, red + 10, 0))
    assert blue.equal(torch.where(red > 0, red + 20, 0))


def test_augmentation_repeats_with_its_seed() -> None:
    batch = torch.randint(0, 256, (9, 6, 6, 3), dtype=torch.uint8)
    first, again, other = (
        shift_and_flip(batch, 2, True, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert first.equal(again)
    assert not first.equal(other)


def test_statistics_are_per_channel() -> None:
    # Red is 0 and 200: mean 100, deviation 100. Green is always 7: its standard deviation becomes 1.
    pixels = torch.tensor([[[[0, 7]]], [[[200, 7]]]], dtype=torch.uint8)
    mean, std = channel_statistics(pixels)
    assert mean.tolist() == [100, 7]
    assert std.tolist() == [100, 1]


def test_statistics_of_many_images_agree_with_torch() -> None:
    pixels = torch.randint(0, 256, (3000, 2, 2, 1), dtype=torch.uint8)
    mean, std = channel_statistics(pixels)
    expected_std, expected_mean = torch.std_mean(pixels.double(), correction=0)
    torch.testing.assert_close(mean[0].double(), expected_mean)
    torch.testing.assert_close(std[0].double(), expected_std)


def test_normalised_images_are_channels_last_in_memory() -> None:
    pixels = torch.tensor([[[[10, 20], [30, 40]]]], dtype=torch.uint8)
    images = normalize(pixels, torch.tensor([10.0, 20.0]), torch.tensor([2.0, 4.0]))
    assert images.tolist() == [[[[0, 10]], [[0, 5]]]]
    assert images.stride() == (4, 1, 4, 2)


def test_resizing_is_antialiased_and_the_same_size_changes_nothing() -> None:
    # Antialiased bilinear halving weighs four pixels 1, 3, 3, 1, of which three are left at a
    # border: columns 0, 0, 80, 80 become 80/7 = 11 and (3 * 80 + 3 * 80)/7 = 69.
    pixels = torch.tensor([0, 0, 80, 80], dtype=torch.uint8).repeat(1, 4, 1)[..., None]
    assert resize(pixels, 2)[0, :, :, 0].tolist() == [[11, 69], [11, 69]]
    assert resize(pixels, 4) is pixels


@pytest.fixture
def resizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Number of images and resolution of every resize."""
    asked: list[tuple[int, int]] = []
    original: Callable[[Tensor, int], Tensor] = in_memory.resize

    def counted(pixels: Tensor, resolution_px: int) -> Tensor:
        asked.append((len(pixels), resolution_px))
        return original(pixels, resolution_px)

    monkeypatch.setattr(in_memory, "resize", counted)
    return asked


def test_a_split_is_resized_once_per_resolution(resizes: list[tuple[int, int]]) -> None:
    toy = data(torch.randint(0, 256, (10, 8, 8, 1), dtype=torch.uint8))
    for resolution_px in (8, 16, 12, 16, 12):
        list(toy.batches("train", resolution_px, 4))
    assert resizes == [(10, 16), (10, 12)]


def test_the_least_recently_used_resolution_is_evicted(
    resizes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = data(torch.randint(0, 256, (10, 8, 8, 1), dtype=torch.uint8))
    monkeypatch.setattr(in_memory, "CACHE_BYTES", 10 * (16 * 16 + 12 * 12))
    for resolution_px in (16, 12, 16, 10, 16, 12):
        list(toy.batches("train", resolution_px, 4))
    assert resizes == [(10, 16), (10, 12), (10, 10), (10, 12)]


def test_a_split_larger_than_the_cache_is_resized_batch_by_batch(
    resizes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = data(torch.randint(0, 256, (10, 8, 8, 1), dtype=torch.uint8))
    first = torch.cat([images for images, _ in toy.batches("train", 16, 4)])
    monkeypatch.setattr(in_memory, "CACHE_BYTES", 1000)
    assert torch.cat([images for images, _ in toy.batches("train", 16, 4)]).equal(first)
    assert resizes == [(10, 16), (4, 16), (4, 16), (2, 16)]


def test_a_subset_resizes_no_image_it_leaves_out(resizes: list[tuple[int, int]]) -> None:
    toy = data(torch.randint(0, 256, (10, 8, 8, 1), dtype=torch.uint8))
    list(toy.subset("train", torch.tensor([1, 4])).batches("train", 16, 4))
    assert resizes == [(2, 16)]


def test_the_shift_is_an_eighth_of_the_resolution() -> None:
    toy = data(torch.full((400, 16, 16, 1), 255, dtype=torch.uint8))
    generator = torch.Generator().manual_seed(0)
    images = torch.cat(
        [images for images, _ in toy.batches("train", 16, 100, shuffle=generator, augment=FLIP_CROP)]
    )
    black_rows = (images.amax((1, 3)) < images.max()).sum(1)
    assert set(black_rows.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("horizontal_flip", "resolution_px", "digest", "drawn_next"),
    [
        (True, 10, "0b9c92a69edd70cc", 1745989749),
        (True, 16, "469edc3414002833", 1745989749),
        (False, 10, "0712843e4674f4cd", 2044384796),
        (False, 16, "981e52f4f18047fc", 2044384796),
    ],
)
def test_the_batches_of_a_seed_are_those_of_the_first_release(
    horizontal_flip: bool, resolution_px: int, digest: str, drawn_next: int
) -> None:
    pixels = (torch.arange(20 * 10 * 10 * 3) * 7 % 256).to(torch.uint8).reshape(20, 10, 10, 3)
    images = LabelledImages(pixels, torch.arange(20) % 2)
    toy = in_memory_data(
        "toy",
        ("a", "b"),
        {"train": images, "validation": images, "test": images},
        horizontal_flip=horizontal_flip,
    )
    generator = torch.Generator().manual_seed(3)
    content = hashlib.sha256()
    for batch in toy.batches("train", resolution_px, 8, shuffle=generator, augment=FLIP_CROP):
        for tensor in batch:
            content.update(tensor.contiguous().numpy().tobytes())
    assert content.hexdigest()[:16] == digest
    assert int(torch.randint(0, 2**31, (), generator=generator)) == drawn_next


def test_the_side_of_oblong_images_is_the_longer_one() -> None:
    assert data(torch.zeros((2, 6, 9, 1), dtype=torch.uint8)).image_size_px == 9
