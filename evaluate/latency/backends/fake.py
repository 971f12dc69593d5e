"""A made-up device whose clock only its runs move: it proves the statistics, and tries out the rest."""

import math
import random
from typing import TYPE_CHECKING

from ....search_space import cost, cost_by_part
from ..device import Device
from ..measurement import Plan, Runner

if TYPE_CHECKING:
    from ....search_space.network import Network, Part


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
            began = self.now
            for _ in range(count):
                self.now += self._one(seconds)
            return self.now - began

        return run

    def _one(self, seconds: float) -> float:
        wave = math.sin(math.pi * (self.now / self.drift_seconds + self.phase))
        taken = seconds * (1 + self.drift * wave * wave) * math.exp(self.rng.gauss(0, self.jitter))
        if self.rng.random() < self.spikes:
            taken += self.rng.expovariate(1 / 0.0001)
        if self.rng.random() < self.preemption:
            taken += self.rng.expovariate(1 / 0.004)
        return taken


class FakeBackend:
    """A quiet machine that does a MAC in a tenth of a nanosecond and begins a layer in a microsecond."""

    def __init__(self, name: str, threads: int, batch: int) -> None:
        self.name = name
        self.clock = "a made-up clock"
        self.device = Device(name, "none", "a made-up machine", threads=threads, batch=batch)
        self.plan = Plan()
        self.machine = FakeMachine()

    def prepare(self, network: "Network | Part") -> Runner:
        parts = cost_by_part(network.architecture)
        name = getattr(network, "name", None)
        known = parts[name] if name else cost(network.architecture)
        seconds = self.device.batch * known.macs * 1e-10 + known.depth * 1e-6
        return self.machine.runner(seconds / self.device.threads)


backend = FakeBackend
