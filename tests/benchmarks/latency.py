"""Reproducibility of measured and predicted latencies on this machine.

    python -m tests.benchmarks.latency [--space mobile-small] [--json] [--earlier FILE]

Random networks of a space are measured in four processes, two of them at the same time; some networks
are measured repeatedly while other processes occupy all cores; a latency predictor is fitted to 30 and
to 100 networks and tested on 60 others; and the networks that a search would accept under a limit are
measured once more. `--earlier` compares with the JSON of an earlier run.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from bneck.evaluate import Calibration, Latency, ReferencePanel, build_reference_panel, usable_cores
from bneck.evaluate.latency.backends import latency_backend
from bneck.evaluate.latency.meter import LatencyMeter, build_network_for_timing
from bneck.evaluate.latency.predictor import LatencyPredictor
from bneck.evaluate.latency.verification import verify_latencies
from bneck.search.jobs.latency_predictor import NO_LIMITS
from bneck.search.samplers.initial_design import stratified
from bneck.search_space import Architecture, cost, load_space, published_architecture

TESTED, FITTED, SPLITS = 60, 100, 20
SELF_NETWORKS = (
    "mobilenet_v3_small@0.75",
    "mobilenet_v3_small",
    "mobilenet_v2@0.5",
    "mobilenet_v3_large@0.75",
)
SELF_TIMES = 10
SAME_NETWORKS, SAME_ROUNDS = 6, 6
THREE_MS, COST_TIMES = "mobilenet_v3_large", 6
USUAL_RUNS = 50


def meter_of(panel: ReferencePanel, calibration: Calibration | None = None) -> LatencyMeter:
    torch.set_num_threads(1)
    return LatencyMeter(latency_backend("onnxruntime"), panel, calibration)


def measure_all(
    panel: ReferencePanel, calibration: Calibration, networks: Sequence[Architecture]
) -> list[Latency]:
    meter = meter_of(panel, calibration)
    return [meter.measure(network) for network in networks]


def usual_seconds(meter: LatencyMeter, network: Architecture) -> float:
    """The usual estimator: median of wall times."""
    runner = meter.backend.prepare(build_network_for_timing(network))
    runner(3)
    times = []
    for _ in range(USUAL_RUNS):
        start_time = time.perf_counter()
        runner(1)
        times.append(time.perf_counter() - start_time)
    return statistics.median(times)


def keep_busy() -> None:
    torch.set_num_threads(1)
    a = torch.rand(256, 256)
    while True:
        a = torch.tanh(a @ a)


@contextmanager
def busy_machine() -> Iterator[None]:
    """One busy process per core, as during a search."""
    others = [multiprocessing.Process(target=keep_busy, daemon=True) for _ in range(usable_cores())]
    for process in others:
        process.start()
    time.sleep(2)
    try:
        yield
    finally:
        for process in others:
            process.terminate()


def fresh_processes(
    count: int, panel: ReferencePanel, calibration: Calibration, networks: Sequence[Architecture]
) -> list[list[Latency]]:
    """Measure the networks in `count` new processes at the same time."""
    context = multiprocessing.get_context("spawn")
    pools = [ProcessPoolExecutor(1, context) for _ in range(count)]
    try:
        answers = [pool.submit(measure_all, panel, calibration, networks) for pool in pools]
        return [answer.result() for answer in answers]
    finally:
        for pool in pools:
            pool.shutdown()


def against_itself(panel: ReferencePanel, calibration: Calibration) -> dict[str, float]:
    """Relative difference of two measurements of a network on busy cores, and that of the usual estimator."""
    meter = meter_of(panel, calibration)
    gaps, usual = [], []
    with busy_machine():
        for name in SELF_NETWORKS:
            network = replace(published_architecture(name), resolution_px=224)
            for _ in range(SELF_TIMES):
                first, second = (meter.measure(network).ratio for _ in range(2))
                gaps.append(abs(first / second - 1))
                first, second = (usual_seconds(meter, network) for _ in range(2))
                usual.append(abs(first / second - 1))
    return {
        "times": len(gaps),
        "within_3": float(np.mean([gap <= 0.03 for gap in gaps])),
        "usual_within_3": float(np.mean([gap <= 0.03 for gap in usual])),
        "median_gap": statistics.median(gaps),
        "usual_median_gap": statistics.median(usual),
    }


def spread(rows: Sequence[Sequence[float]]) -> float:
    """Standard deviation of log latency, pooled over the networks."""
    return float(np.sqrt(np.mean([np.var(np.log(row), ddof=1) for row in rows])))


def same_process(meter: LatencyMeter, networks: Sequence[Architecture]) -> dict[str, float]:
    ratios: list[list[float]] = [[] for _ in networks]
    usual: list[list[float]] = [[] for _ in networks]
    for _ in range(SAME_ROUNDS):
        for number, network in enumerate(networks):
            ratios[number].append(meter.measure(network).ratio)
            usual[number].append(usual_seconds(meter, network))
    return {"spread": spread(ratios), "usual_spread": spread(usual)}


def predictions(
    meter: LatencyMeter,
    space: str,
    fitted: Sequence[Architecture],
    ratios: Sequence[float],
    tested: Sequence[Architecture],
    true: Sequence[float],
) -> dict[str, Any]:
    """Test metrics of predictors fitted to 30 networks (mean over random choices) and to all."""
    setup = meter.setup
    rng = random.Random(0)
    order = sorted(range(len(fitted)), key=lambda number: cost(fitted[number]).macs)
    scores: dict[str, list[dict[str, float]]] = {"30": [], str(len(fitted)): []}
    for _ in range(SPLITS):
        chosen = [rng.choice(share) for share in np.array_split(order, 30)]
        model = LatencyPredictor.fit(
            [fitted[number] for number in chosen],
            [ratios[number] for number in chosen],
            setup=setup,
            space=space,
        )
        scores["30"].append(asdict(model.evaluate(tested, true)))
    model = LatencyPredictor.fit(fitted, ratios, setup=setup, space=space)
    scores[str(len(fitted))].append(asdict(model.evaluate(tested, true)))
    return {
        count: {name: float(np.mean([each[name] for each in found])) for name in found[0]}
        for count, found in scores.items()
    }


def broken_limits(
    networks: Sequence[Architecture],
    first: Sequence[Latency],
    again: Sequence[Sequence[Latency]],
    last: Sequence[Latency],
) -> dict[str, float]:
    """Fraction of front members that violate the limit, over the fronts of many limits.

    The front maximises MACs, as a stand-in for accuracy, and minimises latency. A member is accepted as
    in a search, by its upper confidence bound from two fresh processes, and measured once more.
    """
    keys = [network.key for network in networks]
    checks = verify_latencies({key: (a, b) for key, a, b in zip(keys, *again, strict=True)})
    ratios = {key: latency.ratio for key, latency in zip(keys, first, strict=True)}
    finally_ = {key: latency.ratio for key, latency in zip(keys, last, strict=True)}
    macs = {network.key: cost(network).macs for network in networks}
    members = near = accepted = broken = broken_unchecked = near_unchecked = 0
    for limit in np.quantile(sorted(ratios.values()), np.linspace(0.1, 0.98, 200)).tolist():
        within = [key for key in keys if ratios[key] <= limit]
        front = [
            key
            for key in within
            if not any(macs[other] >= macs[key] and ratios[other] < ratios[key] for other in within)
        ]
        members += len(front)
        over = [key for key in front if finally_[key] > limit]
        broken_unchecked += len(over)
        near += sum(ratios[key] > 0.95 * limit for key in front)
        near_unchecked += sum(ratios[key] > 0.95 * limit for key in over)
        verified = [key for key in front if checks[key].ratio_upper <= limit]
        accepted += len(verified)
        broken += sum(finally_[key] > limit for key in verified)
    return {
        "members": members,
        "near_the_limit": near,
        "broken_near_without_a_check": near_unchecked / near,
        "accepted": accepted,
        "broken": broken / accepted,
        "broken_without_a_check": broken_unchecked / members,
    }


def cpu_seconds(meter: LatencyMeter) -> list[float]:
    """CPU-seconds to build and measure a network of about 3 ms."""
    found = []
    for _ in range(COST_TIMES):
        start_time = time.process_time()
        meter.measure(published_architecture(THREE_MS))
        found.append(time.process_time() - start_time)
    return found


def run(space_name: str) -> dict[str, Any]:
    start_time = time.time()
    console = Console(stderr=True)

    def log(step: str) -> None:
        console.print(f"{time.time() - start_time:4.0f} s  {step}", highlight=False)

    space = load_space(space_name)
    rng = random.Random(0)
    tested = stratified(space, NO_LIMITS, TESTED, rng)
    fitted = stratified(space, NO_LIMITS, FITTED, rng)
    panel = build_reference_panel("mobilenet_v3_small")
    meter = meter_of(panel)
    calibration = meter.calibrate()

    log(f"{len(tested)} networks in one process")
    (first,) = fresh_processes(1, panel, calibration, tested)
    first_at = time.time()
    log("repeated measurements, all cores busy")
    itself = against_itself(panel, calibration)
    log("repeated measurements in one process")
    same = same_process(meter, tested[:SAME_NETWORKS])
    log("cost of one measurement")
    costs = cpu_seconds(meter)
    log(f"{len(fitted)} networks to fit a predictor to")
    ratios = [meter.measure(network).ratio for network in fitted]
    log(f"{len(tested)} networks in two processes at the same time")
    again = fresh_processes(2, panel, calibration, tested)
    log(f"{len(tested)} networks in a last process")
    last_start_time = time.time()
    (last,) = fresh_processes(1, panel, calibration, tested)
    passes = [[latency.ratio for latency in each] for each in (first, *again, last)]
    result = {
        "space": space_name,
        "device": asdict(meter.backend.device),
        "calibration": asdict(calibration),
        "finished": time.time(),
        "against_itself": itself,
        "same_process": same,
        "across_processes": {"spread": spread(list(zip(*passes, strict=True))), "processes": len(passes)},
        "ranks": {
            "minutes_apart": (last_start_time - first_at) / 60,
            "spearman": float(spearmanr(passes[0], passes[-1]).statistic),
            "least_spearman_of_any_two": min(
                float(spearmanr(a, b).statistic) for a, b in combinations(passes, 2)
            ),
        },
        "predictor": predictions(
            meter,
            space_name,
            fitted,
            ratios,
            tested,
            [statistics.fmean(each) for each in zip(*passes, strict=True)],
        ),
        "front": broken_limits(tested, first, again, last),
        "cost": {
            "network_ms": meter.measure(published_architecture(THREE_MS)).latency_ms,
            "mean_cpu_seconds": statistics.fmean(costs),
            "most_cpu_seconds": max(costs),
        },
        "noisy": sum(latency.status == "noisy" for each in (first, *again, last) for latency in each),
        "ratios": dict(zip((network.key for network in tested), passes[-1], strict=True)),
    }
    result["seconds"] = time.time() - start_time
    return result


def print_table(result: dict[str, Any], earlier: dict[str, Any] | None, console: Console) -> None:
    itself, same, across = result["against_itself"], result["same_process"], result["across_processes"]
    ranks, front, costs = result["ranks"], result["front"], result["cost"]
    table = Table(title=f"space {result['space']}, {result['seconds']:.0f} s", title_justify="left")
    for column in ("metric", "measured", "target", "usual estimator"):
        table.add_column(column)
    table.add_row(
        f"repeated measurements within 3%, cores busy, n = {itself['times']:.0f}",
        f"{itself['within_3']:.0%} (median gap {itself['median_gap']:.1%})",
        ">= 95%",
        f"{itself['usual_within_3']:.0%} (median gap {itself['usual_median_gap']:.0%})",
    )
    table.add_row(
        "spread of the ratio, same process", f"{same['spread']:.2%}", "<= 2%", f"{same['usual_spread']:.1%}"
    )
    table.add_row(
        f"spread of the ratio, {across['processes']} processes", f"{across['spread']:.2%}", "<= 2.5%", ""
    )
    table.add_row(
        f"rank of {TESTED} networks, {ranks['minutes_apart']:.0f} min apart",
        f"{ranks['spearman']:.4f}",
        ">= 0.98",
        "",
    )
    if earlier:
        known = [key for key in result["ratios"] if key in earlier["ratios"]]
        rank = spearmanr(*([each["ratios"][key] for key in known] for each in (earlier, result))).statistic
        minutes = (result["finished"] - earlier["finished"]) / 60
        table.add_row(
            f"rank correlation with an earlier run, {minutes:.0f} min apart", f"{rank:.4f}", ">= 0.98", ""
        )
    for (count, found), spearman, mape in zip(
        result["predictor"].items(), ("0.96", "0.97"), ("4%", "3%"), strict=True
    ):
        table.add_row(f"predictor from {count}: Spearman", f"{found['spearman']:.4f}", f">= {spearman}", "")
        table.add_row(f"predictor from {count}: MAPE", f"{found['mape']:.1%}", f"<= {mape}", "")
        table.add_row(f"predictor from {count}: within 10%", f"{found['within_10']:.0%}", "", "")
        table.add_row(f"predictor from {count}: 90% interval", f"{found['coverage']:.0%}", "85 to 95%", "")
    table.add_row(
        f"front members that violate the limit, n = {front['accepted']:.0f}",
        f"{front['broken']:.1%}",
        "<= 2%",
        f"{front['broken_without_a_check']:.1%} without verification; "
        f"{front['broken_near_without_a_check']:.0%} of the "
        f"{front['near_the_limit']:.0f} within 5% of the limit",
    )
    table.add_row(
        f"CPU-seconds for a network of {costs['network_ms']:.1f} ms",
        f"{costs['mean_cpu_seconds']:.2f} (at most {costs['most_cpu_seconds']:.2f})",
        "<= 2",
        "",
    )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="mobile-small")
    parser.add_argument("--json", action="store_true", help="print JSON, and the table to stderr")
    parser.add_argument("--earlier", type=Path, help="JSON of an earlier run")
    arguments = parser.parse_args()
    earlier = json.loads(arguments.earlier.read_text()) if arguments.earlier else None
    result = run(arguments.space)
    if arguments.json:
        print(json.dumps(result, indent=1))
    print_table(result, earlier, Console(width=130, stderr=arguments.json))


if __name__ == "__main__":
    main()
