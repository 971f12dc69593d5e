"""Square crops: center crop for evaluation, random resized crop for training."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .decode import DecodedImage, DownscaleFn

PixelArray = NDArray[np.uint8]
ReadImage = Callable[[DownscaleFn], DecodedImage]
"""Decodes an image, at a lower resolution if the `DownscaleFn` permits it."""

# A JPEG is decoded at no less than twice the target size, so that the resize filter determines quality.
_OVERSAMPLING = 2
_CROP_SCALE = (0.35, 1.0)
_CROP_RATIO = (3 / 4, 4 / 3)


def center_crop(read: ReadImage, resolution_px: int) -> PixelArray:
    """Center crop of 224/256 of the shorter side, resized with an antialiased bilinear filter.

    Returns:
        `r x r x 3` uint8.
    """
    shorter_px = round(resolution_px * 256 / 224)
    decoded = read(lambda height, width: min(height, width) // (_OVERSAMPLING * shorter_px))
    sides = (decoded.width, decoded.height)
    # Equivalent to resizing the shorter side to `shorter_px` and then cropping, but only the crop is resized.
    resized = [int(shorter_px * side / min(sides)) for side in sides]
    starts = [round((side - resolution_px) / 2) for side in resized]
    left, top, right, bottom = (
        (start + extent) * side / resized_px
        for extent in (0, resolution_px)
        for start, side, resized_px in zip(starts, sides, resized, strict=True)
    )
    return _resize_box(decoded, (left, top, right, bottom), resolution_px)


def random_resized_crop(
    read: ReadImage, resolution_px: int, uniforms: Sequence[float], flipped: bool
) -> PixelArray:
    """Random resized crop with an antialiased bilinear filter.

    Args:
        uniforms: see `sample_crop_box`.
    Returns:
        `r x r x 3` uint8.
    """
    decoded = read(
        lambda height, width: (
            min(sample_crop_box(height, width, uniforms)[2:]) // (_OVERSAMPLING * resolution_px)
        )
    )
    top, left, height, width = sample_crop_box(decoded.height, decoded.width, uniforms)
    box = (left, top, left + width, top + height)
    if decoded.downscale == 1:  # crop first, so that the filter ignores pixels outside
        decoded, box = DecodedImage(decoded.image.crop(box), width, height, 1), (0, 0, width, height)
    square = _resize_box(decoded, box, resolution_px)
    return square[:, ::-1] if flipped else square


def _resize_box(
    decoded: DecodedImage, box: tuple[float, float, float, float], resolution_px: int
) -> PixelArray:
    """Resize a box given in pixels at full resolution."""
    image = decoded.image
    left, top, right, bottom = (side / decoded.downscale for side in box)
    inside = (left, top, min(right, image.width), min(bottom, image.height))
    return np.asarray(image.resize((resolution_px, resolution_px), Image.Resampling.BILINEAR, inside))


def sample_crop_box(height: int, width: int, uniforms: Sequence[float]) -> tuple[int, int, int, int]:
    """Sample a crop box: 35% to 100% of the area, aspect ratio 3:4 to 4:3, clipped to the image.

    Args:
        height, width: size of the image, pixels.
        uniforms: four numbers from 0 to 1 for area, aspect ratio, top and left.
    Returns:
        Top, left, height and width, pixels.
    """
    area = height * width * (_CROP_SCALE[0] + uniforms[0] * (_CROP_SCALE[1] - _CROP_SCALE[0]))
    ratio = _CROP_RATIO[0] * (_CROP_RATIO[1] / _CROP_RATIO[0]) ** uniforms[1]
    crop_height = min(height, max(1, round((area / ratio) ** 0.5)))
    crop_width = min(width, max(1, round((area * ratio) ** 0.5)))
    top, left = (height - crop_height + 1) * uniforms[2], (width - crop_width + 1) * uniforms[3]
    return min(int(top), height - crop_height), min(int(left), width - crop_width), crop_height, crop_width
