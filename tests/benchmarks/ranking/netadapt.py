"""NetAdapt versus a uniform width multiplier at the same latency."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bneck.evaluate.data.dataset import subsample
from bneck.evaluate.inheritance.inherit import inherit
from bneck.evaluate.latency.predictor import LatencyPredictor
from bneck.evaluate.netadapt.netadapt import ResourceBudget, Tuner, steps
from bneck.evaluate.statistics.reliability import student_t_quantile
from bneck.evaluate.training.evaluation import evaluate
from bneck.evaluate.training.train import seeded_network, train
from bneck.search.console.tables import plain_table
from bneck.search_space import Architecture, cost
from bneck.search_space.network import Network

from ..job_cache import Job, Result, run_all
from ..setting import SPACE, images
from .ground_truth import CALM, few
from .width_multiplier import scale_width_to_limit

START_MACS = 1.2e6
SHARE = 0.7
STEPS = {0.05: 2_000, 0.025: 4_000}  # latency reduction per step, and images for fine-tuning
TRAINED = replace(CALM, epochs=4)
TRAIN_IMAGES, FEW_VALIDATION = 20_000, 2_000
SEEDS = 3
WAYS = ("NetAdapt", "one multiplier", "NetAdapt, from scratch", "one multiplier, from scratch")


def start() -> Architecture:
    """The initial network: the one of the ground truth with MACs nearest to `START_MACS`."""
    return min(few(), key=lambda network: abs(cost(network).macs - START_MACS))


def latency_predictor(path: Path) -> LatencyPredictor:
    """The latency predictor of the space on this machine; built unless the file exists."""
    if not path.exists():
        command = [
            str(Path(sys.executable).with_name("bneck")),
            "latency-predictor",
            "build",
            SPACE,
            "--file",
            str(path),
        ]
        subprocess.run(command, check=True)
    return LatencyPredictor.load(path)


@cache
def _model(path: Path) -> LatencyPredictor:
    return LatencyPredictor.load(path)


def pruned(path: Path, step: float, seed: int) -> Result:
    """Train, prune by both methods, retrain from inherited and random weights, and test."""
    torch.set_num_threads(1)
    data = images(TRAIN_IMAGES)

    def latency_of(architecture: Architecture) -> float:
        return _model(path).predict(architecture).ratio

    start_time = time.process_time()
    network = seeded_network(start(), seed)
    train(network, data, TRAINED, seed=seed)
    trained_at = time.process_time()
    initial = latency_of(start())
    goal = ResourceBudget(latency_of, SHARE * initial, step * initial, cut_kinds=("width",))
    validated = subsample(data, validation=FEW_VALIDATION)
    tuner = Tuner(validated, TRAINED, seed, images=STEPS[step])
    taken = list(steps(network, goal, tuner))
    adapted = taken[-1].network
    adapted_at = time.process_time()
    scaled = scale_width_to_limit(start(), latency_of, SHARE * initial)
    ways = dict(
        zip(
            WAYS,
            (
                adapted,
                inherit(network, scaled),
                seeded_network(adapted.architecture, seed),
                seeded_network(scaled, seed),
            ),
            strict=True,
        )
    )

    def tested(each: Network) -> float:
        train(each, data, TRAINED, seed=seed)
        return evaluate(each, data, "test")[0]

    return {
        "start": evaluate(network, data, "test")[0],
        "top1": {name: tested(each) for name, each in ways.items()},
        "latency": {name: latency_of(each.architecture) / initial for name, each in ways.items()},
        "macs": {name: cost(each.architecture).macs for name, each in ways.items()},
        "steps": len(taken),
        "cpu_seconds": {"training": trained_at - start_time, "adapting": adapted_at - trained_at},
    }


def netadapt_table(cache: Path, workers: int, console: Console) -> Table:
    """Test accuracy of both methods, and the paired difference over seeds with its 95% interval."""
    path = cache.with_name("latency-predictor.json")
    latency_predictor(path)
    jobs = {
        step: [Job(f"narrowed/{step}/{seed}", pruned, (path, step, seed)) for seed in range(SEEDS)]
        for step in STEPS
    }
    found = run_all([job for own in jobs.values() for job in own], cache, workers, console)
    table = plain_table(
        "method", "test accuracy", "sd", "latency", "MACs", "vs one multiplier", left=("method",)
    )
    for step, own in jobs.items():
        results = [found[job.key] for job in own]
        starts = np.array([result["start"] for result in results])
        title = f"initial (steps of {100 * step:g}%, {STEPS[step]:,} images)"
        table.add_row(title, f"{100 * starts.mean():.2f}", f"{100 * starts.std(ddof=1):.2f}", "1.00", "", "")
        for name in WAYS:
            table.add_row(name, *_row(name, results))
    return table


def _row(name: str, results: Sequence[Result]) -> list[str]:
    tops, latencies, macs = (
        np.array([result[what][name] for result in results]) for what in ("top1", "latency", "macs")
    )
    difference = ""
    if name.startswith("NetAdapt"):
        rival = WAYS[WAYS.index(name) + 1]
        gaps = 100 * (tops - np.array([result["top1"][rival] for result in results]))
        margin = student_t_quantile(len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
        difference = f"{gaps.mean():+.2f} [{gaps.mean() - margin:.2f}, {gaps.mean() + margin:.2f}]"
    return [
        f"{100 * tops.mean():.2f}",
        f"{100 * tops.std(ddof=1):.2f}",
        f"{latencies.mean():.3f}",
        f"{macs.mean():,.0f}",
        difference,
    ]
