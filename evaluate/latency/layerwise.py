"""Latency by layer: stem, blocks and head measured alone and scaled to the whole network."""

from collections.abc import Callable
from dataclasses import dataclass

from ...search_space import Architecture, cost_breakdown
from ...search_space.network import NetworkPart
from .measurement import Latency, measure
from .meter import LatencyMeter, build_network_for_timing


@dataclass(frozen=True)
class PartLatency:
    """Latency of the stem, one block or the head.

    Attributes:
        name: as in `cost_breakdown`.
        isolated: latency of the part measured alone.
        fraction: share of the sum of all isolated latencies.
        latency_ms: `fraction` of the end-to-end milliseconds.
    """

    name: str
    isolated: Latency
    fraction: float
    latency_ms: float


@dataclass(frozen=True)
class LayerwiseLatency:
    """End-to-end latency of a network and its division among the parts.

    The isolated latencies do not add up to the end-to-end latency: between parts, runtimes reorder memory,
    and caches are in another state. Only their proportions are used.
    """

    end_to_end: Latency
    parts: tuple[PartLatency, ...]

    @property
    def isolated_sum_ratio(self) -> float:
        """Sum of the isolated latencies divided by the end-to-end latency."""
        return sum(part.isolated.ratio for part in self.parts) / self.end_to_end.ratio


def measure_layerwise(
    meter: LatencyMeter, architecture: Architecture, progress: Callable[[int, int], None]
) -> LayerwiseLatency:
    """Measure a network end to end and each of its parts alone.

    Args:
        progress: called with the number of finished parts and their total.
    Raises:
        BackendError: the backend cannot run the network or a part.
    """
    end_to_end = meter.measure_or_raise(architecture)
    network = build_network_for_timing(architecture)
    names = list(cost_breakdown(architecture))
    isolated: dict[str, Latency] = {}
    for name in names:
        progress(len(isolated), len(names))
        isolated[name] = measure(
            meter.backend.prepare(NetworkPart(network, name)), meter.references, meter.backend.plan
        )
    progress(len(isolated), len(names))
    total = sum(latency.ratio for latency in isolated.values())
    return LayerwiseLatency(
        end_to_end,
        tuple(
            PartLatency(name, latency, latency.ratio / total, end_to_end.latency_ms * latency.ratio / total)
            for name, latency in isolated.items()
        ),
    )
