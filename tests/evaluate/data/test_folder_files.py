"""Files of an image folder: order, what is left out, and oddities of file systems."""

import os
import socket
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from bneck.evaluate.data.folder_files import image_paths, left_out_text, list_folder
from bneck.evaluate.data.image_folder import load_folder
from bneck.evaluate.data.splits import SPLITS
from bneck.evaluate.data.streaming import StreamingData
from bneck.search_space.errors import DataError

from .test_image_folder import error_of, load, paint, paint_classes


def left_out(folder: Path) -> dict[str, int]:
    return dict(load(folder).left_out)


def total(data: StreamingData) -> int:
    return sum(data.count(split) for split in SPLITS)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of four images."""
    return paint_classes(tmp_path, cat=4, dog=4)


def test_files_are_sorted_by_name_at_each_level(tmp_path: Path) -> None:
    paint_classes(tmp_path, cat=3)
    # As text `a-b` comes before `a/b`, as folders `a` before `a-b`.
    for path in ("a-b/1.png", "a/2.png", "a/b/0.png", "b.png"):
        paint(tmp_path / "cat" / path)
    expected = [f"00{number}.png" for number in range(3)] + ["a/2.png", "a/b/0.png", "a-b/1.png", "b.png"]
    cats = list(image_paths(str(tmp_path / "cat"), Counter()))
    assert cats == [str(tmp_path / "cat" / path) for path in expected]
    assert cats == [str(path) for path in sorted((tmp_path / "cat").rglob("*.png"))]


@pytest.mark.parametrize(
    "suffix", ["gif", "avif", "jfif", "JPE", "jp2", "webp", "tif", "bmp", "ppm", "PNG", "apng", "tga", "ico"]
)
def test_every_format_that_pillow_reads_is_read(suffix: str, photos: Path) -> None:
    kind = {"jfif": "JPEG", "JPE": "JPEG", "jp2": "JPEG2000", "tif": "TIFF", "apng": "PNG"}.get(
        suffix, suffix
    )
    path = photos / "cat" / f"000.{suffix}"
    Image.new("RGB", (16, 16), (255, 0, 0)).save(path, kind.upper())
    (photos / "cat" / "000.png").unlink(missing_ok=suffix == "PNG")
    data = load(photos)
    assert (total(data), data.left_out) == (8, {})
    images = [image for split in SPLITS for image, _ in data.batches(split, 16, 8)]
    assert (sum(map(len, images)), data.unreadable_images) == (8, {})


def test_other_files_are_counted_by_suffix(photos: Path) -> None:
    for name in ("a.HEIC", "b.heic", "c.eps", "d.pdf", "e.mp4", "f.txt", "README", ".hidden", "Thumbs.db"):
        (photos / "cat" / name).touch()
    (photos / "dog" / "odd.strange suffix").touch()
    expected = {
        ".heic": 2, ".eps": 1, ".pdf": 1, ".mp4": 1, ".txt": 1, "files without a suffix": 1, "other files": 1,
    }  # fmt: skip
    assert left_out(photos) == expected
    text = left_out_text(expected)
    assert text is not None
    assert text.startswith("left out: 2 .heic (install pillow-heif), 1 .eps")
    assert "1 file without a suffix" in text
    assert "1 other file" in text


def test_a_class_without_images_says_what_its_files_are(photos: Path) -> None:
    (photos / "eel").mkdir()
    for number in range(12):
        (photos / "eel" / f"{number}.heic").touch()
    message = error_of(photos)
    assert "class 'eel' needs at least 3 images, got 0" in message
    assert "12 .heic (install pillow-heif)" in message


def test_a_long_list_of_kinds_ends_with_their_count() -> None:
    assert (left_out_text({f".s{number}": 20 - number for number in range(10)}) or "").endswith(
        "13 .s7, 23 more"
    )
    assert left_out_text({}) is None


def test_links_that_lead_nowhere_or_in_circles_are_counted(photos: Path) -> None:
    (photos / "cat" / "gone.png").symlink_to("nowhere.png")
    (photos / "cat" / "loop.png").symlink_to("loop.png")
    (photos / "cat" / "again").symlink_to(photos / "cat", target_is_directory=True)
    (photos / "cat" / "self").symlink_to("self")
    (photos / "eel").symlink_to("nowhere")
    (photos / "root").symlink_to(".")
    (photos / "above").symlink_to("..")
    (photos / "twice").symlink_to("cat")
    (photos / "slash").symlink_to("/")
    data = load(photos)
    assert (data.class_names, total(data)) == (("cat", "dog"), 8)
    assert data.left_out == {"dangling links": 4, "links to folders": 5}


def test_links_to_images_and_to_classes_elsewhere_are_followed(
    photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = paint_classes(tmp_path_factory.mktemp("elsewhere"), eel=3)
    (photos / "eel").symlink_to(elsewhere / "eel")
    (photos / "cat" / "004.png").symlink_to(elsewhere / "eel" / "000.png")
    data = load(photos)
    assert total(data) == 4 + 1 + 4 + 3
    assert data.left_out == {}


def test_pipes_sockets_and_devices_are_never_opened(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(photos / "cat" / "pipe.jpg")
    (photos / "cat" / "null.jpg").symlink_to("/dev/null")
    monkeypatch.chdir(photos / "dog")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket.jpg")
    assert left_out(photos) == {"FIFOs, sockets or devices": 3}
    assert left_out_text({"FIFOs, sockets or devices": 1}) == "left out: 1 FIFO, socket or device"


def test_an_empty_file_is_unreadable(photos: Path) -> None:
    (photos / "cat" / "004.jpg").touch()
    data = load(photos)
    for split in SPLITS:
        list(data.batches(split, 8, 4))
    assert data.unreadable_images == {photos / "cat" / "004.jpg": "empty file"}


@pytest.mark.parametrize("place", ["", "cat", "cat/inner"])
def test_a_folder_without_permission_is_named(
    place: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(photos / "cat" / "inner" / "1.png")
    scandir = os.scandir

    def refuse(folder: str) -> object:  # permissions do not bind root
        if folder == str(photos / place):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("bneck.evaluate.data.folder_files.os.scandir", refuse)
    message = error_of(photos)
    assert message.startswith(f"{'ROOT/' + place if place else 'ROOT'}: permission denied")
    assert "chmod" in message


@pytest.mark.parametrize(
    ("root", "word"),
    [("a" * 300, "too long"), ("x\0y", "not a path"), ("file.zip", "unpack"), ("pipe", "not a folder")],
)
def test_a_root_that_is_no_folder_is_refused(root: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "file.zip").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=word) as caught:
        load_folder("photos", tmp_path / root)
    assert str(caught.value).isprintable()


def test_a_file_name_may_have_a_line_break(photos: Path) -> None:
    (photos / "cat" / "a\nb.png").write_text("no image")
    data = load(photos)
    assert total(data) == 9
    assert (left_out_text({"files in the unused folder e\x1b\nl": 2}) or "").isprintable()


def test_class_names_in_other_encodings_are_refused_and_file_names_are_read(photos: Path) -> None:
    latin = os.fsdecode("caf\u00e9".encode("latin-1"))
    paint(photos / "cat" / f"{latin}.png")
    assert isinstance(load(photos), StreamingData)
    paint_classes(photos, **{latin: 3})
    message = error_of(photos)
    assert "UTF-8" in message and message.isprintable()
    paint_classes(photos / latin, cat=3, dog=3)
    assert "UTF-8" in error_of(photos / latin)


def test_the_top_level_is_listed_in_order(photos: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (photos / name).touch()
    assert list_folder(str(photos))[:2] == (("cat", "dog"), ("a.txt", "b.txt"))
