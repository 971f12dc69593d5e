"""Clocks and common parts of the backends that run on the CPU of this machine."""

import time
from collections.abc import Callable

from ..device import cpu_device
from ..measurement import MeasurementPlan, Runner

CPU_TIME = "CPU time of the thread"
WALL_TIME = "wall time"

CLOCKS: dict[str, Callable[[], float]] = {CPU_TIME: time.thread_time, WALL_TIME: time.perf_counter}


class CpuBackend:
    """Base class: name, clock, device and measurement plan of a runtime on the CPU.

    Args:
        runtime: name and version of the runtime.
    """

    def __init__(
        self, name: str, runtime: str, threads: int, batch_size: int, *, layout: str = "NCHW"
    ) -> None:
        self.name = name
        self.clock = select_clock(threads)
        self.device = cpu_device(name, runtime, threads=threads, batch_size=batch_size, layout=layout)
        self.plan = MeasurementPlan()


def make_runner(run: Callable[[], object], clock: str) -> Runner:
    """A runner that times a synchronous call.

    Args:
        clock: one of `CLOCKS`.
    """
    read = CLOCKS[clock]

    def runner(count: int) -> float:
        start = read()
        for _ in range(count):
            run()
        return read() - start

    return runner


def select_clock(threads: int) -> str:
    """CPU time for one thread, as other processes affect it least; wall time for several."""
    return CPU_TIME if threads == 1 else WALL_TIME
