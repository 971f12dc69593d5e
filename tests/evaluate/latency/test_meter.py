"""Latency meters: calibration, cache, failures and setups."""

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bneck.evaluate import LatencySetup, ReferencePanel
from bneck.evaluate.latency import meter as meter_module
from bneck.evaluate.latency.backends import LatencyBackend, latency_backend
from bneck.evaluate.latency.backends.fake import FakeBackend
from bneck.evaluate.latency.cache import LatencyCache
from bneck.evaluate.latency.measurement import Runner
from bneck.evaluate.latency.meter import (
    LatencyMeter,
    build_network_for_timing,
    init_batchnorm_statistics,
    open_backend,
    unavailable_reason,
)
from bneck.search_space import Architecture, BackendError, cost
from bneck.search_space.network import Network, NetworkPart, build_network, example_images

from ...search_space.helpers import TOY
from ..example_setup import CALIBRATION, DEVICE, PANEL, SETUP


def test_an_untrained_network_gets_activations_of_ordinary_size() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(replace(TOY, resolution_px=32))
    images = example_images(network.architecture, count=4)
    last_norm = network.features.get_submodule("norm")
    outputs: list[torch.Tensor] = []
    last_norm.register_forward_hook(lambda module, given, output: outputs.append(output.clone()))
    with torch.inference_mode():
        network.eval()(images)
        settled = init_batchnorm_statistics(network.train())
        assert settled is network
        assert not network.training
        network(images)
    # as initialised, then while settling, then with the statistics of its own images
    assert outputs[0].std() < 0.1
    std, mean = torch.std_mean(outputs[2], (0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(10), rtol=0, atol=0.02)
    torch.testing.assert_close(std, torch.ones(10), rtol=0, atol=0.02)


def test_a_network_made_ready_is_always_the_same_and_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(5)
    first = build_network_for_timing(TOY).state_dict()
    after = torch.rand(3)
    torch.manual_seed(5)
    assert after.equal(torch.rand(3))
    torch.manual_seed(6)
    second = build_network_for_timing(TOY).state_dict()
    assert all(value.equal(second[name]) for name, value in first.items())
    assert not build_network_for_timing(TOY).training


# A meter

NETWORK = replace(TOY, resolution_px=48)


class Recorder(FakeBackend):
    """The simulated device, with the runs of every network counted; it cannot run some networks.

    Args:
        refuses: keys of networks that cannot be prepared.
        breaks: keys of networks that break when they run.
    """

    def __init__(self, refuses: Collection[str] = (), breaks: Collection[str] = ()) -> None:
        super().__init__("fake", threads=1, batch_size=1)
        self.refuses, self.breaks = refuses, breaks
        self.runs: Counter[str] = Counter()

    def prepare(self, network: Network | NetworkPart) -> Runner:
        key = network.architecture.key
        if key in self.refuses:
            raise BackendError("no such operator: HardSwish")
        runner = super().prepare(network)

        def run(count: int) -> float:
            if key in self.breaks:
                raise BackendError("the phone was unplugged")
            self.runs[key] += count
            return runner(count)

        return run


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LatencyCache:
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path / "cache"))
    return LatencyCache.for_device(DEVICE, PANEL)


def seconds_of(architecture: Architecture) -> float:
    """What the simulated device takes: 0.1 ns a MAC and 1 us a layer."""
    known = cost(architecture)
    return known.macs * 1e-10 + known.depth * 1e-6


def test_a_latency_is_relative_to_the_reference_of_the_panel() -> None:
    latency = LatencyMeter(Recorder(), PANEL).measure(NETWORK)
    expected = seconds_of(NETWORK) / seconds_of(PANEL.networks["medium"])
    assert 1.5 < expected < 1.6
    assert latency.ratio == pytest.approx(expected, rel=0.01)
    assert latency.latency_ms == pytest.approx(1000 * seconds_of(NETWORK), rel=0.02)
    assert (latency.status, latency.source, latency.error) == ("ok", "measured", "")
    assert (latency.clock, latency.device) == ("simulated clock", DEVICE.key)


def test_milliseconds_and_ratio_are_on_the_scale_of_the_calibration_given() -> None:
    # as if the reference had taken 8 ms, and each panel network twice as long as in truth against it
    ratios = {name: 2 * seconds_of(each) / seconds_of(PANEL.networks["medium"]) for name, each in panel()}
    latency = LatencyMeter(Recorder(), PANEL, replace(CALIBRATION, ratios=ratios)).measure(NETWORK)
    expected = 2 * seconds_of(NETWORK) / seconds_of(PANEL.networks["medium"])
    assert latency.ratio == pytest.approx(expected, rel=0.01)
    assert latency.latency_ms == pytest.approx(8 * latency.ratio)


def panel() -> Iterator[tuple[str, Architecture]]:
    yield from PANEL.networks.items()


