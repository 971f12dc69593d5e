"""NetAdapt against one width multiplier, to the same latency."""

import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bneck.evaluate.adaptation import Goal, adapt
from bneck.evaluate.data import limited
from bneck.evaluate.inheritance import inherited
from bneck.evaluate.judging import judge
from bneck.evaluate.latency_model import LatencyModel
from bneck.evaluate.latency_model_file import load_model
from bneck.evaluate.narrowing import scaled_to
from bneck.evaluate.reliability import student_t
from bneck.evaluate.train import seeded_network, train
from bneck.search.printing import plain_table
from bneck.search_space import Architecture, cost
from bneck.search_space.network import Network

from ..kept import Job, Result, run_all
from ..setting import SPACE, images
from .truth import CALM, few

START_MACS = 1.2e6
SHARE, STEP = 0.7, 0.05
TRAINED = replace(CALM, epochs=4)
TRAIN_IMAGES, FEW_VALIDATION = 20_000, 2_000
SEEDS = 3
WAYS = ("NetAdapt", "one multiplier", "NetAdapt, from scratch", "one multiplier, from scratch")


def start() -> Architecture:
    """The network that is cut: of those trained long, the one with the nearest MACs."""
    return min(few(), key=lambda network: abs(cost(network).macs - START_MACS))


def latency_model(path: Path) -> LatencyModel:
    """Of this machine and the space; measured where the file is not there yet."""
    if not path.exists():
        command = [
            str(Path(sys.executable).with_name("bneck")),
            "latency-model",
            "build",
            SPACE,
            "--out",
            str(path),
        ]
        subprocess.run(command, check=True)
    return load_model(path)


@cache
def _model(path: Path) -> LatencyModel:
    return load_model(path)


def narrowed(path: Path, seed: int) -> Result:
    """Train, cut both ways, train what is left both ways, and judge it once on the test images."""
    torch.set_num_threads(1)
    data = images(TRAIN_IMAGES)

    def latency_of(architecture: Architecture) -> float:
        return _model(path).predict(architecture).ratio

    began = time.process_time()
    network = seeded_network(start(), seed)
    train(network, data, TRAINED, seed=seed)
    trained_at = time.process_time()
    whole = latency_of(start())
    goal = Goal(latency_of, SHARE * whole, STEP * whole)
    found = adapt(network, limited(data, validation=FEW_VALIDATION), TRAINED, goal, seed=seed)
    adapted_at = time.process_time()
    scaled = scaled_to(start(), latency_of, SHARE * whole)
    ways = dict(
        zip(
            WAYS,
            (
                found.network,
                inherited(network, scaled),
                seeded_network(found.network.architecture, seed),
                seeded_network(scaled, seed),
            ),
            strict=True,
        )
    )

    def tested(each: Network) -> float:
        train(each, data, TRAINED, seed=seed)
        return judge(each, data, "test")[0]

    return {
        "start": judge(network, data, "test")[0],
        "top1": {name: tested(each) for name, each in ways.items()},
        "latency": {name: latency_of(each.architecture) / whole for name, each in ways.items()},
        "macs": {name: cost(each.architecture).macs for name, each in ways.items()},
        "steps": len(found.steps),
        "cpu_seconds": {"training": trained_at - began, "adapting": adapted_at - trained_at},
    }


def narrower_table(kept: Path, workers: int, console: Console) -> Table:
    """Test accuracy after both, and the difference within seeds with its 95% interval."""
    path = kept.with_name("latency-model.json")
    latency_model(path)
    jobs = [Job(f"narrowed/{seed}", narrowed, (path, seed)) for seed in range(SEEDS)]
    found = list(run_all(jobs, kept, workers, console).values())
    table = plain_table(
        "way", "test accuracy", "sd", "latency", "MACs", "ahead of one multiplier", left=("way",)
    )
    starts = np.array([result["start"] for result in found])
    table.add_row("uncut", f"{100 * starts.mean():.2f}", f"{100 * starts.std(ddof=1):.2f}", "1.00", "", "")
    for name in WAYS:
        tops, latencies, macs = (
            np.array([result[what][name] for result in found]) for what in ("top1", "latency", "macs")
        )
        rival = WAYS[WAYS.index(name) + 1] if name.startswith("NetAdapt") else None
        ahead = ""
        if rival:
            apart = 100 * (tops - np.array([result["top1"][rival] for result in found]))
            margin = student_t(len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
            ahead = f"{apart.mean():+.2f} [{apart.mean() - margin:.2f}, {apart.mean() + margin:.2f}]"
        table.add_row(
            name,
            f"{100 * tops.mean():.2f}",
            f"{100 * tops.std(ddof=1):.2f}",
            f"{latencies.mean():.3f}",
            f"{macs.mean():,.0f}",
            ahead,
        )
    return table
