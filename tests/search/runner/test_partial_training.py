from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bneck.evaluate import Accuracy, Recipe
from bneck.evaluate.scorers import EvaluationContext, evaluator
from bneck.evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from bneck.evaluate.training.train import seeded_network
from bneck.results import DataSettings, Run
from bneck.results.store.fidelities import Rungs
from bneck.search.runner import worker
from bneck.search.runner.partial_training import PartialTrainingResult, train_to_epoch
from bneck.search.runner.worker import Worker

from ...evaluate.example_training import SMALL, noise_data
from ..helpers import fake_settings

# Whatever a training carries on: momentum, schedule, shuffling, dropout, augmentation, average.
RECIPE = Recipe(
    epochs=4, batch_size=8, dropout=0.3, drop_path=0.2, augment="flip-crop", bn_recalibration_images=16
)
RECIPES = {
    "sgd": RECIPE,
    "average": replace(RECIPE, ema=0.9, optimizer="adamw", learning_rate=0.01),
    "running": replace(RECIPE, bn_recalibration_images=0),
}


def untimed(accuracy: Accuracy) -> Accuracy:
    return replace(accuracy, seconds=0.0)


def train(folder: Path, recipe: Recipe, *rungs: int) -> list[PartialTrainingResult]:
    """Trained to each rung, with torch's own random numbers somewhere else each time."""
    context, found = EvaluationContext(noise_data(), recipe), []
    files = folder / "paused.safetensors", folder / "final.safetensors"
    for epochs in rungs:
        torch.manual_seed(epochs)
        torch.rand(5)
        found.append(train_to_epoch(epochs, SMALL, context, 3, *files))
    return found


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_training_with_pauses_ends_as_the_scorer_trains_in_one_go_to_the_bit(
    tmp_path: Path, recipe: Recipe
) -> None:
    *_, last = train(tmp_path, recipe, 1, 2, 4)
    unbroken = evaluator("train", EvaluationContext(noise_data(), recipe)).score(SMALL, 3)
    assert last.restart_reason == ""
    assert unbroken.accuracy
    assert unbroken.network
    assert untimed(last.accuracy) == untimed(unbroken.accuracy)
    kept, whole = load_checkpoint(tmp_path / "final.safetensors"), unbroken.network.state_dict()
    assert kept.weights.keys() == whole.keys()
    assert all(torch.equal(kept.weights[name], whole[name]) for name in whole)
    assert (kept.state, len(kept.curve)) == ({}, 4)


def test_what_is_judged_at_a_pause_is_the_network_as_it_is_then(tmp_path: Path) -> None:
    first, second = train(tmp_path, RECIPE, 1, 3)
    assert [len(each.accuracy.curve) for each in (first, second)] == [1, 3]
    assert [each.accuracy.images_seen for each in (first, second)] == [20, 60]  # the 20 images of each epoch
    assert second.accuracy.curve[0] == first.accuracy.curve[0]
    again = train(tmp_path, RECIPE, 3)[0]  # killed before its rung was noted: only judged once more
    assert untimed(again.accuracy) == untimed(second.accuracy)
    assert not (tmp_path / "final.safetensors").exists()


def test_a_pause_that_is_missing_damaged_or_of_another_training_begins_from_the_start(tmp_path: Path) -> None:
    partial_checkpoint = tmp_path / "paused.safetensors"
    wanted = untimed(train(tmp_path, RECIPE, 1, 2)[1].accuracy)
    plain = make_checkpoint(seeded_network(SMALL, 3), noise_data(), RECIPE, 3, ())
    for broken, why in (
        (lambda: partial_checkpoint.unlink(), "paused.safetensors"),
        (lambda: partial_checkpoint.write_bytes(b"no tensors"), "paused.safetensors"),
        (lambda: save_checkpoint(plain, partial_checkpoint), "is of another training run"),
        (lambda: train(tmp_path, replace(RECIPE, dropout=0.1), 1), "is of another training run"),
        (lambda: train(tmp_path, RECIPE, 3), "is of another training run"),
    ):
        broken()
        [found] = train(tmp_path, RECIPE, 2)
        assert why in found.restart_reason
        assert untimed(found.accuracy) == wanted


@pytest.mark.slow
def test_a_worker_trains_a_networks_first_rung_and_on_in_the_folder_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataSettings("digits", train_images=60, validation_images=30)
    recipe = Recipe(epochs=2, batch_size=16)
    run = Run.create(tmp_path / "run", fake_settings(data=data, recipe=recipe, rungs=Rungs((1, 2))))
    own = Worker(run)
    monkeypatch.setattr(worker, "_worker", own, raising=False)
    network = run.settings.space.decode({gene.name: gene.choices[0] for gene in run.settings.space.genes})
    assert worker.train_network(network).images_seen == 60
    assert (run.partial_checkpoint(network).is_file(), run.checkpoint(network).is_file()) == (True, False)
    assert run.partial_checkpoints() == [run.partial_checkpoint(network)]
    last = worker.train_to_rung(network, 2)
    weights = load_checkpoint(run.checkpoint(network)).weights
    assert untimed(own.train(network)) == untimed(last.accuracy)
    whole = load_checkpoint(run.checkpoint(network)).weights
    assert all(torch.equal(weights[name], whole[name]) for name in whole)
