"""Early stopping: rank correlation of each rung with the last one, for three learning rate schedules.

    python -m tests.benchmarks.rungs --images DIR --cache rungs.jsonl

Networks spread by MACs are trained in full, and evaluated at every rung. The truth is the accuracy on the
validation images after the last epoch of a training with another seed under the cosine schedule. DIR is a
folder of images for space mobile-32; without it only space tiny on digits is trained.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from bneck.evaluate import Recipe, parse_goals
from bneck.evaluate.data.dataset import Data, load_data, subsample
from bneck.evaluate.statistics.rank_correlation import bootstrap_ci95, spearman
from bneck.evaluate.training.optimizers import cosine_schedule
from bneck.evaluate.training.train import seeded_network
from bneck.evaluate.training.trainer import Trainer
from bneck.search.samplers.initial_design import spread_by_macs
from bneck.search_space import Architecture, load_space

from .job_cache import Job, run_all

SCHEDULES = ("cosine", "restarts", "constant+ema")
EMA_DECAY = 0.98
SPREAD = 24  # networks, of which every prefix is spread by MACs


@dataclass(frozen=True)
class Setting:
    """A space, a data set, and the rungs in epochs."""

    space: str
    data: str
    rungs: tuple[int, ...]
    networks: int
    max_macs: float
    train_images: int | None = None
    validation_images: int | None = None


@cache
def images(setting: Setting) -> Data:
    data = load_data(setting.data)
    return subsample(data, train=setting.train_images, validation=setting.validation_images)


@cache
def networks(setting: Setting) -> tuple[Architecture, ...]:
    data = images(setting)
    space = load_space(setting.space).for_data(data.image_channels, len(data.class_names))
    goals = parse_goals("accuracy", {"max_macs": str(setting.max_macs)})
    return tuple(spread_by_macs(space, goals, SPREAD, random.Random(0)))


def restarts(rungs: tuple[int, ...], steps_per_epoch: int, warmup_fraction: float) -> Callable[[int], float]:
    """Cosine decay to 0 at every rung, with warmup after each (SGDR: arXiv 1608.03983)."""
    ends = [rung * steps_per_epoch for rung in rungs]
    starts = [0, *ends[:-1]]
    cycles = [cosine_schedule(end - start, warmup_fraction) for start, end in zip(starts, ends, strict=True)]

    def factor(step: int) -> float:
        place = next((place for place, end in enumerate(ends) if step < end), len(ends) - 1)
        return cycles[place](step - starts[place])

    return factor


def rung_accuracies(setting: Setting, network: int, schedule: str, seed: int) -> Mapping[str, Any]:
    """Validation accuracy and loss of one training at every rung."""
    torch.set_num_threads(1)
    recipe = Recipe(epochs=setting.rungs[-1])
    if schedule == "constant+ema":
        recipe = replace(recipe, schedule="constant", learning_rate=0.02, ema=EMA_DECAY)
    training = Trainer(seeded_network(networks(setting)[network], seed), images(setting), recipe, seed=seed)
    if schedule == "restarts":
        training._lr_factor = restarts(setting.rungs, training.steps_per_epoch, recipe.warmup_fraction)
    found = {}
    start = time.process_time()
    while not training.done:
        training.run_epoch()
        if training.epoch in setting.rungs:
            found[str(training.epoch)] = training.evaluate()
    return {"rungs": found, "cpu_seconds": time.process_time() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("rungs.jsonl"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--schedules", default=",".join(SCHEDULES), help=f"some of {', '.join(SCHEDULES)}")
    options = parser.parse_args()
    schedules = [name for name in SCHEDULES if name in options.schedules.split(",")]
    settings = [Setting("tiny", "digits", (2, 4, 8, 16), 10, 3e6)]
    if options.images:
        settings.append(Setting("mobile-32", str(options.images), (1, 2, 4, 8), 8, 8e6, 1000, 500))
    jobs = {
        (setting.space, network, schedule, seed): Job(
            f"{setting.space}/{network}/{schedule}/{seed}",
            rung_accuracies,
            (setting, network, schedule, seed),
            weight=10.0 if setting.space == "mobile-32" else 1.0,
        )
        for setting in settings
        for schedule in dict.fromkeys(["cosine", *schedules])
        for seed in ((0, 1) if schedule == "cosine" else (0,))
        for network in range(setting.networks)
    }
    results = run_all(list(jobs.values()), options.cache, options.workers, Console(stderr=True))
    for setting in settings:
        print_table(setting, schedules, {place: results[job.key] for place, job in jobs.items()})


def print_table(
    setting: Setting,
    schedules: Sequence[str],
    results: Mapping[tuple[str, int, str, int], Mapping[str, Any]],
) -> None:
    def column(schedule: str, seed: int, rung: int, value: int) -> list[float]:
        return [
            results[setting.space, network, schedule, seed]["rungs"][str(rung)][value]
            for network in range(setting.networks)
        ]

    truth = column("cosine", 1, setting.rungs[-1], 0)
    print(f"\n{setting.space} on {setting.data}, {setting.networks} networks: Spearman with the last rung\n")
    heads = [f"{rung} epochs" for rung in setting.rungs]
    print(f"| schedule | by | {' | '.join(heads)} | mean accuracy at the end |")
    print("| --- " * (len(heads) + 3) + "|")
    for schedule in schedules:
        end = 100 * np.mean(column(schedule, 0, setting.rungs[-1], 0))
        for value, name in enumerate(("accuracy", "loss")):
            cells = []
            for rung in setting.rungs:
                scores = np.array(column(schedule, 0, rung, value)) * (1 if name == "accuracy" else -1)
                cells.append(_correlation(scores.tolist(), truth))
            print(f"| {schedule} | {name} | {' | '.join(cells)} | {end:.1f}% |")


def _correlation(scores: list[float], truth: list[float]) -> str:
    rho = spearman(scores, truth)
    if math.isnan(rho):
        return "undefined"
    mine, theirs = np.array(scores), np.array(truth)
    low, high = bootstrap_ci95(
        lambda rows: spearman(mine[rows], theirs[rows]), len(scores), np.random.default_rng(0)
    )
    return f"{rho:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
