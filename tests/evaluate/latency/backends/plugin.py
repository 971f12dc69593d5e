"""A latency backend as a third party would write it."""

from bneck.evaluate.latency.backends.fake import FakeMachine
from bneck.evaluate.latency.device import Device
from bneck.evaluate.latency.measurement import MeasurementPlan, Runner
from bneck.search_space import cost
from bneck.search_space.network import Network, NetworkPart


class Simulator:
    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name, self.clock, self.plan = name, "cycles", MeasurementPlan()
        self.device = Device("simulator", "simulator 1.0", "npu", threads=threads, batch_size=batch_size)
        self.machine = FakeMachine()

    def prepare(self, network: Network | NetworkPart) -> Runner:
        macs = cost(network.architecture).macs
        return self.machine.runner(macs * self.device.batch_size / self.device.threads * 1e-9)


def renamed(name: str, threads: int, batch_size: int) -> Simulator:
    return Simulator("simulator", threads, batch_size)


def incomplete(name: str, threads: int, batch_size: int) -> object:
    return object()


not_callable = 3
