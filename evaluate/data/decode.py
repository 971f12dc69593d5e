"""Decode one image file to an upright 8-bit RGB image."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ...search_space.errors import DataError, first_line

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
)  # fmt: skip

DownscaleFn = Callable[[int, int], int]
"""Maps height and width of an upright image to the maximum downscale factor for decoding."""


class DecodedImage(NamedTuple):
    """An upright RGB image, possibly decoded at a lower resolution than its file.

    Attributes:
        width, height: full resolution, pixels.
        downscale: factor between full resolution and `image`; the last row and column may cover fewer
            pixels of the file.
    """

    image: Image.Image
    width: int
    height: int
    downscale: int


DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, OverflowError, TypeError, struct.error,
    zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
_EXIF_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_SIDEWAYS = (5, 6, 7, 8)


class UnreadableImageError(DataError):
    """An image file that cannot be decoded.

    Attributes:
        path: the file.
        reason: short cause, such as `truncated`.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; remove or replace it")
        self.path = path
        self.reason = reason


def full_resolution(height: int, width: int) -> int:
    """`DownscaleFn` that requires every pixel."""
    return 1


def decode_image(path: Path, downscale_fn: DownscaleFn) -> DecodedImage:
    """Decode a file to an upright 8-bit RGB image (see `as_rgb`), downscaled if possible.

    Only JPEG decoding can downscale: by 2, 4 or 8.

    Raises:
        UnreadableImageError: not an image, truncated, too large, or not convertible to 8-bit RGB.
    """
    try:
        with Image.open(path) as image:
            orientation = _orientation(image)
            upright_size = image.size[::-1] if orientation in _EXIF_SIDEWAYS else image.size
            # Partial JPEG blocks are padded at the end; rotation would move the padding to the start.
            exact = orientation not in _EXIF_TRANSPOSE or not (image.width % 8 or image.height % 8)
            downscale = (
                _request_downscale(image, downscale_fn(upright_size[1], upright_size[0])) if exact else 1
            )
            rgb = as_rgb(image)
            return DecodedImage(
                rgb.transpose(_EXIF_TRANSPOSE[orientation]) if orientation in _EXIF_TRANSPOSE else rgb,
                *upright_size,
                downscale,
            )
    except DECODE_ERRORS as error:
        raise UnreadableImageError(path, reason(error)) from error


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB: transparency becomes white, 16-bit grayscale is reduced to its high byte.

    Raises:
        ValueError: 32-bit pixels, whose range is unknown, or a mode that Pillow cannot convert to RGB.
    """
    image.load()
    sixteen_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if sixteen_bits:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit {'float' if image.mode == 'F' else 'integer'} pixels")
    if image.getbands()[-1] in ("A", "a") or "transparency" in image.info:
        transparent = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, transparent).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def reason(error: Exception) -> str:
    """Short cause of a decoding error, such as `truncated`."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "too many pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    message = first_line(error)
    return "truncated" if "truncated" in message.lower() else message


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) if it is missing or malformed."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODE_ERRORS:
        return 1


def _request_downscale(image: Image.Image, downscale: int) -> int:
    """Request a downscale factor of at most `downscale` from the decoder; returns the actual factor."""
    if (
        downscale <= 1
        or image.draft(None, (max(1, image.width // downscale), max(1, image.height // downscale))) is None
    ):
        return 1
    return max(reduction for reduction in (1, 2, 4, 8) if reduction <= downscale)
