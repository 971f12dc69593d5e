"""How well latency repeats: the paired CPU-time ratio against the usual ways, on a busy machine.

    python tests/benchmarks/latency_repeats.py

Measures the same random networks several times over in shuffled order, while other processes keep
both cores busy, and prints the coefficient of variation of each estimator over the rounds.
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

NETWORKS = 8
ROUNDS = 8
BUSY_PROCESSES = 2
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


ESTIMATORS: dict[str, Callable[[Run, Run], float]] = {
    "median wall time": lambda run, _: statistics.median(times(run, time.perf_counter)),
    "least wall time": lambda run, _: min(times(run, time.perf_counter)),
    "median CPU time": lambda run, _: statistics.median(times(run, time.thread_time)),
    "paired CPU-time ratio": lambda run, reference: statistics.median(paired_ratios(run, reference)),
}


def main() -> None:
    torch.set_num_threads(1)
    backend = OnnxRuntimeBackend()
    space = load_space("mobile-small")
    rng = random.Random(0)
    runs = [backend.prepare(settle(build_network(space.decode(space.sample(rng))))) for _ in range(NETWORKS)]
    reference = backend.prepare(settle(build_network(published("mobilenet_v3_small"))))
    busy = [multiprocessing.Process(target=keep_busy, daemon=True) for _ in range(BUSY_PROCESSES)]
    for process in busy:
        process.start()
    found: dict[str, list[list[float]]] = {name: [[] for _ in runs] for name in ESTIMATORS}
    for _ in range(ROUNDS):
        order = list(range(NETWORKS))
        rng.shuffle(order)
        for number in order:
            for name, estimate in ESTIMATORS.items():
                found[name][number].append(estimate(runs[number], reference))
    for process in busy:
        process.terminate()
    print(
        f"{NETWORKS} networks x {ROUNDS} rounds, {BUSY_PROCESSES} busy processes; spread (CV) over the rounds"
    )
    for name, values in found.items():
        spreads = sorted(statistics.stdev(each) / statistics.mean(each) for each in values)
        print(f"{name:>24}: median network {statistics.median(spreads):6.1%}, worst {spreads[-1]:6.1%}")


if __name__ == "__main__":
    main()
