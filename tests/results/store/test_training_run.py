"""A training's folder and its settings."""

import csv
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate import Epoch, Recipe
from bneck.evaluate.training.checkpoint import make_checkpoint, save_checkpoint
from bneck.evaluate.training.trainer import ComputeConfig
from bneck.results import DataSettings
from bneck.results.store.experiment import is_training
from bneck.results.store.training_run import TrainingRun, TrainingSettings, best_epoch
from bneck.search_space import BneckError, RunError

from ...evaluate.example_training import SMALL, noise_data, toy

SETTINGS = TrainingSettings(
    created="2031-01-02T03:04:05+00:00",
    name="nets/größe.yaml",
    architecture=SMALL,
    initial_weights="runs/old",
    data=DataSettings(
        name="folder:/bilder",
        root="/data",
        train_images=100,
        validation_images=None,
        class_names=("Bär", "no", "12", "a: b # c"),
        pixel_mean=(0.1 + 0.2, 1 / 3, 120.5),
        pixel_std=(1e-7, 2.0, 64.0),
    ),
    recipe=Recipe(weight_decay=1e-5, learning_rate=0.1 + 0.2, augment="mixup+cutmix"),
    seed=7,
    compute=ComputeConfig(precision="bf16", compiled=True),
    threads=3,
    processes=2,
    host={"cpu": "none", "note": "1e3"},
    versions={"torch": "2.9", "bneck": "1.10"},
)
OTHERWISE: dict[str, Any] = {
    "created": "later",
    "name": "other",
    "architecture": replace(SMALL, resolution_px=16),
    "initial_weights": "random weights",
    "data": replace(SETTINGS.data, train_images=99),
    "recipe": replace(SETTINGS.recipe, ema=0.5),
    "seed": 8,
    "compute": ComputeConfig(precision="fp16", compiled=True),
    "threads": 4,
    "processes": 1,
    "host": {"cpu": "another"},
    "versions": {},
    "teacher": "runs/large",
    "soft_label_weight": 0.5,
}


def point(top1: float | None, loss: float = 1.0) -> Epoch:
    return Epoch(loss, loss, top1, 0.5, 2.0)


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    made = TrainingRun.create(tmp_path / "new" / "folder", SETTINGS)
    opened = TrainingRun.open(tmp_path / "new" / "folder")
    assert opened == made
    assert opened.settings == SETTINGS


def test_settings_of_earlier_versions_have_no_teacher(tmp_path: Path) -> None:
    file = TrainingRun.create(tmp_path / "t", SETTINGS).folder / "training.yaml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    earlier = [line for line in lines if not line.startswith(("teacher", "soft_label_weight"))]
    assert len(earlier) == len(lines) - 2
    file.write_text("".join(earlier), encoding="utf-8")
    assert TrainingRun.open(tmp_path / "t").settings == SETTINGS


def test_the_same_settings_do_not_differ() -> None:
    assert SETTINGS.difference(replace(SETTINGS)) is None


def test_no_setting_is_forgotten_below() -> None:
    assert [field.name for field in fields(TrainingSettings)] == list(OTHERWISE)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("created", None),
        ("host", None),
        ("versions", None),
        ("name", "name is nets/größe.yaml, not other"),
        ("initial_weights", "initial weights is runs/old, not random weights"),
        ("data", "train_images is 100, not 99"),
        ("recipe", "ema is 0.0, not 0.5"),
        ("seed", "seed is 7, not 8"),
        ("compute", "precision is bf16, not fp16"),
        ("threads", "threads is 3, not 4"),
        ("processes", "processes is 2, not 1"),
        ("teacher", "teacher is , not runs/large"),
        ("soft_label_weight", "soft label weight is 0.0, not 0.5"),
        (
            "architecture",
            f"the network is {SMALL.key} at 8 px, not {replace(SMALL, resolution_px=16).key}",
        ),
    ],
)
def test_what_would_train_otherwise_is_named(field: str, told: str | None) -> None:
    assert SETTINGS.difference(replace(SETTINGS, **{field: OTHERWISE[field]})) == told


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    assert not is_training(tmp_path)
    with pytest.raises(RunError) as caught:
        TrainingRun.open(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path} is not a training (no training.yaml)")
    assert "`bneck train`" in str(caught.value)


def test_before_the_first_epoch_there_is_no_model(tmp_path: Path) -> None:
    folder = TrainingRun.create(tmp_path / "one", SETTINGS)
    assert is_training(folder.folder)
    with pytest.raises(RunError) as caught:
        folder.model()
    assert (
        str(caught.value)
        == f"{folder.folder}: no epoch is complete yet; bneck train {folder.folder} --resume"
    )
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: checkpoint file not found"):
        folder.checkpoint()


def test_checkpoint_and_model_are_two_files(tmp_path: Path) -> None:
    folder = TrainingRun.create(tmp_path / "one", SETTINGS)
    last, best = (
        make_checkpoint(toy(seed=seed), noise_data(), SETTINGS.recipe, seed, [point(0.5)]) for seed in (1, 2)
    )
    save_checkpoint(last, folder.checkpoint_file)
    save_checkpoint(best, folder.model_file)
    assert (folder.checkpoint().seed, folder.model().seed) == (1, 2)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("seed: 7", "seed: x", r":\d+: seed: must be a whole number, got x$"),
        ("seed: 7", "sed: 7", r":\d+: sed: unknown key; known here: bneck, created, name"),
        ("threads: 3\n", "", r":1: 'threads' is missing$"),
        ("training/1", "training/2", r":1: bneck: must be training/1, got training/2; "),
        (
            "precision: bf16",
            "precision: fp8",
            r":\d+: .*precision must be one of fp32, bf16, fp16, got 'fp8'$",
        ),
        ("ema: 0.0", "ema: 2", r":\d+: .*ema must be from 0 to below 1, got 2$"),
        ("kernel: 5", "kernel: 4", r":\d+: .*kernel must be 3, 5 or 7, got 4$"),
    ],
)
def test_a_broken_file_is_named_with_its_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    folder = TrainingRun.create(tmp_path / "one", SETTINGS).folder
    path = folder / "training.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(BneckError, match=told) as caught:
        TrainingRun.open(folder)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("scores", "best"),
    [((0.5,), 1), ((0.5, 0.7, 0.6), 2), ((0.7, 0.5, 0.7, 0.6), 3), ((0.0, 0.0), 2), ((0.9, 0.8, 0.7), 1)],
)
def test_the_best_epoch_is_the_last_of_the_most_accurate(scores: tuple[float, ...], best: int) -> None:
    assert best_epoch([point(score) for score in scores]) == best


def test_the_curve_is_a_table_with_a_row_an_epoch(tmp_path: Path) -> None:
    folder = TrainingRun.create(tmp_path / "one", SETTINGS)
    folder.write_curve([point(0.5)])
    folder.write_curve([Epoch(1 / 3, 0.25, 0.5, 0.75, 2.5), Epoch(0.125)])
    with (folder.folder / "curve.csv").open() as file:
        first, second = csv.DictReader(file)
    assert [*first] == ["epoch", "train_loss", "validation_loss", "validation_top1", "train_top1", "seconds"]
    assert [float(value) for value in first.values()] == [1, 1 / 3, 0.25, 0.5, 0.75, 2.5]
    assert [*second.values()] == ["2", "0.125", "", "", "", ""]
