"""Decoding of image files to upright 8-bit RGB, and errors with their cause."""

import struct
import zlib
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bneck.evaluate.data.decode import UnreadableImageError, decode_image, full_resolution

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def pixel(path: Path, place: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    image = decode_image(path, full_resolution).image
    assert image.mode == "RGB"
    pixel = image.getpixel(place)
    assert isinstance(pixel, tuple)
    return tuple(int(value) for value in pixel)


def reason_of(path: Path) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(path, full_resolution)
    assert str(caught.value) == f"{path}: {caught.value.reason}; remove or replace it"
    assert caught.value.path == path
    return caught.value.reason


def test_grayscale_and_bilevel_images_become_rgb(tmp_path: Path) -> None:
    assert pixel(saved(Image.new("L", (2, 2), 77), tmp_path / "grey.png")) == (77, 77, 77)
    assert pixel(saved(Image.new("1", (2, 2), 1), tmp_path / "bit.png")) == WHITE


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    # No ink is white; full magenta and yellow are red.
    assert min(pixel(saved(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), tmp_path / "none.jpg"))) > 250
    red = pixel(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "red.jpg"))
    assert np.abs(np.subtract(red, RED)).max() < 6


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(mode: str, tmp_path: Path) -> None:
    image = Image.new(mode, (3, 1))
    colour = RED if mode == "RGBA" else (0,)
    for place, opacity in enumerate((0, 255, 127)):
        image.putpixel((place, 0), (*colour, opacity))
    path = saved(image, tmp_path / "image.png")
    assert pixel(path) == WHITE
    assert pixel(path, (1, 0)) == (RED if mode == "RGBA" else (0, 0, 0))
    # Half of white and half of the colour: 255 * 128/255 = 128.
    half = np.array(pixel(path, (2, 0)))
    assert np.abs(half - ((255, 128, 128) if mode == "RGBA" else 128)).max() <= 1


def test_palettes_are_looked_up_and_may_have_a_transparent_entry(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    opaque = saved(image, tmp_path / "opaque.png")
    assert [pixel(opaque), pixel(opaque, (1, 0))] == [RED, BLUE]
    for name, transparency in (("one", 1), ("bytes", b"\xff\x00")):
        path = saved(image, tmp_path / f"{name}.png", transparency=transparency)
        assert [pixel(path), pixel(path, (1, 0))] == [RED, WHITE]


def test_a_transparent_color_becomes_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), BLUE)
    path = saved(image, tmp_path / "image.png", transparency=BLUE)
    assert [pixel(path), pixel(path, (1, 0))] == [RED, WHITE]


def decoded(path: Path) -> tuple[list[list[int]], int | None]:
    """The red channel, and the bits used."""
    image = decode_image(path, full_resolution)
    return np.asarray(image.image)[..., 0].tolist(), image.bit_depth


