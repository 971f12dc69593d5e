"""Contract of latency backends: `bneck.evaluate.latency.backends.LatencyBackend`."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from bneck.evaluate.latency.backends import LatencyBackend, latency_backend
from bneck.evaluate.latency.measurement import MeasurementPlan, ReferenceRunners, Runner, measure
from bneck.evaluate.latency.meter import build_network_for_timing
from bneck.search_space import Architecture, BackendError, Block, Head, Stem
from bneck.search_space.network import NetworkPart

BackendMaker = Callable[..., LatencyBackend]


def equal_blocks(count: int, resolution_px: int = 48) -> Architecture:
    """Equal blocks, and a stem and a head whose latency is negligible."""
    block = Block(3, 72, 24, "se", "hardswish", 1, squeeze=8)
    return Architecture(resolution_px, Stem(24), (block,) * count, Head(32), classes=2)


class LatencyBackendContract:
    """Tests that every latency backend must pass; override the fixture `backend_name`.

    Attributes:
        small_batch, large_batch: batch sizes whose latencies must differ by more than half.
        large_px: resolution whose latency must differ from that of 48 px by more than half.
    """

    small_batch, large_batch, large_px = 1, 4, 112

    @pytest.fixture
    def backend_name(self) -> str:
        """The backend's name: registered in `bneck.latency_backends`, or `module:attribute`."""
        raise NotImplementedError("override the fixture backend_name")

    @pytest.fixture
    def make_backend(self, backend_name: str) -> BackendMaker:
        """Creates the backend, with `threads` and `batch_size` as keywords."""
        return lambda **settings: latency_backend(backend_name, **settings)

    @pytest.fixture(autouse=True)
    def _restore_threads(self) -> Iterator[None]:
        threads = torch.get_num_threads()
        yield
        torch.set_num_threads(threads)

    def test_deeper_networks_larger_images_and_larger_batches_take_longer(
        self, make_backend: BackendMaker
    ) -> None:
        prepare = make_backend(batch_size=self.small_batch).prepare
        network = prepare(build_network_for_timing(equal_blocks(2)))
        assert _ratio_low(prepare(build_network_for_timing(equal_blocks(6))), network) > 1.3
        larger = prepare(build_network_for_timing(equal_blocks(2, self.large_px)))
        assert _ratio_low(larger, network) > 1.5
        batch = make_backend(batch_size=self.large_batch).prepare(build_network_for_timing(equal_blocks(2)))
        assert _ratio_low(batch, network) > 1.5

    def test_a_runner_returns_the_seconds_of_all_its_runs(self, make_backend: BackendMaker) -> None:
        part = NetworkPart(build_network_for_timing(equal_blocks(2)), "block 1").eval()
        run = make_backend().prepare(part)
        run(1)
        one = min(run(1) for _ in range(20))
        assert 0 < 5 * one < run(20)

    def test_the_device_is_reproducible_and_records_the_batch_size(
        self, make_backend: BackendMaker, backend_name: str
    ) -> None:
        backend, again = make_backend(), make_backend()
        assert (backend.name, backend.device, backend.clock) == (backend_name, again.device, again.clock)
        assert isinstance(backend.plan, MeasurementPlan)
        assert (backend.device.threads, backend.device.batch_size) == (1, 1)
        batch = make_backend(batch_size=4).device
        assert batch == replace(backend.device, batch_size=4)
        assert batch.key != backend.device.key

    def test_the_device_records_the_threads_or_they_are_refused(self, make_backend: BackendMaker) -> None:
        try:
            device = make_backend(threads=2).device
        except BackendError as error:
            assert "threads" in str(error)
        else:
            assert device == replace(make_backend().device, threads=2)


def _ratio_low(slow: Runner, fast: Runner) -> float:
    """Lower 95% bound of the ratio of two run times."""
    plan = MeasurementPlan(max_abba_blocks=6, max_timings=4)
    return measure(slow, ReferenceRunners([fast], [1.0], reference_ms=1), plan).ratio_low
