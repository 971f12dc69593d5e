"""Decode one image file to an upright 8-bit RGB image."""

import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ...search_space.errors import DataError, first_line
from ...search_space.printable import printable

PLUGINS = {".heic": "pillow-heif", ".heif": "pillow-heif", ".hif": "pillow-heif", ".jxl": "pillow-jxl-plugin"}
"""Package that lets Pillow read a suffix."""

DownscaleFn = Callable[[int, int], int]
"""Maps height and width of an upright image to the maximum downscale factor for decoding."""


class DecodedImage(NamedTuple):
    """An upright RGB image, possibly decoded at a lower resolution than its file.

    Attributes:
        width, height: full resolution, pixels.
        downscale: factor between full resolution and `image`; the last row and column may cover fewer
            pixels of the file.
        bit_depth: of pixels with 16 bits, how many are used; None for pixels of 8 bits.
    """

    image: Image.Image
    width: int
    height: int
    downscale: int
    bit_depth: int | None = None


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
# Not images, only a marker without a decoder, or decoded by a program that the file can instruct (EPS).
_REFUSED_FORMATS = frozenset({"EPS", "WMF", "PDF", "PALM", "MPEG", "HDF5", "GRIB", "BUFR", "IPTC"})
_BIT_DEPTHS = (8, 10, 12, 14, 16)


class UnreadableImageError(DataError):
    """An image file that cannot be decoded.

    Attributes:
        path: the file.
        reason: short cause, such as `truncated`.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{printable(str(path))}: {reason}; remove or replace it")
        self.path = path
        self.reason = reason


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes of the formats that Pillow and its installed plugins read, in lower case."""
    _register_plugins()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in _formats()}
    return frozenset({*known, ".mpo"})  # read as JPEG, but registered only for writing


@cache
def _formats() -> tuple[str, ...]:
    _register_plugins()
    return tuple(kind for kind in Image.OPEN if kind not in _REFUSED_FORMATS)


@cache
def _register_plugins() -> None:
    Image.init()
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    with suppress(ImportError):
        import_module("pillow_jxl")


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
        with Image.open(path, formats=_formats()) as image:
            rawmode = _rawmode(image)
            orientation = _orientation(image)
            upright_size = image.size[::-1] if orientation in _EXIF_SIDEWAYS else image.size
            # Partial JPEG blocks are padded at the end; rotation would move the padding to the start.
            exact = orientation not in _EXIF_TRANSPOSE or not (image.width % 8 or image.height % 8)
            downscale = (
                _request_downscale(image, downscale_fn(upright_size[1], upright_size[0])) if exact else 1
            )
            image.load()
            is_16_bit_color = rawmode.startswith(("RGB;16", "RGBA;16"))
            rgb, bit_depth = (
                _as_rgb_from_16_bit_color(image, path, rawmode) if is_16_bit_color else as_rgb(image)
            )
            return DecodedImage(
                rgb.transpose(_EXIF_TRANSPOSE[orientation]) if orientation in _EXIF_TRANSPOSE else rgb,
                *upright_size,
                downscale,
                bit_depth,
            )
    except DECODE_ERRORS as error:
        empty = isinstance(error, UnidentifiedImageError) and not path.stat().st_size
        raise UnreadableImageError(path, "empty file" if empty else reason(error)) from error


def as_rgb(image: Image.Image) -> tuple[Image.Image, int | None]:
    """Convert to 8-bit RGB: transparency becomes white, and 16-bit pixels are scaled by the bits they use.

    Cameras and scanners store 10, 12 or 14 bits in 16. The number of bits is the smallest of 8, 10, 12, 14
    and 16 that holds the largest value of the image.

    Returns:
        The image, and the number of bits used if its pixels have 16.
    Raises:
        ValueError: 32-bit pixels, whose range is unknown, or a mode that Pillow cannot convert to RGB.
    """
    image.load()
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _as_rgb_from_16_bits(image)
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit {'float' if image.mode == 'F' else 'integer'} pixels")
    transparent_colour = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent_colour, tuple) and max(transparent_colour) > 255:
        # Pillow reduces 16-bit pixels to their high byte, but not the transparent color.
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in transparent_colour)
    if image.getbands()[-1] in ("A", "a") or transparent_colour is not None:
        transparent = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, transparent).convert("RGB"), None
    return image if image.mode == "RGB" else image.convert("RGB"), None


def _as_rgb_from_16_bits(image: Image.Image) -> tuple[Image.Image, int]:
    pixels = np.asarray(image)
    bit_depth = _declared_bits(image) or _used_bits(int(pixels.max()))
    grey = (pixels >> (bit_depth - 8)).astype(np.uint8)
    if isinstance(transparent_value := image.info.get("transparency"), int):
        grey[pixels == transparent_value] = 255
    return Image.fromarray(grey).convert("RGB"), bit_depth


def _rawmode(image: Image.Image) -> str:
    """Pixel format of the file, such as `RGB;16B`; empty if it is unknown. `image` is not loaded yet."""
    tiles = getattr(image, "tile", ())
    arguments = tiles[0].args if tiles else ""
    mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return mode if isinstance(mode, str) else ""


def _as_rgb_from_16_bit_color(image: Image.Image, path: Path, rawmode: str) -> tuple[Image.Image, int]:
    """The same for color, of which Pillow keeps the high byte; the low byte is read only if it is needed."""
    high = np.asarray(image).astype(np.uint16)
    bit_depth = _used_bits(int(high[..., :3].max()) << 8)
    if bit_depth == 16:
        return as_rgb(image)[0], 16
    swapped = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    with Image.open(path, formats=_formats()) as again:
        tiles = getattr(again, "tile", [])
        other = rawmode[:-1] + swapped[rawmode[-1]]
        again.tile = [
            tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
            for tile in tiles
        ]
        again.load()
        pixels = high << 8 | np.asarray(again)
    bit_depth = _used_bits(int(pixels[..., :3].max()))
    scaled = (pixels >> (bit_depth - 8)).astype(np.uint8)
    if scaled.shape[-1] == 4:
        scaled[..., 3] = high[..., 3]
    elif isinstance(transparent_colour := image.info.get("transparency"), tuple):
        scaled[(pixels == np.array(transparent_colour)).all(-1)] = 255
    return as_rgb(Image.fromarray(scaled))[0], bit_depth


def _used_bits(largest: int) -> int:
    return next(bits for bits in _BIT_DEPTHS if largest.bit_length() <= bits)


def _declared_bits(image: Image.Image) -> int | None:
    """Bits per pixel where the format tells them, or Pillow scales by them."""
    if image.format in ("PPM", "JPEG2000"):
        return 16
    bits = getattr(image, "tag_v2", {}).get(ExifTags.Base.BitsPerSample)
    return bits[0] if isinstance(bits, tuple) and 8 < bits[0] < 16 else None


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
