"""The steps of a worker, in this process, on a made-up device."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate import Accuracy, Device, LatencySetup, Panel
from bneck.evaluate.backends import latency_backend
from bneck.evaluate.meter import LatencyMeter
from bneck.results import LatencyFrom, Run
from bneck.search.worker import Worker
from bneck.search_space import Architecture, BackendError, cost

from ..results.example_run import BASELINE, accuracy
from ..search_space.helpers import TOY
from .helpers import SMALL, every_network, fake_device, fake_settings, give_model

PANEL = Panel("small", {"small": TOY, "large": replace(TOY, resolution_px=64)})
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
    earlier = replace(setup.calibration, unit_ms=7.0, measured="2026-01-02T03:04:05+00:00")
    found = worker_of(tmp_path, latency=replace(setup, calibration=earlier)).measure(NETWORK)
    assert found.ratio == pytest.approx(seconds_of(NETWORK) / seconds_of(TOY), rel=0.03)
    assert found.latency_ms == pytest.approx(7.0 * found.ratio)


def test_what_was_measured_before_is_looked_up_and_measured_afresh_if_that_is_asked(tmp_path: Path) -> None:
    setup = calibrated()
    first = worker_of(tmp_path, latency=setup).measure(NETWORK)
    assert first.seconds > 0
    later = worker_of(tmp_path, latency=setup)
    assert later.measure(NETWORK) == replace(first, seconds=0.0)
    afresh = later.measure_afresh(NETWORK)
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
    here = getattr(Device("fake", "none", "a made-up machine"), field) or "none"
    elsewhere = fake_device(**{field: there})
    with pytest.raises(BackendError) as raised:
        worker_of(tmp_path, latency=elsewhere).measure(NETWORK)
    assert str(raised.value) == (
        f"latencies of another device are not mixed in: {field} {here} here, {there} there; "
        "go on there, or begin anew here"
    )
    with pytest.raises(BackendError):
        worker_of(tmp_path, latency=elsewhere).measure_afresh(NETWORK)


@pytest.mark.parametrize("field", ["threads", "batch"])
def test_threads_and_batch_are_those_of_the_run(tmp_path: Path, field: str) -> None:
    setup = replace(calibrated(), device=fake_device(**{field: 2}).device)
    assert getattr(worker_of(tmp_path, latency=setup).meter.backend.device, field) == 2


@pytest.mark.parametrize(
    ("latency_from", "source"), [("model", "predicted"), ("both", "measured"), ("measurements", "measured")]
)
def test_a_baseline_is_predicted_only_where_the_model_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latency_from: LatencyFrom, source: str
) -> None:
    trained: list[Architecture] = []

    def train(self: Worker, architecture: Architecture) -> Accuracy:
        trained.append(architecture)
        return accuracy(0.9)

    monkeypatch.setattr(Worker, "train", train)
    monkeypatch.setattr(Worker, "judge_on_test_images", lambda self, architecture: (0.8, 0.5, 600))
    worker = worker_of(tmp_path, latency_from=latency_from)
    give_model(worker.run, 0.3)
    found = worker.baseline(BASELINE)
    network = worker.settings.published(BASELINE)
    assert trained == [found.architecture] == [network]
    assert (found.name, found.accuracy, found.test_top1, found.test_images) == (
        BASELINE,
        accuracy(0.9),
        0.8,
        600,
    )
    assert found.latency.source == source
    assert (found.latency.ratio == pytest.approx(0.3)) is (source == "predicted")