def test_the_seconds_are_all_that_a_network_took_its_preparation_included(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0

    class Slow(Recorder):
        def prepare(self, network: Network | NetworkPart) -> Runner:
            nonlocal now
            now += 2.5
            return super().prepare(network)

    meter = LatencyMeter(Slow(), PANEL)
    meter.calibrate()
    monkeypatch.setattr(meter_module, "time", SimpleNamespace(perf_counter=lambda: now))
    assert meter.measure(NETWORK).seconds == 2.5


def test_batch_norm_is_initialized_before_timing() -> None:
    backend = Recorder()
    seen: list[Network | NetworkPart] = []
    prepare = backend.prepare

    def watched(network: Network | NetworkPart) -> Runner:
        seen.append(network)
        return prepare(network)

    backend.prepare = watched  # type: ignore[method-assign]
    LatencyMeter(backend, PANEL).measure(NETWORK)
    assert {each.architecture for each in seen} == {*PANEL.networks.values(), NETWORK}
    for each in seen:
        assert not each.training
        expected = build_network_for_timing(each.architecture).state_dict()
        assert all(value.equal(expected[name]) for name, value in each.state_dict().items())


def test_the_panel_is_prepared_and_calibrated_once() -> None:
    backend = Recorder()
    meter = LatencyMeter(backend, PANEL)
    assert not meter.is_calibrated
    first = meter.calibration
    runs = backend.runs.copy()
    assert meter.is_calibrated
    assert meter.calibration is first
    assert backend.runs == runs
    assert meter.calibrate() is not first
    assert all(count > runs[key] for key, count in backend.runs.items())


# Its cache


def test_a_network_is_measured_once_and_then_costs_no_time(cache: LatencyCache) -> None:
    backend = Recorder()
    meter = LatencyMeter(backend, PANEL, cache=cache)
    first = meter.measure(NETWORK)
    runs = backend.runs.copy()
    assert first.seconds > 0
    assert meter.measure(NETWORK) == replace(first, seconds=0.0)
    assert backend.runs == runs
    # the time that it once took stays known
    stored = cache.latency(NETWORK.key, meter.calibration)
    assert stored is not None
    assert stored.seconds > 0


def test_the_next_meter_takes_calibration_and_latencies_from_the_cache(cache: LatencyCache) -> None:
    first = LatencyMeter(Recorder(), PANEL, cache=cache)
    latency = first.measure(NETWORK)
    backend = Recorder()
    second = LatencyMeter(backend, PANEL, cache=cache)
    assert second.is_calibrated
    assert second.calibration == first.calibration
    assert second.measure(NETWORK) == replace(latency, seconds=0.0)
    assert not backend.runs


def test_measuring_afresh_leaves_the_fresh_latency_in_the_cache(cache: LatencyCache) -> None:
    backend = Recorder()
    meter = LatencyMeter(backend, PANEL, cache=cache)
    first = meter.measure(NETWORK)
    runs = backend.runs[NETWORK.key]
    fresh = meter.measure(NETWORK, fresh=True)
    assert backend.runs[NETWORK.key] > runs
    assert fresh.seconds > 0
    # runs differ by a hundredth
    assert fresh.ratio != first.ratio
    assert meter.measure(NETWORK) == replace(fresh, seconds=0.0)


def test_without_a_cache_all_is_measured() -> None:
    backend = Recorder()
    meter = LatencyMeter(backend, PANEL)
    meter.measure(NETWORK)
    runs = backend.runs[NETWORK.key]
    assert meter.measure(NETWORK).seconds > 0
    assert backend.runs[NETWORK.key] > runs


def test_where_the_cache_cannot_be_written_all_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path / "a file"))
    backend = Recorder()
    meter = LatencyMeter(backend, PANEL, cache=LatencyCache.for_device(DEVICE, PANEL))
    assert meter.measure(NETWORK).status == "ok"
    runs = backend.runs[NETWORK.key]
    assert meter.measure(NETWORK).status == "ok"
    assert backend.runs[NETWORK.key] > runs


def test_a_new_calibration_invalidates_earlier_latencies(cache: LatencyCache) -> None:
    LatencyMeter(Recorder(), PANEL, CALIBRATION, cache).measure(NETWORK)
    backend = Recorder()
    later = replace(CALIBRATION, measured_at="2026-01-03")
    LatencyMeter(backend, PANEL, later, cache).measure(NETWORK)
    assert backend.runs[NETWORK.key] > 0


def test_the_calibration_given_comes_before_that_of_the_cache(cache: LatencyCache) -> None:
    cache.store_calibration(replace(CALIBRATION, reference_ms=99.0))
    backend = Recorder()
    meter = LatencyMeter(backend, PANEL, CALIBRATION, cache)
    assert meter.is_calibrated
    assert meter.calibration == CALIBRATION
    assert not backend.runs


def test_a_calibration_measured_now_takes_the_place_of_the_known_one(cache: LatencyCache) -> None:
    cache.store_calibration(CALIBRATION)
    meter = LatencyMeter(Recorder(), PANEL, cache=cache)
    assert meter.calibration == CALIBRATION
    result = meter.calibrate()
    assert result != CALIBRATION
    assert meter.calibration == result == cache.calibration()


