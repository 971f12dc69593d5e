"""Measurement of many networks on one device, relative to one reference panel."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import overload

import torch
from torch.optim.swa_utils import update_bn

from ...search_space import Architecture, BackendError, BneckError, TrustError
from ...search_space.network import Network, build_network, example_images
from .backends import LatencyBackend, latency_backend
from .cache import LatencyCache
from .measurement import Latency, ReferenceRunners, Runner, failed_latency, measure
from .reference_panel import Calibration, ReferencePanel, build_reference_panel, calibrate
from .setup import LatencySetup


class LatencyMeter:
    """A latency backend with a prepared reference panel.

    Args:
        calibration: calibration of an earlier meter, so that both measure on one scale.
        cache: cache of latencies and calibration; None for no cache.
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
    def open(
        cls,
        backend: str = "onnxruntime",
        *,
        like: Architecture,
        threads: int = 1,
        batch_size: int = 1,
        reference_model: str = "mobilenet_v3_small",
    ) -> "LatencyMeter":
        """A meter with its disk cache, by names.

        Args:
            backend: as for `latency_backend`.
            like: the panel gets the resolution, image channels and classes of this network, the reference
                model its channels and classes.
            reference_model: published network whose latency is 1x, at its own resolution or at another:
                `mobilenet_v3_small@64px`.
        Raises:
            BackendError: the backend does not work here.
            UnknownNameError: no such backend or reference.
        """

        def adapt(network: Architecture) -> Architecture:
            return replace(
                network,
                resolution_px=like.resolution_px,
                image_channels=like.image_channels,
                classes=like.classes,
            )

        panel = build_reference_panel(reference_model, adapt)
        return cls.with_cache(latency_backend(backend, threads=threads, batch_size=batch_size), panel)

    @classmethod
    def with_cache(cls, backend: LatencyBackend, panel: ReferencePanel) -> "LatencyMeter":
        """A meter with the disk cache of its device and panel."""
        return cls(backend, panel, cache=LatencyCache.for_device(backend.device, panel))

    @classmethod
    def from_setup(cls, setup: LatencySetup) -> "LatencyMeter":
        """A meter, with its disk cache, whose latencies are comparable with those of a setup.

        Raises:
            BackendError: this is another device, or the backend does not work here.
        """
        cache = LatencyCache.for_device(setup.device, setup.panel)
        return cls(open_backend(setup), setup.panel, setup.calibration, cache)

    @property
    def setup(self) -> LatencySetup:
        """Device, panel and calibration of this meter; calibrates if necessary.

        Raises:
            BackendError: the backend cannot run the panel.
        """
        return LatencySetup(self.backend.name, self.backend.device, self.panel, self.calibration)

    @property
    def is_calibrated(self) -> bool:
        """Whether a calibration was given, cached or measured already."""
        return self._calibration is not None

    @property
    def calibration(self) -> Calibration:
        """The calibration given, cached or measured already; measured now if there is none.

        Raises:
            BackendError: the backend cannot run the panel.
        """
        return self._calibration or self.calibrate()

    def calibrate(self) -> Calibration:
        """Measure the panel now and use the result for all later measurements.

        Raises:
            BackendError: the backend cannot run the panel.
        """
        self._calibration = calibrate(
            self._runners, self.panel.reference, self.backend.plan, self.backend.clock
        )
        if self.cache is not None:
            self.cache.store_calibration(self._calibration)
        return self._calibration

    def measure(self, architecture: Architecture, *, fresh: bool = False) -> Latency:
        """Latency of a network; its status is `failed` if the backend cannot run it.

        A cached latency has `seconds=0`.

        Args:
            fresh: measure even if the latency is cached.
        Raises:
            BackendError: the backend cannot run the panel.
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

    def is_cached(self, architecture: Architecture) -> bool:
        """Whether the disk cache has the latency of a network under this calibration."""
        if self.cache is None or self._calibration is None:
            return False
        return self.cache.latency(architecture.key, self._calibration) is not None

    def measure_or_raise(self, architecture: Architecture) -> Latency:
        """Latency of a network.

        Raises:
            BackendError: the backend cannot run it.
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
        """The prepared panel with its calibrated latencies."""
        return self.calibration.references(self._runners)


