"""A made-up device whose clock only its runs move: it proves the statistics, and tries out the rest."""

import math
import random
from typing import TYPE_CHECKING

from ....search_space import cost, cost_breakdown
from ..device import Device
from ..measurement import MeasurementPlan, Runner

if TYPE_CHECKING:
    from ....search_space.network import Network, NetworkPart


class FakeMachine:
    """Runners of known seconds on a machine that misbehaves as it is told.

    Args:
        jitter: standard deviation of every run, as a share.
        drift: by how much the whole machine slows down and recovers, as a share...
        drift_seconds: ... in a period of so long.
        spikes: the share of runs that are interrupted shortly, by a tenth of a millisecond on average.
        preemption: the share of runs during which another process has the core, for 4 ms on average.
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
        """Seconds since the machine was made."""
        return self.now

    def runner(self, seconds: float) -> Runner:
        """A network that takes so long on the quiet machine."""

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
    """A quiet machine that does a MAC in a tenth of a nanosecond and begins a layer in a microsecond."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name = name
        self.clock = "a made-up clock"
        self.device = Device(name, "none", "a made-up machine", threads=threads, batch_size=batch_size)
        self.plan = MeasurementPlan()
        self.machine = FakeMachine()

    def prepare(self, network: "Network | NetworkPart") -> Runner:
        parts = cost_breakdown(network.architecture)
        name = getattr(network, "name", None)
        network_cost = parts[name] if name else cost(network.architecture)
        seconds = self.device.batch_size * network_cost.macs * 1e-10 + network_cost.depth * 1e-6
        return self.machine.runner(seconds / self.device.threads)


backend = FakeBackend
