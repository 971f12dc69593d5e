"""How well latency repeats: the paired CPU-time ratio against the usual ways, on a busy machine.

    python tests/benchmarks/latency_repeats.py

Measures the same random networks several times over in shuffled order, while none, two or four
other processes keep the cores busy, and prints how far each estimator varies over the rounds.
"""

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable

import torch

from bneck.evaluate.latency import OnnxRuntimeBackend, Run, paired_ratios, settle
from bneck.search_space import load_space, published
from bneck.search_space.network import build_network

NETWORKS = 6
ROUNDS = 8
BUSY_PROCESSES = (0, 2, 4)
RUNS = 50


def keep_busy() -> None:
    torch.set_num_threads(1)
    a = torch.rand(256, 256)
    while True:
        a = torch.tanh(a @ a)


def times(run: Run, clock: Callable[[], float]) -> list[float]:
    run()
    found = []
    for _ in range(RUNS):
        start = clock()
        run()
        found.append(clock() - start)
    return found


def ratio_of_medians(run: Run, reference: Run) -> float:
    mine, theirs = times(run, time.perf_counter), times(reference, time.perf_counter)
    return statistics.median(mine) / statistics.median(theirs)


ESTIMATORS: dict[str, Callable[[Run, Run], float]] = {
    "median of wall times": lambda run, _: statistics.median(times(run, time.perf_counter)),
    "least wall time": lambda run, _: min(times(run, time.perf_counter)),
    "median of CPU times": lambda run, _: statistics.median(times(run, time.thread_time)),
    "ratio of median wall times": ratio_of_medians,
    "bneck's paired ratio": lambda run, reference: statistics.median(paired_ratios(run, reference)),
}


def main(processes: int) -> None:
    torch.set_num_threads(1)
    backend = OnnxRuntimeBackend()
    space = load_space("mobile-small")
    rng = random.Random(0)
    runs = [backend.prepare(settle(build_network(space.decode(space.sample(rng))))) for _ in range(NETWORKS)]
    reference = backend.prepare(settle(build_network(published("mobilenet_v3_small"))))
    busy = [multiprocessing.Process(target=keep_busy, daemon=True) for _ in range(processes)]
    found: dict[str, list[list[float]]] = {name: [[] for _ in runs] for name in ESTIMATORS}
    for process in busy:
        process.start()
    for _ in range(ROUNDS):
        order = list(range(NETWORKS))
        rng.shuffle(order)
        for number in order:
            for name, estimate in ESTIMATORS.items():
                found[name][number].append(estimate(runs[number], reference))
    for process in busy:
        process.terminate()
    print(f"{NETWORKS} networks x {ROUNDS} rounds, {processes} busy processes; spread (CV) over the rounds")
    for name, values in found.items():
        spreads = sorted(statistics.stdev(each) / statistics.mean(each) for each in values)
        print(f"{name:>28}: median network {statistics.median(spreads):6.1%}, worst {spreads[-1]:6.1%}")


if __name__ == "__main__":
    for processes in BUSY_PROCESSES:
        main(processes)
