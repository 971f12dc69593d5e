"""Complete searches under a time limit, and the test accuracy of the networks they recommend."""

import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bneck.evaluate.statistics.reliability import student_t_quantile
from bneck.results import Run
from bneck.search.console.tables import plain_table
from bneck.search_space import Architecture, cost

from ..job_cache import Job, Result, run_all
from ..setting import DATA, LEAST_MACS, MOST_MACS, SPACE, space, trained
from .ground_truth import SHORT
from .netadapt import latency_predictor

MINUTES = 4.0
SEEDS = 3
LIMITS = tuple(float(limit) for limit in np.geomspace(2 * LEAST_MACS, MOST_MACS, 12))
DRAWS = 2000
FRESH_SEEDS = (1000,)
AS_SEARCHED = replace(SHORT, name="flip-crop", recipe=replace(SHORT.recipe, augment="flip-crop"))
WAYS = {
    "tpe, one training each": ("--sampler", "tpe", "--replicates", "0"),
    "random": ("--sampler", "random", "--replicates", "0"),
}
LARGEST = "one of the largest within each limit, untrained"


def searched(out: Path, way: str, seed: int, minutes: float, model: Path) -> Result:
    """Run one search by the command line; the trials on its front."""
    command = [str(Path(sys.executable).with_name("bneck")), "search", SPACE, "--data", DATA]
    command += ["--train-images", str(SHORT.train_images), "--epochs", str(SHORT.recipe.epochs)]
    command += ["--objectives", "accuracy,macs", "--max-macs", str(int(MOST_MACS)), *WAYS[way]]
    command += [
        "--latency-predictor",
        str(model),
        "--baseline",
        "none",
        "--n-trials",
        "1000",
        "--workers",
        "1",
    ]
    command += ["--timeout", str(minutes), "--seed", str(seed), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    run = Run.open(out)
    completed = run.completed_records()
    return {
        "trials": [record.trial for record in run.front()],
        "complete": len(completed),
        "trainings": sum(len(record.trainings) for record in completed),
    }


def recommended(
    front: Sequence[Architecture], accuracies: Sequence[float], limit: float
) -> Architecture | None:
    """The network within a limit with the highest estimated accuracy."""
    within = [pair for pair in zip(accuracies, front, strict=True) if cost(pair[1]).macs <= limit]
    return max(within, key=lambda pair: pair[0])[1] if within else None


def largest(seed: int) -> list[Architecture]:
    """For each limit, any of the largest tenth of the random networks within it."""
    rng = random.Random(seed)
    sampled = [space().decode(space().sample(rng)) for _ in range(DRAWS)]
    sampled.sort(key=lambda each: cost(each).macs)
    within = [[each for each in sampled if cost(each).macs <= limit] for limit in LIMITS]
    return [rng.choice(each[-math.ceil(len(each) / 10) :]) for each in within]


def fresh(architecture: Architecture, seed: int) -> Result:
    torch.set_num_threads(1)
    return trained(architecture, AS_SEARCHED, seed, tested=True)


def fronts_table(cache: Path, workers: int, console: Console, minutes: float = MINUTES) -> Table:
    """Test accuracy of the networks that each method recommends, averaged over the limits."""
    model = cache.with_name("latency-predictor.json")
    latency_predictor(model)
    jobs = []
    for seed in range(SEEDS):
        for way in WAYS:
            out = cache.with_name(f"search-{'-'.join(way.replace(',', '').split())}-{minutes:g}-{seed}")
            if (out / "run.yaml").exists() and not (out / "report.html").exists():
                raise SystemExit(f"{out} is incomplete; remove it")
            jobs.append(Job(f"{way}/{minutes:g}/{seed}", searched, (out, way, seed, minutes, model)))
    results = run_all(jobs, cache, workers, console)
    offers: dict[tuple[str, int], list[Architecture | None]] = {}
    for job in jobs:
        out, way, seed, *_ = job.arguments
        records = [
            each for each in Run.open(out).completed_records() if each.trial in results[job.key]["trials"]
        ]
        front, accuracies = [each.architecture for each in records], [each.top1 for each in records]
        offers[way, seed] = [recommended(front, accuracies, limit) for limit in LIMITS]
    for seed in range(SEEDS):
        offers[LARGEST, seed] = list(largest(seed))
    distinct = {each.key: each for offer in offers.values() for each in offer if each is not None}
    retrained = run_all(
        [
            Job(f"retrained/{key}/{seed}", fresh, (network, seed), cost(network).macs)
            for key, network in distinct.items()
            for seed in FRESH_SEEDS
        ],
        cache,
        workers,
        console,
    )
    tested = {
        key: np.mean([retrained[f"retrained/{key}/{seed}"]["test"][0] for seed in FRESH_SEEDS])
        for key in distinct
    }
    table = plain_table(
        "method", "complete", "trainings", "test top-1", "sd", "vs largest", "vs random", left=("method",)
    )
    means = {
        way: np.array(
            [
                np.mean([tested[each.key] if each else 0.0 for each in offers[way, seed]])
                for seed in range(SEEDS)
            ]
        )
        for way in (*WAYS, LARGEST)
    }
    for way, values in means.items():
        searches = [result for key, result in results.items() if key.startswith(f"{way}/")]
        table.add_row(
            way,
            f"{np.mean([each['complete'] for each in searches]):.0f}" if searches else "",
            f"{np.mean([each['trainings'] for each in searches]):.0f}" if searches else "",
            f"{100 * values.mean():.2f}",
            f"{100 * values.std(ddof=1):.2f}",
            *(_difference(values, means[rival]) if rival != way else "" for rival in (LARGEST, "random")),
        )
    return table


def _difference(values: np.ndarray, rival: np.ndarray) -> str:
    """Difference of means with Welch's 95% interval."""
    shares = values.var(ddof=1) / len(values), rival.var(ddof=1) / len(rival)
    degrees_of_freedom = sum(shares) ** 2 / sum(share**2 / (len(values) - 1) for share in shares)
    margin = student_t_quantile(max(1, math.floor(degrees_of_freedom))) * sum(shares) ** 0.5
    difference = values.mean() - rival.mean()
    return f"{100 * difference:+.2f} [{100 * (difference - margin):.2f}, {100 * (difference + margin):.2f}]"
