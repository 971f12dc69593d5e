"""Supernets that go to disk and come back, and files that are none."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bneck.evaluate.data.dataset import Data
from bneck.evaluate.supernet.checkpoint import TrainedSupernet, load_supernet, save_supernet
from bneck.evaluate.supernet.config import SupernetSettings
from bneck.search_space import BneckError, ScorerError, load_space

from ..example_checkpoint import keep
from ..example_training import differing, noise_data, toy
from .example_supernet import CONSTANT, training_of


@pytest.fixture(scope="module")
def trained() -> TrainedSupernet:
    """One that was stopped after two steps of three."""
    training = training_of(replace(CONSTANT, ema=0.5, epochs=1), strategy="balanced", most_macs=4e5, seed=3)
    training.advance(2)
    return training.trained()


@pytest.fixture
def path(trained: TrainedSupernet, tmp_path: Path) -> Path:
    save_supernet(trained, tmp_path / "net")
    return tmp_path / "net"


def error_of(path: Path) -> str:
    """The one line that refuses a file."""
    with pytest.raises(BneckError) as caught:
        load_supernet(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and "\n" not in told
    return told.removeprefix(f"{path}: ")


def altered(path: Path, **metadata: str | None) -> None:
    """Write other words into a file; None takes one out."""
    with safe_open(path, framework="pt") as file:
        words = dict(file.metadata()) | metadata
    save_file(load_file(path), path, {name: word for name, word in words.items() if word is not None})


def test_everything_comes_back_as_it_was(trained: TrainedSupernet, path: Path) -> None:
    back = load_supernet(path)
    for field in fields(TrainedSupernet):
        if field.name not in ("weights", "state"):
            assert getattr(back, field.name) == getattr(trained, field.name), field.name
    assert (back.steps, back.seen, back.train_images, back.finished) == (2, 16, 20, False)
    assert back.share == pytest.approx(2 / 3)
    assert back.settings.most_macs == 4e5
    assert differing(back.weights, trained.weights) == differing(back.state, trained.state) == []
    assert differing(back.supernet().state_dict(), trained.weights) == []


def test_files_of_other_kinds_are_refused_in_one_line(tmp_path: Path) -> None:
    assert error_of(tmp_path / "gone").startswith("the file with the supernet is missing; make one")
    (tmp_path / "text").write_text("hello")
    assert error_of(tmp_path / "text").startswith("no supernet of bneck (")
    keep(toy(), tmp_path / "net")
    assert error_of(tmp_path / "net") == "must be a supernet of form supernet/1, got checkpoint/1"


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_file_cut_short_is_refused(share: float, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert error_of(path).startswith("no supernet of bneck (")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"about": None}, "the supernet is damaged ('about')"),
        ({"about": "{"}, "the supernet is damaged (Expecting property name"),
        ({"about": "{}"}, "the supernet is damaged ('data')"),
        ({"recipe": "bneck: recipe/1\nepochs: many"}, "recipe:2: epochs: must be a whole number"),
        ({"space": "bneck: space/9"}, "space:1: bneck: must be space/1, got space/9"),
    ],
)
def test_damaged_words_are_refused(words: dict[str, str | None], told: str, path: Path) -> None:
    altered(path, **words)
    assert error_of(path).startswith(told)


def test_weights_of_another_space_are_refused(trained: TrainedSupernet, path: Path) -> None:
    save_supernet(replace(trained, space=load_space("tiny")), path)
    assert error_of(path).startswith("the weights are not those of space tiny (")


def test_settings_that_mean_nothing_are_refused(trained: TrainedSupernet, path: Path) -> None:
    settings = SupernetSettings()
    object.__setattr__(settings, "strategy", "fair")
    save_supernet(replace(trained, settings=settings), path)
    assert error_of(path) == "strategy must be one of uniform, balanced, sandwich, got 'fair'"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (noise_data(channels=1), "noise has 1 channels, the supernet takes 3"),
        (noise_data(names=("a", "c")), "noise has other classes (a, c) than the supernet (a, b)"),
    ],
)
def test_other_images_are_refused(data: Data, told: str, trained: TrainedSupernet) -> None:
    with pytest.raises(ScorerError) as caught:
        trained.normalised(data)
    assert str(caught.value) == told


def test_images_are_normalised_as_they_were_in_training(trained: TrainedSupernet) -> None:
    mean: Any = (1.0, 2.0, 3.0)
    seen = replace(trained, pixel_mean=mean).normalised(noise_data())
    assert seen.pixel_mean == mean
    assert torch.tensor(seen.pixel_std).equal(torch.tensor(noise_data().pixel_std))
