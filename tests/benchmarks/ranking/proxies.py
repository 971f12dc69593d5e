"""Scores of every proxy for the networks with long training."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from bneck.evaluate.data.dataset import subsample
from bneck.evaluate.scorers import COSTS, ZERO_COST, EvaluationContext, Scorer, evaluator
from bneck.evaluate.supernet.config import SupernetConfig
from bneck.evaluate.supernet.trainer import SupernetTrainer, train_to_end
from bneck.search_space import Architecture, cost

from ..job_cache import Job, Result, run_all
from ..setting import DATA, MOST_MACS, images, space
from .ground_truth import CALM, Array

SEEDS = 3
SUPERNET_SEEDS, SUPERNET_MINUTES = 2, 7.5
FEW_IMAGES, FEW_VALIDATION = 3_000, 2_000


@dataclass(frozen=True)
class Proxy:
    """An evaluator with its settings.

    Attributes:
        evaluator: its name; `FILES` stands for the supernet files.
        seeds: number of seeds to average.
    """

    name: str
    evaluator: str
    train_images: int | None = None
    epochs: int = 1
    validation_images: int | None = None
    seeds: int = 1


PROXIES = (
    *(Proxy(name, name) for name in COSTS),
    *(Proxy(name, name, seeds=SEEDS) for name in ZERO_COST),
    Proxy("3,000 x 1", "train", FEW_IMAGES, 1, FEW_VALIDATION),
    Proxy("supernet", "supernet:FILES", validation_images=FEW_VALIDATION),
    Proxy("finetuned supernet, 5,000 x 1", "finetuned-supernet:FILES", 5_000, 1),
)


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a proxy for `n` networks.

    Attributes:
        values: `n x s`, by seed, higher is better.
        once: CPU-seconds of the setup.
        each: CPU-seconds per network, summed over the seeds.
    """

    proxy: Proxy
    values: Array
    once: float
    each: float

    @property
    def mean(self) -> Array:
        """`n`: mean of the standardised scores over the seeds."""
        spread = self.values.std(0)
        standard: Array = ((self.values - self.values.mean(0)) / np.where(spread > 0, spread, 1)).mean(1)
        return standard


@cache
def _scorer(proxy: Proxy, name: str) -> Scorer:
    data = subsample(images(proxy.train_images), validation=proxy.validation_images)
    return evaluator(name, EvaluationContext(data, replace(CALM, epochs=proxy.epochs)))


def scored(proxy: Proxy, name: str, architecture: Architecture, seed: int) -> Result:
    torch.set_num_threads(1)
    score = _scorer(proxy, name).score(architecture, seed)
    return {"value": score.value, "cpu_seconds": score.cpu_seconds}


def supernet_trained(path: Path, seed: int) -> Result:
    torch.set_num_threads(1)
    start = time.process_time()
    settings = SupernetConfig(max_macs=MOST_MACS, minutes=SUPERNET_MINUTES, seed=seed)
    training = SupernetTrainer(space(), images(None), settings)
    train_to_end(training, path)
    return {"cpu_seconds": time.process_time() - start, "steps": training.steps, "data": DATA}


def supernets(cache: Path, workers: int, console: Console) -> tuple[list[Path], float]:
    """The supernet files and the CPU-seconds of their training."""
    files = [cache.with_name(f"supernet-{seed}.safetensors") for seed in range(SUPERNET_SEEDS)]
    jobs = [Job(f"supernet/{seed}", supernet_trained, (path, seed)) for seed, path in enumerate(files)]
    results = run_all(jobs, cache, workers, console)
    return files, sum(result["cpu_seconds"] for result in results.values())


def all_scores(networks: Sequence[Architecture], cache: Path, workers: int, console: Console) -> list[Scores]:
    """Scores of every proxy."""
    files, once = supernets(cache, workers, console)
    scores = []
    for proxy in PROXIES:
        with_files = proxy.evaluator.endswith(":FILES")
        name = proxy.evaluator.replace("FILES", ",".join(map(str, files)))
        jobs = [
            Job(f"{proxy.name}/{each.key}/{seed}", scored, (proxy, name, each, seed), cost(each).macs)
            for seed in range(proxy.seeds)
            for each in networks
        ]
        results = run_all(jobs, cache, workers, console)
        rows = [[results[f"{proxy.name}/{n.key}/{s}"] for s in range(proxy.seeds)] for n in networks]
        seconds = [[result["cpu_seconds"] for result in row] for row in rows]
        values = np.array([[result["value"] for result in row] for row in rows])
        scores.append(Scores(proxy, values, once if with_files else 0.0, float(np.sum(seconds) / len(rows))))
    return scores
