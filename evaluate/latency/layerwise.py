"""Where a network's time goes: its stem, blocks and head measured alone, scaled to the whole network."""

from collections.abc import Callable
from dataclasses import dataclass

from ...search_space import Architecture, BackendError, cost_by_part
from ...search_space.network import Part
from .measurement import Latency, measure
from .meter import LatencyMeter, ready_network


@dataclass(frozen=True)
class PartLatency:
    """One part of a network.

    Attributes:
        name: as `cost_by_part` names it.
        alone: the part measured on its own.
        share: of all parts' time.
        latency_ms: its share of the whole network's milliseconds.
    """

    name: str
    alone: Latency
    share: float
    latency_ms: float


@dataclass(frozen=True)
class PartTable:
    """All parts of a network.

    Parts alone do not add up to the network: between them, runtimes reorder memory, and caches are
    warm or cold. So they tell shares, and the sum must not be taken for a latency.
    """

    whole: Latency
    parts: tuple[PartLatency, ...]

    @property
    def alone_over_whole(self) -> float:
        """What the parts alone add up to, over the whole network's time."""
        return sum(part.alone.ratio for part in self.parts) / self.whole.ratio


def measure_parts(
    meter: LatencyMeter, architecture: Architecture, progress: Callable[[int, int], None]
) -> PartTable:
    """Measure the parts of a network, and the network.

    Args:
        progress: called with the number of parts done and their total.
    Raises:
        BackendError: the device cannot run them.
    """
    whole = meter.measure(architecture)
    if whole.status == "failed":
        raise BackendError(whole.error)
    network = ready_network(architecture)
    names = list(cost_by_part(architecture))
    alone: dict[str, Latency] = {}
    for name in names:
        progress(len(alone), len(names))
        alone[name] = measure(
            meter.backend.prepare(Part(network, name)), meter.references, meter.backend.plan
        )
    progress(len(alone), len(names))
    total = sum(latency.ratio for latency in alone.values())
    return PartTable(
        whole,
        tuple(
            PartLatency(name, latency, latency.ratio / total, whole.latency_ms * latency.ratio / total)
            for name, latency in alone.items()
        ),
    )