def test_the_same_reference_by_another_name_can_be_measured_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # mobilenet_v2@0.5 and mobilenet_v2@0.50, both of which `published_architecture` knows
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path))
    for reference in ("v2@0.5", "v2@0.50"):
        named = ReferencePanel(reference, {"small": TOY, reference: PANEL.networks["medium"]})
        meter = LatencyMeter(Recorder(), named, cache=LatencyCache.for_device(DEVICE, named))
        meter.measure(NETWORK, fresh=True)


# Networks that a device cannot run


@pytest.mark.parametrize(
    ("backend", "error"),
    [
        (Recorder(refuses={NETWORK.key}), "no such operator: HardSwish"),
        (Recorder(breaks={NETWORK.key}), "the phone was unplugged"),
    ],
    ids=["refused", "broken off"],
)
def test_a_network_that_the_device_cannot_run_has_failed_and_is_tried_again(
    backend: Recorder, error: str, cache: LatencyCache
) -> None:
    meter = LatencyMeter(backend, PANEL, cache=cache)
    result = meter.measure(NETWORK)
    assert (result.status, result.error) == ("failed", error)
    assert math.isnan(result.ratio)
    assert (result.clock, result.device) == ("simulated clock", DEVICE.key)
    assert result.seconds > 0
    with pytest.raises(BackendError, match=f"^{error}$"):
        meter.measure_or_raise(NETWORK)
    assert cache.latency(NETWORK.key, meter.calibration) is None
    # another network can be measured, and once the device works again this one too
    assert meter.measure_or_raise(TOY).status == "ok"
    backend.refuses = backend.breaks = ()
    assert meter.measure_or_raise(NETWORK).status == "ok"


def test_unexpected_exceptions_are_not_failed_latencies() -> None:
    class Wrong(Recorder):
        def prepare(self, network: Network | NetworkPart) -> Runner:
            if network.architecture == NETWORK:
                raise ZeroDivisionError
            return super().prepare(network)

    with pytest.raises(ZeroDivisionError):
        LatencyMeter(Wrong(), PANEL).measure(NETWORK)


def test_a_device_that_cannot_run_its_panel_measures_nothing(cache: LatencyCache) -> None:
    meter = LatencyMeter(Recorder(refuses={TOY.key}), PANEL, cache=cache)
    with pytest.raises(BackendError, match="no such operator: HardSwish"):
        meter.measure(NETWORK)
    with pytest.raises(BackendError, match="no such operator: HardSwish"):
        meter.calibrate()
    assert not meter.is_calibrated
    assert cache.calibration() is None


# Setups


def test_the_setup_of_a_meter_makes_a_meter_on_the_same_scale(cache: LatencyCache) -> None:
    first = LatencyMeter(latency_backend("fake"), PANEL, cache=cache)
    setup = first.setup
    assert setup == LatencySetup("fake", DEVICE, PANEL, first.calibration)
    latency = first.measure(NETWORK)
    # whoever calibrates the device anew meanwhile does not change the scale
    cache.store_calibration(CALIBRATION)
    second = LatencyMeter.from_setup(setup)
    assert second.is_calibrated
    assert second.calibration == setup.calibration
    assert second.setup == setup
    # it knows what the first one measured, and measures the same
    assert second.measure(NETWORK) == replace(latency, seconds=0.0)
    assert second.measure(NETWORK, fresh=True).ratio == pytest.approx(latency.ratio, rel=0.01)


def test_a_setup_stores_the_name_that_was_requested() -> None:
    meter = LatencyMeter(latency_backend("command:run {onnx}"), PANEL, CALIBRATION)
    assert meter.setup.backend == "command:run {onnx}"


def test_the_backend_of_a_setup_has_its_threads_and_batch() -> None:
    device = replace(DEVICE, threads=3, batch_size=5)
    assert open_backend(replace(SETUP, device=device)).device == device


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        ({"runtime": "none 2"}, "runtime: none 2 != none"),
        (
            {"processor": "Xeon", "features": "avx2"},
            "processor: Xeon != simulated; features: avx2 != none",
        ),
    ],
)
def test_a_setup_of_another_device_is_refused_with_the_differences(
    change: dict[str, Any], differences: str
) -> None:
    setup = replace(SETUP, device=replace(DEVICE, **change))
    for refused in (open_backend, LatencyMeter.from_setup):
        with pytest.raises(BackendError) as refusal:
            refused(setup)
        assert f"({differences})" in str(refusal.value)
        assert unavailable_reason(setup) == str(refusal.value)


def test_an_available_setup_has_no_reason_against_it() -> None:
    assert unavailable_reason(SETUP) == ""


def test_a_runtime_that_is_not_installed_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, **settings: int) -> LatencyBackend:
        raise BackendError("fake is not installed")

    monkeypatch.setattr(meter_module, "latency_backend", missing)
    assert unavailable_reason(SETUP) == "fake is not installed"


def test_a_backend_that_this_bneck_does_not_know_is_a_reason() -> None:
    # a model or a run of a newer one
    assert "tvm" in unavailable_reason(replace(SETUP, backend="tvm"))
