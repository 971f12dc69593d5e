"""Square cut-outs of images: the middle one for judging, a random one for training."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .decode import Picture, Shrink

Bytes = NDArray[np.uint8]
Read = Callable[[Shrink], Picture]
"""Reads an image, smaller if that is allowed by what it is called with."""

# A JPEG is read with at least twice the rows and columns needed, so that the resizing filter still decides.
_SPARE = 2
_CROP_SCALE = (0.35, 1.0)
_CROP_RATIO = (3 / 4, 4 / 3)


def middle(read: Read, resolution_px: int) -> Bytes:
    """The middle square of an image, 224/256 of its shorter side: bilinear, antialiased.

    Returns:
        `r x r x 3` uint8.
    """
    shorter_px = round(resolution_px * 256 / 224)
    picture = read(lambda height, width: min(height, width) // (_SPARE * shorter_px))
    sides = (picture.width, picture.height)
    # As if all were resized to `shorter_px` and the square cut out of it, but only that is computed.
    resized = [int(shorter_px * side / min(sides)) for side in sides]
    starts = [round((side - resolution_px) / 2) for side in resized]
    left, top, right, bottom = (
        (start + extent) * side / whole
        for extent in (0, resolution_px)
        for start, side, whole in zip(starts, sides, resized, strict=True)
    )
    return _square(picture, (left, top, right, bottom), resolution_px)


def crop(read: Read, resolution_px: int, chance: Sequence[float], mirrored: bool) -> Bytes:
    """A part of an image made square: bilinear, antialiased.

    Args:
        chance: as for `crop_box`.
    Returns:
        `r x r x 3` uint8.
    """
    picture = read(lambda height, width: min(crop_box(height, width, chance)[2:]) // (_SPARE * resolution_px))
    top, left, height, width = crop_box(picture.height, picture.width, chance)
    box = (left, top, left + width, top + height)
    if picture.times == 1:  # cut out first, so that the filter takes nothing from outside
        picture, box = Picture(picture.image.crop(box), width, height, 1), (0, 0, width, height)
    square = _square(picture, box, resolution_px)
    return square[:, ::-1] if mirrored else square


def _square(picture: Picture, box: tuple[float, float, float, float], resolution_px: int) -> Bytes:
    """A part of a picture, its box in the pixels of the file, resized."""
    image = picture.image
    left, top, right, bottom = (side / picture.times for side in box)
    inside = (left, top, min(right, image.width), min(bottom, image.height))
    return np.asarray(image.resize((resolution_px, resolution_px), Image.Resampling.BILINEAR, inside))


def crop_box(height: int, width: int, chance: Sequence[float]) -> tuple[int, int, int, int]:
    """Where to crop an image: 35% to 100% of its area, 3:4 to 4:3, and no larger than the image.

    Args:
        height, width: of the image, pixels.
        chance: four numbers from 0 to 1, for area, aspect ratio, top and left.
    Returns:
        Top, left, height and width, pixels.
    """
    area = height * width * (_CROP_SCALE[0] + chance[0] * (_CROP_SCALE[1] - _CROP_SCALE[0]))
    ratio = _CROP_RATIO[0] * (_CROP_RATIO[1] / _CROP_RATIO[0]) ** chance[1]
    crop_height = min(height, max(1, round((area / ratio) ** 0.5)))
    crop_width = min(width, max(1, round((area * ratio) ** 0.5)))
    top, left = (height - crop_height + 1) * chance[2], (width - crop_width + 1) * chance[3]
    return min(int(top), height - crop_height), min(int(left), width - crop_width), crop_height, crop_width
