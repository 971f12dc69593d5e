"""A training in its folder: files after each epoch, and recovery from a crash."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate import Epoch
from bneck.evaluate.training.checkpoint import Checkpoint, load_checkpoint
from bneck.evaluate.training.trainer import Trainer
from bneck.results.store.training_run import TrainingRun
from bneck.search.jobs.training_loop import run_epochs
from bneck.search_space import RunError, architecture_yaml

from ...evaluate.example_training import PLAIN, SMALL, differing, noise_data, one_epoch, toy
from ..example_training_folder import Watched, begun, run
from ..helpers import BNECK

RECIPE = replace(PLAIN, epochs=4, dropout=0.3, ema=0.5, augment="flip-crop", learning_rate=0.02)
ANSWERS = ("checkpoint.safetensors", "curve.csv", "lock", "model.safetensors", "training.yaml")


def tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return {**{f"weights.{name}": v for name, v in checkpoint.weights.items()}, **checkpoint.state}


def untimed(checkpoint: Checkpoint) -> list[Epoch]:
    return [replace(point, seconds=None) for point in checkpoint.curve]


def assert_alike(first: TrainingRun, second: TrainingRun) -> None:
    """Both saved the same bits; only seconds differ."""
    for one, other in ((first.checkpoint(), second.checkpoint()), (first.model(), second.model())):
        assert differing(tensors(one), tensors(other)) == []
        assert untimed(one) == untimed(other)
    tables = []
    for folder in (first, second):
        with (folder.folder / "curve.csv").open() as file:
            tables.append([{**row, "seconds": ""} for row in csv.DictReader(file)])
    assert tables[0] == tables[1]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    folder = begun(tmp_path_factory.mktemp("unbroken") / "one", RECIPE)
    run(folder)
    return folder


def test_a_folder_holds_last_checkpoint_best_network_and_curve(tmp_path: Path) -> None:
    folder = begun(tmp_path / "one", RECIPE)
    shown = run(folder)
    assert sorted(path.name for path in folder.folder.iterdir()) == [*ANSWERS]
    last, kept = folder.checkpoint(), folder.model()
    assert len(last.curve) == 4
    assert list(last.curve) == shown.points
    scores = [point.validation_top1 or 0 for point in last.curve]
    best = max(index for index, score in enumerate(scores, start=1) if score == max(scores))
    assert kept.curve == last.curve[:best]
    assert dict(kept.state) == {}
    assert all(point.seconds is not None and 0 < point.seconds < 60 for point in last.curve)
    with (folder.folder / "curve.csv").open() as file:
        assert [float(row["train_loss"]) for row in csv.DictReader(file)] == [
            p.train_loss for p in last.curve
        ]


def test_the_saved_network_is_the_evaluated_one_of_the_best_epoch(unbroken: TrainingRun) -> None:
    training = Trainer(toy(), noise_data(), RECIPE, seed=3)
    points, eval_network, trained = [], [], []
    for _ in range(4):
        points.append(one_epoch(training))
        eval_network.append({name: v.clone() for name, v in training.eval_network.state_dict().items()})
        trained.append({name: v.clone() for name, v in training.network.state_dict().items()})
    last, kept = unbroken.checkpoint(), unbroken.model()
    assert untimed(last) == points
    assert differing(last.weights, trained[-1]) == []
    assert differing(kept.weights, eval_network[len(kept.curve) - 1]) == []
    assert differing(kept.weights, trained[len(kept.curve) - 1]) != []  # the average is kept


def test_a_worse_epoch_does_not_replace_a_better_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.8, 0.8, 0.6])
    monkeypatch.setattr(Trainer, "evaluate", lambda self: (next(scores), 1.0))
    folder = begun(tmp_path / "one", RECIPE)
    run(folder)
    # of equals the later is kept
    assert [point.validation_top1 for point in folder.model().curve] == [0.5, 0.8, 0.8]
    assert len(folder.checkpoint().curve) == 4


def test_the_callback_runs_after_each_epoch_is_saved(tmp_path: Path) -> None:
    folder, told = begun(tmp_path / "one", RECIPE), []

    def look(epoch: int, point: Epoch) -> None:
        told.append((epoch, len(folder.checkpoint().curve)))
        assert folder.checkpoint().curve[-1] == point

    run_epochs(folder, noise_data(), Watched(4), look)
    assert told == [(1, 1), (2, 2), (3, 3), (4, 4)]


@pytest.mark.parametrize("step", [1, 3, 4, 11])
@pytest.mark.slow
def test_a_training_interrupted_at_any_step_gives_the_same_result(
    step: int, unbroken: TrainingRun, tmp_path: Path
) -> None:
    def stop(number: int) -> None:
        if number == step:
            raise KeyboardInterrupt

    broken = begun(tmp_path / "two", RECIPE)
    with pytest.raises(KeyboardInterrupt):
        run(broken, shown=Watched(4, stop))
    # 3 steps an epoch
    assert len(broken.checkpoint().curve) == (step - 1) // 3
    torch.manual_seed(step)
    run(broken)
    assert_alike(unbroken, broken)


def test_a_training_killed_between_its_two_files_gives_the_same_result(
    unbroken: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = begun(tmp_path / "two", RECIPE)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("bneck.search.jobs.training_loop.save_progress", killed)
        run(broken)
    assert broken.model_file.is_file()
    assert broken.checkpoint().curve == ()
    run(broken)
    assert_alike(unbroken, broken)


def test_a_finished_training_is_not_changed(unbroken: TrainingRun) -> None:
    before = {path.name: path.read_bytes() for path in unbroken.folder.iterdir()}
    assert run(unbroken).points == []
    assert {path.name: path.read_bytes() for path in unbroken.folder.iterdir()} == before


def test_only_the_first_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begun(tmp_path / "one", RECIPE)
    before = {path.name: path.read_bytes() for path in folder.folder.iterdir()}
    monkeypatch.setenv("RANK", "1")
    assert len(run(folder).points) == 4
    assert {path.name: path.read_bytes() for path in folder.folder.iterdir()} == before


REMEDIES = ("--learning-rate", "max_grad_norm", "warmup_fraction")


def test_a_nan_loss_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    folder = begun(tmp_path / "one", RECIPE)
    kept: list[bytes] = []

    def spoil(number: int) -> None:
        if number == 7:  # the first step of the third epoch
            kept.append(folder.checkpoint_file.read_bytes())
            nn.init.constant_(network.classifier.bias, math.nan)

    network = toy()
    folder_network = load_checkpoint(folder.checkpoint_file).weights
    network.load_state_dict(dict(folder_network))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "network", lambda self: network)
        with pytest.raises(RunError) as caught:
            run(folder, shown=Watched(4, spoil))
    message = str(caught.value)
    for name in ("epoch 3 is nan", f"{folder.checkpoint_file} holds epoch 2", *REMEDIES):
        assert name in message
    assert [folder.checkpoint_file.read_bytes()] == kept
    assert len(folder.checkpoint().curve) == 2
    assert len(run(folder).points) == 2  # and it can go on


def test_exploding_steps_fail_before_the_first_epoch_finishes(tmp_path: Path) -> None:
    folder = begun(tmp_path / "one", replace(PLAIN, learning_rate=1e38))
    with pytest.raises(RunError) as caught:
        run(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder.folder}: ")
    assert "no epoch was finished" in message and all(name in message for name in REMEDIES)
    assert folder.checkpoint().curve == ()
    assert not folder.model_file.exists()


def test_a_network_that_diverges_in_the_last_step_is_not_saved(tmp_path: Path) -> None:
    folder = begun(tmp_path / "one", replace(PLAIN, learning_rate=1e38, batch_size=20))
    with pytest.raises(RunError, match=r"validation .*nan; no epoch was finished"):
        run(folder)
    assert folder.checkpoint().curve == ()
    assert not folder.model_file.exists()


def test_a_full_disk_leaves_the_last_checkpoint_intact(
    unbroken: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begun(tmp_path / "two", RECIPE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    def fill(number: int) -> None:
        if number == 5:
            patch.setattr(os, "fsync", full)

    with monkeypatch.context() as patch, pytest.raises(RunError, match="No space left on device"):
        run(folder, shown=Watched(4, fill))
    assert sorted(path.name for path in folder.folder.iterdir()) == [*ANSWERS]
    assert len(folder.checkpoint().curve) == 1
    run(folder)
    assert_alike(unbroken, folder)


# the command, in processes of their own

KILLED = """
import os, signal, sys
from bneck.search.console.training_progress import TrainingProgress
steps, batch = 0, TrainingProgress.batch
def counted(self, images):
    global steps
    steps += 1
    if steps == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    batch(self, images)
