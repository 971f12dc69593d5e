"""Where a network's time goes: its stem, blocks and head measured alone, scaled to the whole network."""

from collections.abc import Callable
from dataclasses import dataclass

from ...search_space import Architecture, BackendError, cost_breakdown
from ...search_space.network import NetworkPart
from .measurement import Latency, measure
from .meter import LatencyMeter, build_network_for_timing


@dataclass(frozen=True)
class PartLatency:
    """One part of a network.

    Attributes:
        name: as `cost_breakdown` names it.
        isolated: the part measured on its own.
        fraction: of all parts' time.
        latency_ms: its share of the whole network's milliseconds.
    """

    name: str
    isolated: Latency
    fraction: float
    latency_ms: float


@dataclass(frozen=True)
class LayerwiseLatency:
    """All parts of a network.

    Parts alone do not add up to the network: between them, runtimes reorder memory, and caches are
    warm or cold. So they tell shares, and the sum must not be taken for a latency.
    """

    end_to_end: Latency
    parts: tuple[PartLatency, ...]

    @property
    def isolated_sum_ratio(self) -> float:
        """What the parts alone add up to, over the whole network's time."""
        return sum(part.isolated.ratio for part in self.parts) / self.end_to_end.ratio


def measure_layerwise(
    meter: LatencyMeter, architecture: Architecture, progress: Callable[[int, int], None]
) -> LayerwiseLatency:
    """Measure the parts of a network, and the network.

    Args:
        progress: called with the number of parts done and their total.
    Raises:
        BackendError: the device cannot run them.
    """
    end_to_end = meter.measure(architecture)
    if end_to_end.status == "failed":
        raise BackendError(end_to_end.error)
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
