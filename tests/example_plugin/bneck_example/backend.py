"""A latency backend: a device whose latency follows from the number of MACs."""

from typing import TYPE_CHECKING

from bneck.evaluate.latency.device import Device
from bneck.evaluate.latency.measurement import MeasurementPlan, Runner
from bneck.search_space import cost

if TYPE_CHECKING:
    from bneck.search_space.network import Network, NetworkPart


class MacsBackend:
    """A nanosecond per MAC, on a clock of its own."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name = name
        self.clock = "simulated time"
        self.device = Device(name, "simulation", "example device", threads=threads, batch_size=batch_size)
        self.plan = MeasurementPlan()

    def prepare(self, network: "Network | NetworkPart") -> Runner:
        """A runner that takes a nanosecond per MAC and image."""
        seconds = 1e-9 * cost(network.architecture).macs * self.device.batch_size
        return lambda count: count * seconds


backend = MacsBackend