TrainingProgress.batch = counted
from bneck.search.cli import main
sys.argv[0] = "bneck"
main()
"""


def bneck(*words: object, script: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script] if script else [BNECK]
    return subprocess.run([*command, *map(str, words)], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_command_killed_within_an_epoch_gives_the_same_result(tmp_path: Path) -> None:
    net, recipe = tmp_path / "toy.yaml", tmp_path / "recipe.yaml"
    net.write_text(architecture_yaml(SMALL), encoding="utf-8")
    recipe.write_text(
        "bneck: recipe/1\nepochs: 3\nbatch_size: 16\noptimizer: adam\nlearning_rate: 0.002\nema: 0.5\n"
        "dropout: 0.3\naugment: flip-crop+mixup+random-erase\nbn_recalibration_images: 32\n",
        encoding="utf-8",
    )
    words = ["train", net, "--recipe", recipe, "--train-images", 48, "--validation-images", 20]
    words += ["--seed", 4, "--threads", 1, "--json"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    first = bneck(*words, "--out", whole)
    assert first.returncode == 0, first.stderr
    killed = bneck(*words, "--out", broken, script=KILLED)
    assert killed.returncode == -signal.SIGKILL
    # the fifth step is in the second epoch, of three steps each
    assert len(TrainingRun.open(broken).checkpoint().curve) == 1
    second = bneck("train", broken, "--resume", "--json")
    assert second.returncode == 0, second.stderr
    assert_alike(TrainingRun.open(whole), TrainingRun.open(broken))
    results = [json.loads(each.stdout) for each in (first, second)]
    for name in ("best_epoch", "epochs", "validation_top1", "test"):
        assert results[0][name] == results[1][name], name
