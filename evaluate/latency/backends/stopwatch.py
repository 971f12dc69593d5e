"""From something that runs to a runner, by a clock of this process."""

import time
from collections.abc import Callable

from ..measurement import Runner

CPU_TIME = "CPU time of the thread"
PROCESS_TIME = "CPU time of the process"
WALL_TIME = "wall time"

CLOCKS: dict[str, Callable[[], float]] = {
    CPU_TIME: time.thread_time,
    PROCESS_TIME: time.process_time,
    WALL_TIME: time.perf_counter,
}


def make_runner(run: Callable[[], object], clock: str) -> Runner:
    """A runner that times a call which comes back when the device is done.

    Args:
        clock: of `CLOCKS`.
    """
    read = CLOCKS[clock]

    def runner(count: int) -> float:
        start = read()
        for _ in range(count):
            run()
        return read() - start

    return runner


def select_clock(threads: int) -> str:
    """CPU time, which a busy machine moves least, tells latency only where one thread runs."""
    return CPU_TIME if threads == 1 else WALL_TIME
