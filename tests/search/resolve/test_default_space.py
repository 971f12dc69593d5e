"""The space that a search takes for its images."""

from pathlib import Path

import pytest
from PIL import Image

from bneck.evaluate import load_data
from bneck.search.resolve.default_space import (
    ImageStatistics,
    default_space,
    typical_side_px,
    with_default_space,
)
from bneck.search.resolve.objects import NO_OBJECTS
from bneck.search.resolve.requests import SearchRequest
from bneck.search_space import load_space


@pytest.mark.parametrize(
    ("side", "images", "gpu", "pretrained", "name"),
    [
        (8, 1_000, False, False, "tiny"),
        (8, 1_000, True, True, "tiny"),
        (32, 45_000, False, True, "tiny"),
        (28, 45_000, True, True, "mobile-32"),
        (48, 5_000, False, True, "mobile-64"),
        (64, 5_000, False, False, "mobile-64"),
        (64, 5_000, False, True, "pretrained"),
        (384, 2_000, False, False, "mobile-128"),
        (384, 2_000, True, False, "mobile-128"),
        (384, 2_000, False, True, "pretrained"),
        (400, 1_281_167, True, True, "mobile"),
        (400, 1_281_167, False, True, "mobile-128"),
    ],
)
def test_the_images_choose_the_space(
    side: float, images: int, gpu: bool, pretrained: bool, name: str
) -> None:
    assert default_space(ImageStatistics(side, images, gpu, pretrained)) == name
    if name != "pretrained":
        assert load_space(name).size > 1e6


def photos(folder: Path) -> Path:
    """Six images of 90 x 120, and one of 300 x 20, in two classes."""
    for index in range(7):
        path = folder / ("ab"[index % 2]) / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (90, 120) if index else (300, 20), (index * 30, 80, 10)).save(path)
    return folder


def test_the_size_of_images_is_the_median_of_the_shorter_side(tmp_path: Path) -> None:
    assert typical_side_px(load_data(photos(tmp_path))) == 90
    assert typical_side_px(load_data("digits")) == 8


def test_a_bare_folder_of_photos_gets_what_is_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos(tmp_path / "photos").parent)
    for known, space, pretrained in (((), "mobile-128", False), (("efficientnet_lite0",), "", True)):
        monkeypatch.setattr(
            "bneck.evaluate.training.pretrained.available_pretrained", lambda known=known: known
        )
        chosen, data, text = with_default_space(SearchRequest(data="photos"), NO_OBJECTS)
        assert (chosen.space, chosen.pretrained) == (space, pretrained)
        assert data.count("train") and "90 px" in text and "mobile-128" in text
    of_a_space, *_ = with_default_space(SearchRequest(data="photos", enqueue_published=True), NO_OBJECTS)
    assert (of_a_space.space, of_a_space.pretrained) == ("mobile-128", False)
