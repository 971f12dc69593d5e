"""Searches whose networks learn the soft labels of a teacher."""

from pathlib import Path
from typing import Any

import pytest
import torch

from bneck.evaluate import Recipe
from bneck.evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from bneck.results import Run
from bneck.search import run_search
from bneck.search_space import BneckError

from ...evaluate.example_training import noise_data, toy
from ..helpers import SMALL


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.safetensors"
    save_checkpoint(make_checkpoint(toy(seed=5), noise_data(), Recipe(), 0, ()), path)
    return path


def searched(out: Path, n_trials: int, **options: Any) -> Run:
    return run_search(
        SMALL,
        data=noise_data(),
        latency_backend="fake",
        objectives="accuracy,macs",
        n_trials=n_trials,
        replicates=1,
        epochs=2,
        batch_size=8,
        baselines="none",
        out=out,
        progress=False,
        **options,
    )


def trained(run: Run) -> dict[str, tuple[float, torch.Tensor]]:
    """Loss and last layer of every network that was trained in full."""
    return {
        each.key: (
            each.accuracy.loss,
            load_checkpoint(run.checkpoint(each.architecture)).weights["classifier.weight"],
        )
        for each in run.records()
        if each.state == "complete" and each.accuracy
    }


@pytest.mark.slow
def test_a_search_with_a_teacher_resumes_to_the_bit(tmp_path: Path, teacher: Path) -> None:
    whole = searched(tmp_path / "whole", 4, teacher=teacher, min_epochs=1)
    begun = searched(tmp_path / "begun", 2, teacher=teacher, min_epochs=1)
    alone = searched(tmp_path / "alone", 4, min_epochs=1)
    assert (begun.settings.teacher, begun.settings.soft_label_weight) == (str(teacher), 0.7)
    assert (alone.settings.teacher, alone.settings.soft_label_weight) == ("", 0.0)
    teacher.unlink()
    resumed = run_search(resume=begun.folder, n_trials=4, data=noise_data(), progress=False)
    first, again, without = map(trained, (whole, resumed, alone))
    assert first.keys() == again.keys()
    assert all(
        loss == again[key][0] and weights.equal(again[key][1]) for key, (loss, weights) in first.items()
    )
    shared = first.keys() & without.keys()
    assert shared
    assert not any(first[key][1].equal(without[key][1]) for key in shared)
    replicates = whole.replicates(), resumed.replicates()
    assert [{key: [each.loss for each in found] for key, found in run.items()} for run in replicates] == [
        {key: [each.loss for each in found] for key, found in replicates[0].items()}
    ] * 2


@pytest.mark.slow
def test_the_teacher_may_be_the_best_network_of_a_search(tmp_path: Path) -> None:
    first = searched(tmp_path / "first", 2)
    second = searched(tmp_path / "second", 2, teacher=first)
    assert second.settings.teacher == f"{first.folder}#{first.best().trial}"
    best = load_checkpoint(first.checkpoint(first.best().architecture))
    assert load_checkpoint(second.teacher_file).architecture == best.architecture


def test_a_teacher_of_other_classes_or_for_another_evaluator_is_refused(
    tmp_path: Path, teacher: Path
) -> None:
    with pytest.raises(BneckError, match="fine-tune it on these images first"):
        run_search(SMALL, data="digits", teacher=teacher, out=tmp_path / "run")
    with pytest.raises(BneckError, match="--teacher needs --evaluator train"):
        run_search(SMALL, data="digits", teacher=teacher, evaluator=lambda network, seed: 0.5)
    assert not (tmp_path / "run").exists()