@overload
def measure_latency(
    networks: Architecture,
    *,
    latency_backend: str = ...,
    latency_threads: int = ...,
    batch_size: int = ...,
    reference_model: str = ...,
    fresh: bool = ...,
) -> Latency: ...


@overload
def measure_latency(
    networks: Sequence[Architecture],
    *,
    latency_backend: str = ...,
    latency_threads: int = ...,
    batch_size: int = ...,
    reference_model: str = ...,
    fresh: bool = ...,
) -> list[Latency]: ...


def measure_latency(
    networks: Architecture | Sequence[Architecture],
    *,
    latency_backend: str = "onnxruntime",
    latency_threads: int = 1,
    batch_size: int = 1,
    reference_model: str = "mobilenet_v3_small",
    fresh: bool = False,
) -> Latency | list[Latency]:
    """Measure the inference latency of one or several networks with random weights.

    Latency is measured as a ratio to a reference network, in turns with it, and takes about a second per
    network. Results are cached on disk per device (`$BNECK_CACHE`). The first call on a device calibrates
    the references.

    Args:
        networks: one architecture, or a sequence of architectures for the same images and classes.
        latency_backend: `onnxruntime`, `torch`, `torch-compile`, `torch-cuda`, `torch-cuda-graph`,
            `openvino`, `executorch`, `ncnn`, `command:TEMPLATE`, `module:attribute` of a backend factory, or
            a name in the entry-point group `bneck.latency_backends`.
        latency_threads: threads that run a network.
        batch_size: images per run.
        reference_model: published network whose latency is 1x, at its own resolution or at another:
            `mobilenet_v3_small@64px`. It gets the image channels and classes of the first network.
        fresh: measure even if the latency is cached.
    Returns:
        One `Latency`, or a list with one per network. Its status is `failed` for a network that the backend
        cannot run.
    Raises:
        BackendError: the backend is not installed, does not work here, or cannot run the references.
        UnknownNameError: no such backend or reference.

    Example:
        >>> from bneck.evaluate import measure_latency
        >>> from bneck.search_space import published_architecture
        >>> small = published_architecture("mobilenet_v3_small")
        >>> large = published_architecture("mobilenet_v3_large")
        >>> latency = measure_latency(large, latency_backend="fake")  # "onnxruntime", "torch", ...
        >>> latency.status, round(latency.ratio), latency.ratio_low < latency.ratio < latency.ratio_high
        ('ok', 4, True)
        >>> [round(each.ratio) for each in measure_latency([small, large], latency_backend="fake")]
        [1, 4]
    """
    architectures = [networks] if isinstance(networks, Architecture) else list(networks)
    if not architectures:
        return []
    meter = LatencyMeter.open(
        latency_backend,
        like=architectures[0],
        threads=latency_threads,
        batch_size=batch_size,
        reference_model=reference_model,
    )
    if fresh:
        meter.calibrate()
    latencies = [meter.measure(each, fresh=fresh) for each in architectures]
    return latencies[0] if isinstance(networks, Architecture) else latencies


def open_backend(setup: LatencySetup) -> LatencyBackend:
    """The backend of a setup.

    Raises:
        BackendError: this is another device, or the backend does not work here.
    """
    stored = setup.device
    backend = latency_backend(setup.backend, threads=stored.threads, batch_size=stored.batch_size)
    if backend.device != stored:
        raise BackendError(
            f"latencies were measured on another device ({stored.differences(backend.device)}); "
            "resume there or start a new run here"
        )
    return backend


def unavailable_reason(setup: LatencySetup) -> str:
    """Why nothing comparable with a setup's latencies can be measured here; empty if it can.

    Raises:
        TrustError: only a file names the backend.
    """
    try:
        open_backend(setup)
    except TrustError:
        raise
    except BneckError as error:
        return str(error)
    return ""


def build_network_for_timing(architecture: Architecture) -> Network:
    """A network with fixed initial weights and calibrated batch-norm statistics, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return init_batchnorm_statistics(build_network(architecture))


def init_batchnorm_statistics(network: Network) -> Network:
    """Set the batch-norm statistics of an untrained network to those of noise images.

    With the initial statistics, activations shrink from layer to layer until they are subnormal, which
    processors compute many times more slowly.
    """
    update_bn([example_images(network.architecture, count=4)], network)
    return network.eval()
