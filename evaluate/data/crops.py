"""Square cut-outs of images: the middle one for judging, a random one for training."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .decode import DecodedImage, DownscaleFn

PixelArray = NDArray[np.uint8]
ReadImage = Callable[[DownscaleFn], DecodedImage]
"""Reads an image, smaller if that is allowed by what it is called with."""

# A JPEG is read with at least twice the rows and columns needed, so that the resizing filter still decides.
_OVERSAMPLING = 2
_CROP_SCALE = (0.35, 1.0)
_CROP_RATIO = (3 / 4, 4 / 3)


def center_crop(read: ReadImage, resolution_px: int) -> PixelArray:
    """The middle square of an image, 224/256 of its shorter side: bilinear, antialiased.

    Returns:
        `r x r x 3` uint8.
    """
    shorter_px = round(resolution_px * 256 / 224)
    decoded = read(lambda height, width: min(height, width) // (_OVERSAMPLING * shorter_px))
    sides = (decoded.width, decoded.height)
    # As if all were resized to `shorter_px` and the square cut out of it, but only that is computed.
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
    """A part of an image made square: bilinear, antialiased.

    Args:
        uniforms: as for `sample_crop_box`.
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
    if decoded.downscale == 1:  # cut out first, so that the filter takes nothing from outside
        decoded, box = DecodedImage(decoded.image.crop(box), width, height, 1), (0, 0, width, height)
    square = _resize_box(decoded, box, resolution_px)
    return square[:, ::-1] if flipped else square


def _resize_box(
    decoded: DecodedImage, box: tuple[float, float, float, float], resolution_px: int
) -> PixelArray:
    """A part of a picture, its box in the pixels of the file, resized."""
    image = decoded.image
    left, top, right, bottom = (side / decoded.downscale for side in box)
    inside = (left, top, min(right, image.width), min(bottom, image.height))
    return np.asarray(image.resize((resolution_px, resolution_px), Image.Resampling.BILINEAR, inside))


def sample_crop_box(height: int, width: int, uniforms: Sequence[float]) -> tuple[int, int, int, int]:
    """Where to crop an image: 35% to 100% of its area, 3:4 to 4:3, and no larger than the image.

    Args:
        height, width: of the image, pixels.
        uniforms: four numbers from 0 to 1, for area, aspect ratio, top and left.
    Returns:
        Top, left, height and width, pixels.
    """
    area = height * width * (_CROP_SCALE[0] + uniforms[0] * (_CROP_SCALE[1] - _CROP_SCALE[0]))
    ratio = _CROP_RATIO[0] * (_CROP_RATIO[1] / _CROP_RATIO[0]) ** uniforms[1]
    crop_height = min(height, max(1, round((area / ratio) ** 0.5)))
    crop_width = min(width, max(1, round((area * ratio) ** 0.5)))
    top, left = (height - crop_height + 1) * uniforms[2], (width - crop_width + 1) * uniforms[3]
    return min(int(top), height - crop_height), min(int(left), width - crop_width), crop_height, crop_width
