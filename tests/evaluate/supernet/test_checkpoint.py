"""Supernet files: round trip and errors."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bneck.evaluate.data.dataset import Data
from bneck.evaluate.supernet.checkpoint import SupernetCheckpoint, load_supernet, save_supernet
from bneck.evaluate.supernet.config import SupernetConfig
from bneck.search_space import BneckError, ScorerError, load_space

from ..example_checkpoint import keep
from ..example_training import differing, noise_data, toy
from .example_supernet import CONSTANT, training_of


@pytest.fixture(scope="module")
def checkpoint() -> SupernetCheckpoint:
    """One that was stopped after two steps of three."""
    training = training_of(replace(CONSTANT, ema=0.5, epochs=1), strategy="balanced", max_macs=4e5, seed=3)
    training.advance(2)
    return training.checkpoint()


@pytest.fixture
def path(checkpoint: SupernetCheckpoint, tmp_path: Path) -> Path:
    save_supernet(checkpoint, tmp_path / "net")
    return tmp_path / "net"


def error_of(path: Path) -> str:
    """The one line that refuses a file."""
    with pytest.raises(BneckError) as caught:
        load_supernet(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def altered(path: Path, **metadata: str | None) -> None:
    """Write other words into a file; None takes one out."""
    with safe_open(path, framework="pt") as file:
        words = dict(file.metadata()) | metadata
    save_file(load_file(path), path, {name: word for name, word in words.items() if word is not None})


def test_everything_comes_back_as_it_was(checkpoint: SupernetCheckpoint, path: Path) -> None:
    back = load_supernet(path)
    for field in fields(SupernetCheckpoint):
        if field.name not in ("weights", "state"):
            assert getattr(back, field.name) == getattr(checkpoint, field.name), field.name
    assert (back.steps, back.images_seen, back.train_images, back.finished) == (2, 16, 20, False)
    assert back.fraction_done == pytest.approx(2 / 3)
    assert back.settings.max_macs == 4e5
    assert differing(back.weights, checkpoint.weights) == differing(back.state, checkpoint.state) == []
    assert differing(back.supernet().state_dict(), checkpoint.weights) == []


def test_files_of_other_kinds_are_refused_in_one_line(tmp_path: Path) -> None:
    assert "missing" in error_of(tmp_path / "gone")
    (tmp_path / "text").write_text("hello")
    assert error_of(tmp_path / "text").startswith("not a bneck supernet (")
    keep(toy(), tmp_path / "net")
    assert error_of(tmp_path / "net") == "must be a supernet with schema supernet/1, got checkpoint/1"


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.999])
def test_a_file_cut_short_is_refused(fraction: float, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    assert error_of(path).startswith("not a bneck supernet (")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"info": None}, "the supernet is damaged ('info')"),
        ({"info": "{"}, "the supernet is damaged (Expecting property name"),
        ({"info": "{}"}, "the supernet is damaged ('data')"),
        ({"recipe": "bneck: recipe/1\nepochs: many"}, "recipe:2: epochs: must be a whole number"),
        ({"space": "bneck: space/9"}, "space:1: bneck: must be space/1, got space/9"),
    ],
)
def test_damaged_metadata_is_refused(words: dict[str, str | None], message: str, path: Path) -> None:
    altered(path, **words)
    assert error_of(path).startswith(message)


def test_weights_of_another_space_are_refused(checkpoint: SupernetCheckpoint, path: Path) -> None:
    save_supernet(replace(checkpoint, space=load_space("tiny")), path)
    assert "space tiny (" in error_of(path)


def test_invalid_settings_are_refused(checkpoint: SupernetCheckpoint, path: Path) -> None:
    settings = SupernetConfig()
    object.__setattr__(settings, "strategy", "fair")
    save_supernet(replace(checkpoint, settings=settings), path)
    assert error_of(path) == "strategy must be one of uniform, balanced, sandwich, got 'fair'"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (noise_data(channels=1), "noise: the supernet needs 3 channels, got 1"),
        (
            noise_data(names=("a", "c")),
            "noise: the supernet was trained on other classes: the data is without b and with c "
            "(2 classes in training, 2 here)",
        ),
    ],
)
def test_other_images_are_refused(data: Data, message: str, checkpoint: SupernetCheckpoint) -> None:
    with pytest.raises(ScorerError) as caught:
        checkpoint.normalize_data(data)
    assert str(caught.value) == message


def test_images_are_normalised_as_they_were_in_training(checkpoint: SupernetCheckpoint) -> None:
    mean: Any = (1.0, 2.0, 3.0)
    normalised = replace(checkpoint, pixel_mean=mean).normalize_data(noise_data())
    assert normalised.pixel_mean == mean
    assert torch.tensor(normalised.pixel_std).equal(torch.tensor(noise_data().pixel_std))
