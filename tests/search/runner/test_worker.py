"""The steps of a worker, in this process, on a made-up device."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bneck.evaluate import Accuracy, Device, LatencySetup, Recipe, ReferencePanel
from bneck.evaluate.data.dataset import Data
from bneck.evaluate.latency.backends import latency_backend
from bneck.evaluate.latency.meter import LatencyMeter
from bneck.evaluate.scorers import Score
from bneck.evaluate.training.checkpoint import load_checkpoint
from bneck.evaluate.training.pretrained import available_pretrained, pretrained_network
from bneck.evaluate.training.recipe import load_recipe
from bneck.evaluate.training.train import seeded_network, train
from bneck.results import DataSettings, LatencyPolicy, Run
from bneck.search.resolve.datasets import normalized_for_evaluator
from bneck.search.runner.worker import Worker
from bneck.search_space import Architecture, BackendError, GoalError, cost

from ...results.example_run import BASELINE, accuracy
from ...search_space.helpers import TOY
from ..helpers import SMALL, every_network, fake_device, fake_settings, give_model

PANEL = ReferencePanel("small", {"small": TOY, "large": replace(TOY, resolution_px=64)})
NETWORK = next(iter(every_network(SMALL).values()))


def calibrated() -> LatencySetup:
    """The made-up device with a small panel, measured."""
    return LatencyMeter(latency_backend("fake"), PANEL).setup


def worker_of(folder: Path, **changes: Any) -> Worker:
    return Worker(Run(folder, fake_settings(**{"latency": calibrated(), **changes})))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def seconds_of(network: Architecture) -> float:
    """On the made-up machine: a tenth of a nanosecond a MAC, and a microsecond a layer."""
    return cost(network).macs * 1e-10 + cost(network).depth * 1e-6


def test_a_network_is_measured_on_the_scale_of_the_run(tmp_path: Path) -> None:
    found = worker_of(tmp_path).measure(NETWORK)
    assert (found.status, found.source) == ("ok", "measured")
    assert found.ratio == pytest.approx(seconds_of(NETWORK) / seconds_of(TOY), rel=0.03)
    assert found.latency_ms == pytest.approx(1000 * seconds_of(NETWORK), rel=0.03)


def test_the_calibration_is_that_of_the_run_and_not_measured_anew(tmp_path: Path) -> None:
    setup = calibrated()
    earlier = replace(setup.calibration, reference_ms=7.0, measured_at="2026-01-02T03:04:05+00:00")
    found = worker_of(tmp_path, latency=replace(setup, calibration=earlier)).measure(NETWORK)
    assert found.ratio == pytest.approx(seconds_of(NETWORK) / seconds_of(TOY), rel=0.03)
    assert found.latency_ms == pytest.approx(7.0 * found.ratio)


def test_what_was_measured_before_is_looked_up_and_measured_afresh_if_that_is_asked(tmp_path: Path) -> None:
    setup = calibrated()
    first = worker_of(tmp_path, latency=setup).measure(NETWORK)
    assert first.seconds > 0
    later = worker_of(tmp_path, latency=setup)
    assert later.measure(NETWORK) == replace(first, seconds=0.0)
    afresh = later.remeasure(NETWORK)
    assert afresh.seconds > 0
    assert afresh != first


@pytest.mark.parametrize(
    ("field", "there"),
    [
        ("processor", "a phone"),
        ("runtime", "none 2.0"),
        ("features", "avx2"),
        ("dtype", "fp16"),
        ("layout", "NHWC"),
        ("system", "Android"),
        ("backend", "real"),
    ],
)
def test_a_device_that_differs_in_one_field_is_refused_by_its_name(
    tmp_path: Path, field: str, there: str
) -> None:
    here = getattr(Device("fake", "none", "simulated"), field) or "none"
    elsewhere = fake_device(**{field: there})
    with pytest.raises(BackendError) as raised:
        worker_of(tmp_path, latency=elsewhere).measure(NETWORK)
    assert f"({field}: {there} != {here})" in str(raised.value)
    with pytest.raises(BackendError):
        worker_of(tmp_path, latency=elsewhere).remeasure(NETWORK)


@pytest.mark.parametrize("field", ["threads", "batch_size"])
def test_threads_and_batch_are_those_of_the_run(tmp_path: Path, field: str) -> None:
    setup = replace(calibrated(), device=fake_device(**{field: 2}).device)
    assert getattr(worker_of(tmp_path, latency=setup).meter.backend.device, field) == 2


@pytest.mark.parametrize(
    ("latency_policy", "source"), [("model", "predicted"), ("both", "measured"), ("measurements", "measured")]
)
def test_a_baseline_is_predicted_only_where_the_model_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latency_policy: LatencyPolicy, source: str
) -> None:
    trained: list[Architecture] = []

    def train(self: Worker, architecture: Architecture) -> Accuracy:
        trained.append(architecture)
        return accuracy(0.9)

    monkeypatch.setattr(Worker, "train", train)
    monkeypatch.setattr(Worker, "evaluate_on_test_set", lambda self, architecture: (0.8, 0.5, 600))
    worker = worker_of(tmp_path, latency_policy=latency_policy)
    give_model(worker.run, 0.3)
    found = worker.baseline(BASELINE)
    network = worker.settings.published_architecture(BASELINE)
    assert trained == [found.architecture] == [network]
    assert (found.name, found.accuracy, found.test_top1, found.test_images) == (
        BASELINE,
        accuracy(0.9),
        0.8,
        600,
    )
    assert found.latency.source == source
    assert (found.latency.ratio == pytest.approx(0.3)) is (source == "predicted")


def scores(network: Architecture, seed: int) -> Score:
    """A network whose weights follow from the seed, and an accuracy that does."""
    kept = seeded_network(network, seed)
    return Score(0.5, 0.0, replace(accuracy(0.5 + seed % 10 / 100), seed=seed), kept)


@dataclass(frozen=True)
class FakeScorer:
    """Judges by a function."""

    of: Callable[[Architecture, int], Score]
    name: str = "train"

    def score(self, architecture: Architecture, seed: int) -> Score:
        return self.of(architecture, seed)


def judging(folder: Path, of: Callable[[Architecture, int], Score], **changes: Any) -> Worker:
    worker = worker_of(folder, seed=7, data=DataSettings("digits", train_images=20), **changes)
    (folder / "checkpoints").mkdir()
    vars(worker)["evaluator"] = FakeScorer(of)
    return worker


def test_the_first_training_is_kept_and_a_repeat_leaves_it_as_it_is(tmp_path: Path) -> None:
    worker = judging(tmp_path, scores)
    seed = worker.settings.training_seed(NETWORK.key)
    assert worker.train(NETWORK).seed == seed
    path = worker.run.checkpoint(NETWORK)
    before = path.read_bytes()
    again = worker.train_replicate(NETWORK, 9)
    assert (again.top1, again.seed) == (pytest.approx(0.59), 9)
    assert path.read_bytes() == before
    kept = load_checkpoint(path)
    first = seeded_network(NETWORK, seed).state_dict()
    assert kept.seed == seed
    assert all(torch.equal(first[name], weight) for name, weight in kept.weights.items())


def test_a_scorer_without_weights_leaves_none(tmp_path: Path) -> None:
    worker = judging(tmp_path, lambda network, seed: replace(scores(network, seed), network=None))
    assert worker.train(NETWORK).seed == worker.settings.training_seed(NETWORK.key)
    assert not worker.run.checkpoint(NETWORK).exists()


def test_a_repeat_has_the_seed_it_was_asked_for(tmp_path: Path) -> None:
    # a table tells its own seeds; two repeats with one seed would be one
    worker = judging(tmp_path, lambda network, seed: scores(network, 0))
    assert [worker.train_replicate(NETWORK, seed).seed for seed in (8, 9)] == [8, 9]


def test_a_scorer_that_tells_no_accuracy_is_refused(tmp_path: Path) -> None:
    worker = judging(tmp_path, lambda network, seed: Score(1.0, 0.0))
    with pytest.raises(GoalError, match="train"):
        worker.train(NETWORK)


def test_a_table_judges_a_network_by_its_row(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text(f"key,top1,seed\n{NETWORK.key},0.75,7\n{NETWORK.key},0.5,8\n", encoding="utf-8")
    data = DataSettings("digits", train_images=20, validation_images=30)
    worker = worker_of(tmp_path, evaluator=f"table:{table}", data=data, seed=6)
    found = worker.train(NETWORK)
    again = worker.train_replicate(NETWORK, worker.settings.training_seed(NETWORK.key, 1))
    assert {found.top1, again.top1} == {0.75, 0.5}
    assert found.images == 30


def test_training_is_what_a_search_judges_by_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    data = DataSettings("digits", train_images=20, validation_images=20)
    worker = worker_of(tmp_path, data=data, recipe=Recipe(epochs=1, batch_size=10), seed=3)
    (tmp_path / "checkpoints").mkdir()
    found = worker.train(NETWORK)
    seed = worker.settings.training_seed(NETWORK.key)
    expected = train(seeded_network(NETWORK, seed), worker.data, worker.settings.recipe, seed=seed)
    assert (found.top1, found.loss, found.seed) == (expected.top1, expected.loss, seed)
    assert worker.run.checkpoint(NETWORK).is_file()


def test_images_are_normalised_as_a_supernet_was_trained_to_see_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    class Trained:
        def normalize_data(self, data: Data) -> Data:
            return data.with_normalization((10.0,), (20.0,))

    def load(path: Path) -> Trained:
        opened.append(path)
        return Trained()

    monkeypatch.setattr("bneck.evaluate.supernet.checkpoint.load_supernet", load)
    data = DataSettings("digits", train_images=20).load()
    assert normalized_for_evaluator("finetuned-supernet:/a.st,/b.st", data).pixel_mean == (10.0,)
    assert opened == [Path("/a.st")]
    assert normalized_for_evaluator("train", data) is data


@pytest.mark.slow
def test_a_pretrained_baseline_is_fine_tuned_from_its_weights_by_its_own_recipe(tmp_path: Path) -> None:
    if "efficientnet_lite0" not in available_pretrained():
        pytest.skip("extra: bneck[lite]")
    data = DataSettings("digits", train_images=20, validation_images=20)
    worker = worker_of(tmp_path, data=data, recipe=Recipe(epochs=1), seed=3)
    (tmp_path / "checkpoints").mkdir()
    found = worker.baseline("pretrained:efficientnet_lite0@32px")
    assert len(found.accuracy.curve) == load_recipe("fine-tuning").epochs
    assert found.latency.status == "ok" and found.test_images == worker.data.count("test")
    kept = load_checkpoint(worker.run.checkpoint(found.architecture))
    assert (kept.pixel_mean, kept.recipe) == ((127.0,), load_recipe("fine-tuning"))
    drawn = seeded_network(found.architecture.without_fine_tuning, 3).state_dict()["features.conv.weight"]
    own = pretrained_network("efficientnet_lite0").state_dict()["features.conv.weight"]
    trained = kept.weights["features.conv.weight"]
    assert torch.dist(trained, own) < 0.5 * torch.dist(trained, drawn)
