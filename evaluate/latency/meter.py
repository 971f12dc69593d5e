"""Measuring many networks on one device, on one scale."""

import time
from dataclasses import replace
from functools import cached_property

import torch
from torch.optim.swa_utils import update_bn

from ...search_space import Architecture, BackendError, BneckError
from ...search_space.network import Network, build_network, example_images
from .backends import LatencyBackend, latency_backend
from .cache import LatencyCache
from .measurement import Latency, ReferenceRunners, Runner, failed_latency, measure
from .reference_panel import Calibration, ReferencePanel, calibrate
from .setup import LatencySetup


class LatencyMeter:
    """A backend with its panel prepared.

    Args:
        calibration: what an earlier meter found, so that all networks are told on one scale.
        cache: where latencies are looked up and kept; None for none.
    """

    def __init__(
        self,
        backend: LatencyBackend,
        panel: ReferencePanel,
        calibration: Calibration | None = None,
        cache: LatencyCache | None = None,
    ) -> None:
        self.backend = backend
        self.panel = panel
        self.cache = cache
        self._calibration = calibration or (cache.calibration() if cache else None)

    @classmethod
    def with_cache(cls, backend: LatencyBackend, panel: ReferencePanel) -> "LatencyMeter":
        """A meter with the cache of its device and panel."""
        return cls(backend, panel, cache=LatencyCache.for_device(backend.device, panel))

    @classmethod
    def from_setup(cls, setup: LatencySetup) -> "LatencyMeter":
        """A meter whose latencies may stand beside those of a setup, with its cache.

        Raises:
            BackendError: the device is another one, or does not work here.
        """
        backend = open_backend(setup)
        return cls(
            backend, setup.panel, setup.calibration, LatencyCache.for_device(setup.device, setup.panel)
        )

    @property
    def setup(self) -> LatencySetup:
        """What its latencies may stand beside.

        Raises:
            BackendError: the device cannot run the panel.
        """
        return LatencySetup(self.backend.name, self.backend.device, self.panel, self.calibration)

    @property
    def is_calibrated(self) -> bool:
        """Whether the panel need not be measured: a calibration was given, or is in the cache."""
        return self._calibration is not None

    @property
    def calibration(self) -> Calibration:
        """The one given, or that of the cache, or one measured now.

        Raises:
            BackendError: the device cannot run the panel.
        """
        return self._calibration or self.calibrate()

    def calibrate(self) -> Calibration:
        """Measure the panel now, for all that is measured from here on.

        Raises:
            BackendError: the device cannot run it.
        """
        self._calibration = calibrate(
            self._runners, self.panel.reference, self.backend.plan, self.backend.clock
        )
        if self.cache is not None:
            self.cache.store_calibration(self._calibration)
        return self._calibration

    def measure(self, architecture: Architecture, *, fresh: bool = False) -> Latency:
        """A network's latency; `failed_latency` where the device cannot run it.

        What comes from the cache has taken no seconds.

        Args:
            fresh: measure even if the cache knows the network.
        Raises:
            BackendError: the device cannot run the panel.
        """
        calibration = self.calibration
        if self.cache is not None and not fresh:
            stored = self.cache.latency(architecture.key, calibration)
            if stored is not None:
                return replace(stored, seconds=0.0)
        references = self.references
        start = time.perf_counter()
        try:
            latency = measure(self._prepare(architecture), references, self.backend.plan)
        except BackendError as error:
            latency = failed_latency(str(error))
        latency = replace(
            latency,
            clock=self.backend.clock,
            device=self.backend.device.key,
            seconds=time.perf_counter() - start,
        )
        if self.cache is not None and latency.status != "failed":
            self.cache.store(architecture.key, latency, calibration)
        return latency

    def measure_or_raise(self, architecture: Architecture) -> Latency:
        """A network's latency.

        Raises:
            BackendError: the device cannot run it.
        """
        latency = self.measure(architecture)
        if latency.status == "failed":
            raise BackendError(latency.error)
        return latency

    @cached_property
    def _runners(self) -> dict[str, Runner]:
        return {name: self._prepare(network) for name, network in self.panel.networks.items()}

    def _prepare(self, architecture: Architecture) -> Runner:
        return self.backend.prepare(build_network_for_timing(architecture))

    @property
    def references(self) -> ReferenceRunners:
        return self.calibration.references(self._runners)


def open_backend(setup: LatencySetup) -> LatencyBackend:
    """The backend of a setup.

    Raises:
        BackendError: the device is another one, or does not work here.
    """
    stored = setup.device
    backend = latency_backend(setup.backend, threads=stored.threads, batch_size=stored.batch_size)
    if backend.device != stored:
        raise BackendError(
            f"latencies of another device are not mixed in: {backend.device.differences(stored)}; "
            "go on there, or begin anew here"
        )
    return backend


def unavailable_reason(setup: LatencySetup) -> str:
    """Why nothing can be measured here that may stand beside a setup's latencies; empty where it can."""
    try:
        open_backend(setup)
    except BneckError as error:
        return str(error)
    return ""


def build_network_for_timing(architecture: Architecture) -> Network:
    """A network with initial weights that are always the same, settled."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return init_batchnorm_statistics(build_network(architecture))


def init_batchnorm_statistics(network: Network) -> Network:
    """Give batch normalisation the statistics of noise images, for a network that is not trained.

    With the initial statistics the numbers shrink from layer to layer, and once they are
    subnormal the processor takes many times longer for each.
    """
    update_bn([example_images(network.architecture, count=4)], network)
    return network.eval()
