"""`bneck predict`."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from bneck.evaluate import Classifier
from bneck.results import Run

from ..example_trainings import run, run_with_weights


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_with_weights(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "more").mkdir()
    for name, grey in (("a.png", 20), ("more/b, c.png", 200)):
        Image.new("L", (8, 8), grey).save(folder / name)
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_an_image_gets_its_likeliest_classes(searched: Run, images: Path) -> None:
    ran = run("predict", searched.folder, images / "a.png", "--top", "3")
    assert ran.code == 0
    best = searched.best()
    [expected] = Classifier.load(searched.checkpoint(best.architecture)).predict([images / "a.png"])
    assert expected.probabilities is not None
    top = expected.probabilities.topk(3)
    rows = [line.split(maxsplit=1) for line in ran.out.splitlines()]
    assert [float(probability) for probability, _ in rows] == pytest.approx(top.values.tolist(), abs=1e-4)
    assert [name for _, name in rows] == [str(int(index)) for index in top.indices]  # digits
    assert run("predict", f"{searched.folder}#{best.trial}", images / "a.png", "--top", "3").out == ran.out


def test_a_folder_gives_csv_and_names_unreadable_files(searched: Run, images: Path) -> None:
    ran = run("predict", searched.folder, images)
    assert ran.code == 0
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["file"] for row in rows] == [str(images / "a.png"), str(images / "more" / "b, c.png")]
    assert all(row["class"] in "0123456789" and 0.1 <= float(row["probability"]) <= 1 for row in rows)
    assert f"{images / 'broken.png'}: not an image; left out" in ran.err
    listed = json.loads(run("predict", searched.folder, images, "--json").out)
    assert [row["problem"] for row in listed] == ["", "not an image", ""]
    assert sum(listed[0]["probabilities"].values()) == pytest.approx(1)
    assert listed[0]["class"] == rows[0]["class"]


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("broken.png", "not an image"),
        ("nowhere.png", "there is no such image or folder"),
        ("empty", "has no images"),
    ],
)
def test_nothing_to_classify_is_an_error(place: str, complaint: str, searched: Run, images: Path) -> None:
    (images / "empty").mkdir(exist_ok=True)
    assert run("predict", searched.folder, images / place).complaint == f"{images / place}: {complaint}"