@pytest.mark.parametrize("suffix", ["png", "pgm", "tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(suffix: str, tmp_path: Path) -> None:
    values = np.array([[0, 256, 30_000, 65_535]], np.uint16)
    path = saved(Image.fromarray(values), tmp_path / f"image.{suffix}")
    # 30,000 / 256 = 117.2
    assert decoded(path) == ([[0, 1, 117, 255]], 16)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("largest", "bits"),
    [(0, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16_383, 14), (16_384, 16)],
)
def test_grey_values_are_scaled_by_the_bits_they_use(
    largest: int, bits: int, suffix: str, tmp_path: Path
) -> None:
    values = np.array([[0, largest // 2, largest]], np.uint16)
    path = saved(Image.fromarray(values), tmp_path / f"image.{suffix}")
    # White is 2^bits - 1.
    assert decoded(path) == ([[0, largest // 2 * 256 // 2**bits, largest * 256 // 2**bits]], bits)


def test_bits_that_the_file_tells_are_kept(tmp_path: Path) -> None:
    # The largest value of this PGM file is 1,000 of 4,095, a quarter of white: 1,000 / 4,095 * 256 = 62.5.
    path = tmp_path / "image.pgm"
    path.write_bytes(b"P5 2 1 4095\n" + np.array([0, 1000], ">u2").tobytes())
    assert decoded(path) == ([[0, 62]], 16)


def png(path: Path, pixels: np.ndarray, colour_type: int, transparent: tuple[int, ...] = ()) -> Path:
    """A PNG file with 16 bits per channel, written from its specification."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return len(content).to_bytes(4) + kind + content + checksum.to_bytes(4)

    height, width = pixels.shape[:2]
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([16, colour_type, 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    key = chunk(b"tRNS", np.array(transparent, ">u2").tobytes()) if transparent else b""
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + key + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip
    return path


def test_transparency_of_16_bit_images_becomes_white(tmp_path: Path) -> None:
    grey, colour, grey_alpha, colour_alpha = 0, 2, 4, 6
    path = png(tmp_path / "grey.png", np.array([[1000, 40_000, 40_001]]), grey, (40_000,))
    assert [pixel(path, (place, 0))[0] for place in range(3)] == [3, 255, 156]
    pixels = np.array([[[65_535, 0, 0], [0x1234, 0x5678, 0x9ABC]]])
    path = png(tmp_path / "colour.png", pixels, colour, (0x1234, 0x5678, 0x9ABC))
    assert [pixel(path), pixel(path, (1, 0))] == [RED, WHITE]
    path = png(tmp_path / "la.png", np.array([[[0, 65_535], [0, 0], [0, 0x8000]]]), grey_alpha)
    # Half black on white: 255 * (1 - 128/255) = 127.
    assert [pixel(path, (place, 0))[0] for place in range(3)] == [0, 255, 127]
    path = png(tmp_path / "rgba.png", np.array([[[65_535, 0, 0, 65_535], [0, 0, 0, 0]]]), colour_alpha)
    assert [pixel(path), pixel(path, (1, 0))] == [RED, WHITE]


def tiff(path: Path, pixels: np.ndarray, order: str) -> Path:
    """An uncompressed TIFF file of 16-bit color, written from its specification; `order` is `<` or `>`."""
    height, width = pixels.shape[:2]
    content = pixels.astype(f"{order}u2").tobytes()
    bits_at = 8 + 2 + 9 * 12 + 4
    short, long = 3, 4
    tags = [
        (256, short, 1, width), (257, short, 1, height), (258, short, 3, bits_at), (259, short, 1, 1),
        (262, short, 1, 2), (273, long, 1, bits_at + 6), (277, short, 1, 3), (278, short, 1, height),
        (279, long, 1, len(content)),
    ]  # fmt: skip
    entries = b"".join(
        struct.pack(f"{order}HHI{'HH' if kind == short and count == 1 else 'I'}", tag, kind, count, value,
                    *([0] if kind == short and count == 1 else []))
        for tag, kind, count, value in tags
    )  # fmt: skip
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    path.write_bytes(header + directory + struct.pack(f"{order}HHH", 16, 16, 16) + content)
    return path


@pytest.mark.parametrize("largest", [200, 1000, 4095, 60_000])
def test_16_bit_color_is_scaled_by_the_bits_it_uses(largest: int, tmp_path: Path) -> None:
    bits = {200: 8, 1000: 10, 4095: 12, 60_000: 16}[largest]
    pixels = np.random.default_rng(0).integers(0, largest, (5, 7, 3))
    pixels[0, 0] = largest
    opaque = np.concatenate([pixels, np.full((5, 7, 1), 65_535)], 2)
    transparent = tuple(int(value) for value in pixels[0, 0])
    expected = pixels * 256 // 2**bits
    for path in (
        png(tmp_path / "rgb.png", pixels, 2),
        png(tmp_path / "rgba.png", opaque, 6),
        tiff(tmp_path / "little.tif", pixels, "<"),
        tiff(tmp_path / "big.tif", pixels, ">"),
    ):
        decoded_image = decode_image(path, full_resolution)
        assert np.array_equal(np.asarray(decoded_image.image), expected), path
        assert decoded_image.bit_depth == bits, path
    path = png(tmp_path / "key.png", pixels, 2, transparent)
    expected[0, 0] = 255
    assert np.array_equal(np.asarray(decode_image(path, full_resolution).image), expected)


def test_the_first_image_of_an_animation_is_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    for suffix in ("gif", "webp", "png", "tif"):
        path = saved(first, tmp_path / f"image.{suffix}", save_all=True, append_images=[second])
        assert np.abs(np.subtract(pixel(path), RED)).max() < 6, suffix


@pytest.mark.parametrize(("kind", "number_type"), [(np.float32, "float"), (np.int32, "integer")])
def test_32_bit_pixels_are_refused(kind: type, number_type: str, tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.ones((4, 4), kind)), tmp_path / "image.tif")
    assert reason_of(path) == f"32-bit {number_type} pixels"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(pixels), tmp_path / "image.png", exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(np.asarray(decode_image(path, full_resolution).image), expected)
    assert (orientation == 1) == np.array_equal(expected, pixels)


def test_an_invalid_orientation_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert pixel(saved(Image.new("RGB", (2, 2), RED), tmp_path / "image.png", exif=exif)) == RED


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp"])
def test_a_truncated_file_is_unreadable(suffix: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    path = saved(Image.fromarray(pixels), tmp_path / f"image.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    said = reason_of(path)
    if suffix in ("jpg", "png"):
        assert said == "truncated"


@pytest.mark.parametrize(
    "content", [b"<html>", b"\xff\xd8\xff\xe0", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"],
    ids=["html", "a beginning", "PostScript"],
)  # fmt: skip
def test_a_file_that_is_not_an_image_is_unreadable(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    assert reason_of(path) == "not an image"
    path.write_bytes(b"")
    assert reason_of(path) == "empty file"


def test_broken_bytes_in_a_png_are_unreadable(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (50, 50), RED), tmp_path / "image.png")
    content = bytearray(path.read_bytes())
    for offset in range(8, len(content)):
        broken = content.copy()
        broken[offset] ^= 0xFF
        path.write_bytes(bytes(broken))
        try:
            decode_image(path, full_resolution)  # some bytes do not matter
        except UnreadableImageError as error:
            assert "\n" not in error.reason


def test_a_missing_file_has_the_message_of_the_system(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "none.jpg") == "no such file or directory"


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.new("RGB", (30, 30)), tmp_path / "image.png")
    for most, refused in ((900, False), (800, True), (400, True)):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        if refused:
            assert reason_of(path) == "too many pixels"
        else:
            decode_image(path, full_resolution)


@pytest.mark.parametrize(("allowed", "downscale"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (20, 8)])
def test_a_jpeg_is_downscaled_as_far_as_permitted(allowed: int, downscale: int, tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (403, 240), RED), tmp_path / "image.jpg")
    decoded = decode_image(path, lambda height, width: allowed if (height, width) == (240, 403) else 1)
    assert (decoded.width, decoded.height, decoded.downscale) == (403, 240, downscale)
    # The last column is whole even where it covers less: 403 / 8 = 50.4.
    assert decoded.image.size == (ceil(403 / downscale), 240 / downscale)


@pytest.mark.parametrize(("width", "downscale"), [(400, 2), (403, 1)])
def test_a_rotated_jpeg_is_downscaled_only_without_partial_blocks(
    width: int, downscale: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(Image.new("RGB", (width, 240), RED), tmp_path / "image.jpg", exif=exif)
    decoded = decode_image(path, lambda height, of_upright: 2 if (height, of_upright) == (width, 240) else 1)
    assert (decoded.width, decoded.height, decoded.downscale) == (240, width, downscale)
    assert decoded.image.size == (240 // downscale, width // downscale)


def test_other_formats_are_not_downscaled(tmp_path: Path) -> None:
    decoded = decode_image(saved(Image.new("RGB", (80, 80)), tmp_path / "image.png"), lambda *size: 8)
    assert (decoded.image.size, decoded.downscale) == ((80, 80), 1)
