"""`bneck describe data`, and what other commands say about the files of a folder."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bneck.search.resolve.datasets import open_images
from bneck.search.resolve.options import DataOptions

from ...evaluate.data.test_image_folder import paint_classes
from ..example_trainings import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of four images, and files that are not used."""
    root = paint_classes(tmp_path / "photos", cat=4, dog=4)
    for number in range(12):
        (root / "cat" / f"{number}.heic").touch()
    (root / "dog" / "gone.jpg").symlink_to("nowhere")
    (root / "labels.csv").touch()
    return root


def test_files_that_are_left_out_are_counted_in_the_table_and_as_json(folder: Path) -> None:
    printed = run("describe", "data", f"folder:{folder}").out
    assert "left out: 12 .heic (install pillow-heif), 1 dangling link, 1 file in the root" in printed
    found = json.loads(run("describe", "data", f"folder:{folder}", "--json").out)
    assert found["left_out"] == {".heic": 12, "dangling links": 1, "files in the root": 1}
    assert sum(found["images"].values()) == 8


def test_checking_reports_the_bits_of_16_bit_images(folder: Path) -> None:
    words = ("describe", "data", f"folder:{folder}", "--check")
    assert json.loads(run(*words, "--json").out)["bit_depths"] == []
    Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(folder / "cat" / "000.png")
    assert json.loads(run(*words, "--json").out)["bit_depths"] == [10]
    assert "use 10 bits" in run(*words).out


def test_trainings_and_searches_warn_once_of_files_that_are_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="bneck"):
        for _ in range(2):
            open_images(DataOptions(data=f"folder:{folder}"))
    [warning] = caplog.messages
    assert warning.startswith(f"folder:{folder}: left out: 12 .heic")


def test_the_command_line_shows_the_warning(folder: Path) -> None:
    ran = run("proxy", "mobilenet_v2", "--data", f"folder:{folder}", "--evaluator", "macs")
    assert "12 .heic" in ran.err
