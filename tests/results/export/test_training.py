import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bneck.evaluate import Epoch, Recipe
from bneck.evaluate.data.dataset import Data, load_data
from bneck.evaluate.training.checkpoint import make_checkpoint, save_checkpoint
from bneck.evaluate.training.trainer import ComputeConfig
from bneck.results import DataSettings
from bneck.results.export.training import metrics_on_split, training_result
from bneck.results.outputs import write_report, write_training_results
from bneck.results.pages.training import figures, training_html
from bneck.results.pages.training_report import build_training_report
from bneck.results.store.training_run import TrainingRun, TrainingSettings
from bneck.search_space import Architecture, Block, Head, RunError, Stem
from bneck.search_space.network import build_network

NET = Architecture(
    resolution_px=8,
    stem=Stem(4, stride=1),
    blocks=(Block(3, 8, 4, "se", "relu", 1, squeeze=2),),
    head=Head(12),
    image_channels=1,
    classes=10,
)
# the second of three epochs is the best
CURVE = (
    Epoch(2.0, 1.5, 0.25, 0.2, 30.0),
    Epoch(1.5, 1.0, 0.75, 0.6, 40.0),
    Epoch(1.0, 1.25, 0.5, 0.8, 50.0),
)


def settings_of(data: Data, **changes: Any) -> TrainingSettings:
    images = DataSettings(
        data.name,
        train_images=300,
        class_names=data.class_names,
        pixel_mean=data.pixel_mean,
        pixel_std=data.pixel_std,
    )
    network = replace(NET, image_channels=data.image_channels, classes=len(data.class_names))
    settings = TrainingSettings(
        created="2026-01-02T03:04:05+00:00",
        name="toy",
        architecture=network,
        initial_weights="random weights",
        data=images,
        recipe=Recipe(epochs=3),
        seed=7,
        compute=ComputeConfig(),
        threads=2,
        processes=3,
        host={"cpu": "an example"},
        versions={"bneck": "0.1.0"},
    )
    return replace(settings, **changes)


def training(folder: Path, data: Data, **changes: Any) -> TrainingRun:
    """A training as it is left: a network of the second epoch is kept, another one is the last."""
    made = TrainingRun.create(folder, settings_of(data, **changes))
    settings = made.settings
    for seed, path, curve in ((1, made.model_file, CURVE[:2]), (2, made.checkpoint_file, CURVE)):
        torch.manual_seed(seed)
        network = build_network(settings.architecture)
        save_checkpoint(make_checkpoint(network, data, settings.recipe, 7, curve), path)
    return made


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits: Data) -> TrainingRun:
    """A training to read only."""
    return training(tmp_path_factory.mktemp("trainings") / "t", digits)


def top_predictions(folder: TrainingRun, data: Data) -> tuple[Any, Any]:
    """Of the network that is kept to the test images, and their labels."""
    [(images, labels)] = data.batches("test", 8, 1000)
    with torch.inference_mode():
        return folder.model().network()(images).argmax(1).numpy(), labels.numpy()


def test_the_network_that_is_kept_is_judged_and_not_the_last(folder: TrainingRun, digits: Data) -> None:
    given, labels = top_predictions(folder, digits)
    result = training_result(folder, metrics_on_split(folder.model(), digits, "test"))
    assert result["test"]["top1"] == (given == labels).mean()
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, given), 1)
    assert np.array(result["test"]["confusion"]).tolist() == confusion.tolist()
    last = metrics_on_split(folder.checkpoint(), digits, "test")
    assert last.confusion != metrics_on_split(folder.model(), digits, "test").confusion


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_split_that_is_asked_for_is_judged(folder: TrainingRun, digits: Data, split: Any) -> None:
    found = metrics_on_split(folder.model(), digits, split)
    assert found.images == digits.count(split)
    assert [each.images for each in found.classes] == digits.labels(split).bincount().tolist()


def test_the_result_tells_of_all_epochs_and_of_the_best(folder: TrainingRun, digits: Data) -> None:
    result = training_result(folder, metrics_on_split(folder.model(), digits, "test"))
    assert (result["epochs"], result["best_epoch"], result["validation_top1"]) == (3, 2, 0.75)
    assert (result["seconds"], result["seed"]) == (120.0, 7)
    assert (result["name"], result["data"], result["key"]) == ("toy", "digits", NET.key)
    # stem 9*4*64; block 4*8*64, 9*8*64, se 2*8*2, 8*4*64; head 4*12*64, classifier 12*10
    assert result["macs"] == 2304 + 2048 + 4608 + 32 + 2048 + 3072 + 120
    assert result["size_bytes"] == folder.model_file.stat().st_size


