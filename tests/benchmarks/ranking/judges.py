"""Every judge's scores of the networks that were trained long."""

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

from ..kept import Job, Result, run_all
from ..setting import DATA, MOST_MACS, images, space
from .truth import CALM, Array

SEEDS = 3
SUPERNET_SEEDS, SUPERNET_MINUTES = 2, 7.5
FEW_IMAGES, FEW_VALIDATION = 3_000, 2_000


@dataclass(frozen=True)
class Judge:
    """A scorer with its means.

    Attributes:
        words: as `evaluator` takes it; `FILES` stands for the supernets.
        seeds: scores of so many are averaged.
    """

    name: str
    words: str
    train_images: int | None = None
    epochs: int = 1
    validation_images: int | None = None
    seeds: int = 1


JUDGES = (
    *(Judge(name, name) for name in COSTS),
    *(Judge(name, name, seeds=SEEDS) for name in ZERO_COST),
    Judge("3,000 x 1", "train", FEW_IMAGES, 1, FEW_VALIDATION),
    Judge("supernet", "supernet:FILES", validation_images=FEW_VALIDATION),
    Judge("finetuned supernet, 5,000 x 1", "finetuned-supernet:FILES", 5_000, 1),
)


@dataclass(frozen=True, eq=False)
class Scores:
    """What a judge said of `n` networks.

    Attributes:
        values: `n x s`, by seed, higher is better.
        once: CPU-seconds before the first network.
        each: CPU-seconds a network, all seeds together.
    """

    judge: Judge
    values: Array
    once: float
    each: float

    @property
    def mean(self) -> Array:
        """`n`: the mean over the seeds, each of which counts alike."""
        spread = self.values.std(0)
        standard: Array = ((self.values - self.values.mean(0)) / np.where(spread > 0, spread, 1)).mean(1)
        return standard


@cache
def _scorer(judge: Judge, words: str) -> Scorer:
    data = subsample(images(judge.train_images), validation=judge.validation_images)
    return evaluator(words, EvaluationContext(data, replace(CALM, epochs=judge.epochs)))


def scored(judge: Judge, words: str, architecture: Architecture, seed: int) -> Result:
    torch.set_num_threads(1)
    found = _scorer(judge, words).score(architecture, seed)
    return {"value": found.value, "cpu_seconds": found.cpu_seconds}


def supernet_trained(path: Path, seed: int) -> Result:
    torch.set_num_threads(1)
    start = time.process_time()
    settings = SupernetConfig(max_macs=MOST_MACS, minutes=SUPERNET_MINUTES, seed=seed)
    training = SupernetTrainer(space(), images(None), settings)
    train_to_end(training, path)
    return {"cpu_seconds": time.process_time() - start, "steps": training.steps, "data": DATA}


def supernets(kept: Path, workers: int, console: Console) -> tuple[list[Path], float]:
    """The files of the supernets, and the CPU-seconds that their training took."""
    files = [kept.with_name(f"supernet-{seed}.safetensors") for seed in range(SUPERNET_SEEDS)]
    jobs = [Job(f"supernet/{seed}", supernet_trained, (path, seed)) for seed, path in enumerate(files)]
    found = run_all(jobs, kept, workers, console)
    return files, sum(result["cpu_seconds"] for result in found.values())


def all_scores(networks: Sequence[Architecture], kept: Path, workers: int, console: Console) -> list[Scores]:
    """What every judge says."""
    files, once = supernets(kept, workers, console)
    found = []
    for judge in JUDGES:
        with_files = judge.words.endswith(":FILES")
        words = judge.words.replace("FILES", ",".join(map(str, files)))
        jobs = [
            Job(f"{judge.name}/{each.key}/{seed}", scored, (judge, words, each, seed), cost(each).macs)
            for seed in range(judge.seeds)
            for each in networks
        ]
        results = run_all(jobs, kept, workers, console)
        rows = [[results[f"{judge.name}/{n.key}/{s}"] for s in range(judge.seeds)] for n in networks]
        seconds = [[result["cpu_seconds"] for result in row] for row in rows]
        values = np.array([[result["value"] for result in row] for row in rows])
        found.append(Scores(judge, values, once if with_files else 0.0, float(np.sum(seconds) / len(rows))))
    return found
