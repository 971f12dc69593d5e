"""A simulated device with its own clock, for tests."""

import math
import random
from typing import TYPE_CHECKING

from ....search_space import cost, cost_breakdown
from ..device import Device
from ..measurement import MeasurementPlan, Runner

if TYPE_CHECKING:
    from ....search_space.network import Network, NetworkPart


class FakeMachine:
    """A machine with known run times and configurable noise.

    Args:
        jitter: relative standard deviation of every run.
        drift: relative amplitude of a periodic slowdown of the whole machine.
        drift_seconds: period of the drift.
        spikes: fraction of runs with a short interruption, 0.1 ms on average.
        preemption: fraction of runs interrupted by another process, 4 ms on average.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        jitter: float = 0.01,
        drift: float = 0.0,
        drift_seconds: float = 2.0,
        spikes: float = 0.0,
        preemption: float = 0.0,
    ) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.phase = self.rng.random()
        self.jitter, self.drift, self.drift_seconds = jitter, drift, drift_seconds
        self.spikes, self.preemption = spikes, preemption

    def clock(self) -> float:
        """Simulated seconds."""
        return self.now

    def runner(self, seconds: float) -> Runner:
        """A network with this run time in the absence of noise."""

        def run(count: int) -> float:
            start = self.now
            for _ in range(count):
                self.now += self._run_seconds(seconds)
            return self.now - start

        return run

    def _run_seconds(self, seconds: float) -> float:
        wave = math.sin(math.pi * (self.now / self.drift_seconds + self.phase))
        duration = seconds * (1 + self.drift * wave * wave) * math.exp(self.rng.gauss(0, self.jitter))
        if self.rng.random() < self.spikes:
            duration += self.rng.expovariate(1 / 0.0001)
        if self.rng.random() < self.preemption:
            duration += self.rng.expovariate(1 / 0.004)
        return duration


class FakeBackend:
    """A machine with 1% jitter that takes 0.1 ns per MAC and 1 µs per layer."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name = name
        self.clock = "simulated clock"
        self.device = Device(name, "none", "simulated", threads=threads, batch_size=batch_size)
        self.plan = MeasurementPlan()
        self.machine = FakeMachine()

    def prepare(self, network: "Network | NetworkPart") -> Runner:
        parts = cost_breakdown(network.architecture)
        name = getattr(network, "name", None)
        network_cost = parts[name] if name else cost(network.architecture)
        seconds = self.device.batch_size * network_cost.macs * 1e-10 + network_cost.depth * 1e-6
        return self.machine.runner(seconds / self.device.threads)


backend = FakeBackend