def test_the_page_and_the_result_tell_the_same(folder: TrainingRun, digits: Data, tmp_path: Path) -> None:
    own = training(tmp_path / "t", digits)
    result = write_training_results(own, digits, device="cpu")
    assert json.loads(own.result_file.read_text(encoding="utf-8")) == json.loads(json.dumps(result))
    html = own.report_file.read_text(encoding="utf-8")
    assert f"{100 * result['test']['top1']:.1f}% (" in html
    assert html == training_html(
        build_training_report(own, digits, metrics_on_split(own.model(), digits, "test"))
    )
    write_report(folder, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == html
    assert not folder.report_file.exists()


def test_the_story_is_of_the_network_that_is_kept(folder: TrainingRun, digits: Data) -> None:
    metrics = metrics_on_split(folder.model(), digits, "test")
    story = build_training_report(folder, digits, metrics)
    assert (story.title, story.best_epoch, story.curve) == ("toy on digits", 2, CURVE)
    assert (story.metrics, story.metrics_split) == (metrics, "test")
    assert story.class_names == tuple("0123456789")
    given, labels = top_predictions(folder, digits)
    assert story.examples
    for example in story.examples:
        assert example.label == labels[example.position]
        assert example.top_predictions[0][0] == given[example.position]
    assert story.viewed_example in story.examples
    assert [view.name for view in story.views] == ["stem", "block 1"]
    assert list(figures(story)) == ["samples", "curves", "confusion", "gallery", "feature-maps", "gates"]
    assert story.notes[0].startswith("balanced accuracy ")


def test_the_facts_tell_how_to_repeat_it(folder: TrainingRun, digits: Data) -> None:
    facts = {
        name: str(value)
        for name, value in build_training_report(
            folder, digits, metrics_on_split(folder.model(), digits, "test")
        ).facts
    }
    assert facts["network"].startswith(f"toy, key {NET.key}: 14.23K MACs, ")
    assert facts["network"].endswith("grey images of 8 px")
    assert facts["initial weights"] == "random weights"
    assert facts["data"] == "digits, 10 classes; at most 300 for training"
    assert "epochs 3" in facts["recipe"].replace(":", "").replace("=", " ")
    assert facts["seed"] == "7"
    assert facts["selected epoch"].startswith("2 of 3")
    assert facts["precision"] == "fp32 on cpu, 3 x 2 threads"
    # 120 seconds
    assert facts["time"].startswith("2 min ")
    assert "an example" in facts["machine"]
    assert "0.1.0" in facts["versions"]


def test_what_was_compiled_and_in_colour_says_so(tmp_path: Path, photos: Callable[[int], Data]) -> None:
    data = photos(0)
    own = training(tmp_path / "t", data, compute=ComputeConfig("cpu", "bf16", True))
    facts = dict(build_training_report(own, data, metrics_on_split(own.model(), data, "test")).facts)
    assert str(facts["network"]).endswith("color images of 8 px")
    assert str(facts["precision"]).startswith("bf16 on cpu, ")
    assert str(facts["precision"]).endswith(", compiled")


@pytest.fixture
def photos(tmp_path: Path) -> Callable[[int], Data]:
    """A folder of two classes with ten images each, so many of which cannot be read."""

    def made(broken: int) -> Data:
        noise = np.random.default_rng(0)
        for name in ("cat", "dog"):
            (tmp_path / "photos" / name).mkdir(parents=True)
            for number in range(10):
                pixels = noise.integers(0, 256, (10, 10, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
        for number in range(broken):
            (tmp_path / "photos" / "dog" / f"{number}.png").write_bytes(b"no image")
        return load_data(f"folder:{tmp_path / 'photos'}")

    return made


def test_images_that_could_not_be_read_are_told_on_the_page(
    tmp_path: Path, photos: Callable[[int], Data]
) -> None:
    data = photos(10)
    own = training(tmp_path / "t", data)
    story = build_training_report(own, data, metrics_on_split(own.model(), data, "test"))
    note = story.notes[-1]
    assert "could not be read" in note
    write_training_results(own, data, device="cpu")
    assert "could not be read" in own.report_file.read_text(encoding="utf-8")


def test_two_classes_have_no_first_five(tmp_path: Path, photos: Callable[[int], Data]) -> None:
    data = photos(0)
    own = training(tmp_path / "t", data)
    assert write_training_results(own, data, device="cpu")["test"]["top5"] is None


def test_images_of_another_kind_are_refused(folder: TrainingRun, photos: Callable[[int], Data]) -> None:
    with pytest.raises(RunError, match="the network needs 1 channels, got 3"):
        metrics_on_split(folder.model(), photos(0), "test")


def test_what_has_no_epoch_yet_cannot_be_reported(tmp_path: Path, digits: Data) -> None:
    own = TrainingRun.create(tmp_path / "t", settings_of(digits))
    with pytest.raises(RunError, match=r"t: no epoch is complete yet; bneck train .*t --resume"):
        write_training_results(own, digits, device="cpu")
    assert not own.result_file.exists()


def test_the_pictures_are_the_figures_of_the_page(
    folder: TrainingRun, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[Path, list[str]] = {}

    def write_pngs(named: dict[str, object], place: Path) -> None:
        drawn[place] = list(named)

    monkeypatch.setattr("bneck.results.outputs.write_pngs", write_pngs)
    own = training(tmp_path / "t", digits)
    write_training_results(own, digits, device="cpu")
    assert drawn == {}
    place = tmp_path / "pictures"
    write_training_results(own, digits, device="cpu", png_folder=place)
    assert drawn == {place: ["samples", "curves", "confusion", "gallery", "feature-maps", "gates"]}
