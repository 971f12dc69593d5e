"""Center crops and random crops against torchvision; downscaled decoding of JPEGs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.v2 import functional

from bneck.evaluate.data.crops import center_crop, random_resized_crop, sample_crop_box
from bneck.evaluate.data.decode import DecodedImage, DownscaleFn, decode_image, full_resolution

RED, BLUE = (255, 0, 0), (0, 0, 255)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def photo(width: int, height: int, path: Path) -> Path:
    """A photograph with fine lines, enlarged or cropped."""
    original = Image.open(Path(sklearn.datasets.__file__).parent / "images" / "china.jpg")
    original.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def as_it_is(image: Image.Image) -> Callable[[DownscaleFn], DecodedImage]:
    return lambda downscale_fn: DecodedImage(image, *image.size, downscale=1)


def middle_of_torchvision(image: Image.Image, resolution_px: int) -> NDArray[np.uint8]:
    """torchvision's `Resize` to 256/224 and `CenterCrop`."""
    resized = functional.resize(image, [round(resolution_px * 256 / 224)])
    return np.asarray(functional.center_crop(resized, [resolution_px, resolution_px]))


def distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[float, int]:
    """Mean and maximum absolute difference of the pixels."""
    difference = np.abs(first.astype(int) - second)
    return float(difference.mean()), int(difference.max())


def test_the_center_crop_of_a_wide_image_is_its_middle_square() -> None:
    # 448 x 256 at resolution 224: not resized, columns 112 to 335 and rows 16 to 239 are taken.
    image = Image.new("RGB", (448, 256), RED)
    image.paste(BLUE, (112, 16, 336, 240))
    square = center_crop(as_it_is(image), 224)
    assert square.shape == (224, 224, 3)
    assert np.unique(square.reshape(-1, 3), axis=0).tolist() == [list(BLUE)]


@pytest.mark.parametrize("size", [(500, 375), (257, 300), (9, 14), (31, 400), (256, 256)])
@pytest.mark.parametrize("resolution_px", [15, 224])
def test_center_crop_matches_torchvision(size: tuple[int, int], resolution_px: int) -> None:
    image = noise(*size)
    ours = center_crop(as_it_is(image), resolution_px)
    # Both round between the two passes over an image, whose order PIL chooses.
    assert distance(ours, middle_of_torchvision(image, resolution_px))[1] <= 1


@pytest.mark.parametrize("size", [(1920, 1281), (1000, 1503), (640, 427)])
@pytest.mark.parametrize("resolution_px", [32, 80, 160])
def test_center_crop_of_a_downscaled_jpeg_is_close_to_torchvision(
    size: tuple[int, int], resolution_px: int, tmp_path: Path
) -> None:
    path = photo(*size, tmp_path / "image.jpg")
    ours = center_crop(partial(decode_image, path), resolution_px)
    mean, largest = distance(
        ours, middle_of_torchvision(decode_image(path, full_resolution).image, resolution_px)
    )
    assert mean < 1
    assert largest < 16


@pytest.mark.parametrize(
    ("resolution_px", "middle_times", "crop_times"), [(32, 8, 8), (90, 4, 4), (224, 2, 2), (300, 1, 2)]
)
def test_a_jpeg_is_decoded_at_twice_the_target_size_or_more(
    resolution_px: int, middle_times: int, crop_times: int, tmp_path: Path
) -> None:
    # Of 1281 rows the middle needs twice 256/224 of the resolution: a 17th, 6.2th, 2.5th and 1.9th;
    # a crop of all rows needs twice the resolution: a 20th, 7.1th, 2.9th and 2.1th.
    path = photo(1920, 1281, tmp_path / "image.jpg")
    decoded_images = []

    def read(downscale_fn: DownscaleFn) -> DecodedImage:
        decoded_images.append(decode_image(path, downscale_fn))
        return decoded_images[-1]

    center_crop(read, resolution_px)
    random_resized_crop(read, resolution_px, (1, 0.5, 0, 0), False)
    assert [decoded.downscale for decoded in decoded_images] == [middle_times, crop_times]


def test_a_crop_of_the_whole_image_is_the_image_and_may_be_mirrored() -> None:
    image = Image.new("RGB", (8, 8), RED)
    image.paste(BLUE, (4, 0, 8, 8))
    # Half of the ratios' logarithms is a square; area 1 is everything.
    straight, mirrored = (
        random_resized_crop(as_it_is(image), 8, (1, 0.5, 0, 0), flip) for flip in (False, True)
    )
    assert straight[0, 0].tolist() == list(RED)
    assert straight[0, 7].tolist() == list(BLUE)
    assert (mirrored == straight[:, ::-1]).all()


def test_random_crop_matches_torchvision() -> None:
    image, uniforms = noise(90, 70), (0.3, 0.8, 0.4, 0.9)
    ours = random_resized_crop(as_it_is(image), 32, uniforms, False)
    expected = functional.resized_crop(image, *sample_crop_box(70, 90, uniforms), [32, 32])
    assert np.array_equal(ours, np.asarray(expected))


@pytest.mark.parametrize("uniforms", [(0.0, 0.5, 1.0, 1.0), (1.0, 0.2, 0.3, 0.6), (0.5, 1.0, 0.0, 0.9)])
@pytest.mark.parametrize("resolution_px", [40, 96])
def test_random_crop_of_a_downscaled_jpeg_is_close_to_torchvision(
    uniforms: tuple[float, ...], resolution_px: int, tmp_path: Path
) -> None:
    path = photo(1501, 999, tmp_path / "image.jpg")
    ours = random_resized_crop(partial(decode_image, path), resolution_px, uniforms, False)
    box = sample_crop_box(999, 1501, uniforms)
    expected = functional.resized_crop(
        decode_image(path, full_resolution).image, *box, [resolution_px, resolution_px]
    )
    mean, largest = distance(ours, np.asarray(expected))
    assert mean < 1
    assert largest < 30  # the filter includes a few pixels outside the crop


def test_crops_have_valid_area_and_aspect_ratio() -> None:
    for chances in torch.rand(500, 4, generator=torch.Generator().manual_seed(0)).tolist():
        top, left, height, width = sample_crop_box(300, 400, chances)
        assert 0 <= top <= 300 - height
        assert 0 <= left <= 400 - width
        assert 0.34 < height * width / (300 * 400) <= 1
        assert 0.74 < width / height < 1.35


def test_the_smallest_square_crop_is_59_pixels_of_100() -> None:
    # The square root of 0.35 is 0.5916; chances of 1 put it into the far corner.
    assert sample_crop_box(100, 100, (0, 0.5, 1, 1)) == (41, 41, 59, 59)


def test_a_crop_never_leaves_a_narrow_image() -> None:
    assert sample_crop_box(10, 1000, (1, 1, 1, 1)) == (0, 885, 10, 115)
