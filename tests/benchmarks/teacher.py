"""What a teacher adds to networks that are trained from scratch: accuracy with and without, paired by seed.

    python -m tests.benchmarks.teacher --images DIR --cache teacher.jsonl [--minutes 2]

The teacher is EfficientNet-Lite0, its last stage fine-tuned from ImageNet weights. Each student is trained
twice with each seed: equal initial weights, image order and augmentation. Accuracies are of the test images.

Starts nothing new after `--minutes` and resumes on the next call; one process with one thread.
"""

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from scipy import stats

from bneck.evaluate.data.dataset import Data, load_data
from bneck.evaluate.inheritance.inherit import inherit
from bneck.evaluate.training.checkpoint import make_checkpoint, save_checkpoint
from bneck.evaluate.training.distillation import Distillation, load_teacher
from bneck.evaluate.training.evaluation import evaluate
from bneck.evaluate.training.pretrained import pretrained_network, pretrained_normalization
from bneck.evaluate.training.recipe import load_recipe
from bneck.evaluate.training.train import seeded_network, train
from bneck.search_space import Architecture, cost, published_architecture

from .job_cache import Job, run_all

PARENT, TEACHER_PX, TEACHER_EPOCHS = "efficientnet_lite0", 80, 5
STUDENTS = (("mobilenet_v3_small", 96), ("mobilenet_v2@0.5", 64))
RECIPE, EPOCHS, SEEDS = "few-images", 6, 3


@cache
def images(folder: str) -> Data:
    return load_data(folder)


def fit_data(name: str, resolution_px: int, data: Data) -> Architecture:
    network = published_architecture(name)
    return replace(network, resolution_px=resolution_px, classes=len(data.class_names))


def teacher(folder: str, path: Path) -> Mapping[str, Any]:
    """The teacher, saved as a checkpoint."""
    data = images(folder).with_normalization(*pretrained_normalization(PARENT))
    recipe = replace(load_recipe("fine-tuning"), epochs=TEACHER_EPOCHS, freeze="early-stages")
    network = inherit(pretrained_network(PARENT), fit_data(PARENT, TEACHER_PX, data), seed=0)
    start = time.process_time()
    train(network, data, recipe, seed=0)
    seconds = time.process_time() - start
    save_checkpoint(make_checkpoint(network, data, recipe, 0, ()), path)
    return {"test": evaluate(network, data, "test")[0], "cpu_seconds": seconds}


def student(
    folder: str, name: str, resolution_px: int, seed: int, taught_by: Path | None
) -> Mapping[str, Any]:
    """Top-1 on the test images after training from scratch."""
    data, recipe = images(folder), replace(load_recipe(RECIPE), epochs=EPOCHS)
    network = seeded_network(fit_data(name, resolution_px, data), seed)
    distillation = Distillation(load_teacher(taught_by)) if taught_by else None
    start = time.process_time()
    train(network, data, recipe, seed=seed, distillation=distillation)
    seconds = time.process_time() - start
    return {"test": evaluate(network, data, "test")[0], "cpu_seconds": seconds}


def difference_text(differences: list[float]) -> str:
    """Mean in percentage points, with its 95% interval by Student's t."""
    mean, low, high = fmean(differences), math.nan, math.nan
    if len(differences) > 1:
        low, high = stats.t.interval(0.95, len(differences) - 1, mean, stats.sem(differences))
    return f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("teacher.jsonl"))
    parser.add_argument("--minutes", type=float, default=math.inf)
    options = parser.parse_args()
    deadline, folder = time.monotonic() + 60 * options.minutes, str(options.images)
    path = options.cache.with_suffix(".safetensors")

    def result(job: Job) -> Mapping[str, Any]:
        if time.monotonic() > deadline:
            raise TimeoutError
        return run_all([job], options.cache, 1, Console())[job.key]

    found: dict[tuple[str, int], list[tuple[Mapping[str, Any], ...]]] = {}
    try:
        taught_by = result(Job(f"{PARENT} at {TEACHER_PX} px", teacher, (folder, path)))
        print(f"teacher: {100 * taught_by['test']:.1f}%, {taught_by['cpu_seconds']:.0f} CPU-s\n")
        for seed in range(SEEDS):
            for name, side in STUDENTS:
                key = f"{name} {side} seed {seed} {EPOCHS} epochs"
                alone = Job(key, student, (folder, name, side, seed, None))
                taught = Job(f"{key} taught", student, (folder, name, side, seed, path))
                pair = result(alone), result(taught)
                found.setdefault((name, side), []).append(pair)
    except TimeoutError:
        print("out of time, call again to go on; so far:\n")
    print("| network | MACs | alone | with the teacher | difference (95%) | CPU-s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (name, side), pairs in found.items():
        macs = cost(fit_data(name, side, images(folder))).macs
        tests = [" / ".join(f"{100 * each['test']:.1f}" for each in arm) for arm in zip(*pairs, strict=True)]
        seconds = " / ".join(
            f"{fmean(each['cpu_seconds'] for each in arm):.0f}" for arm in zip(*pairs, strict=True)
        )
        gain = difference_text([taught["test"] - alone["test"] for alone, taught in pairs])
        print(f"| {name} at {side} px | {macs / 1e6:.1f}M | {tests[0]} | {tests[1]} | {gain} | {seconds} |")
    gains = [taught["test"] - alone["test"] for pairs in found.values() for alone, taught in pairs]
    if gains:
        print(f"\nmean of {len(gains)} pairs: {difference_text(gains)}")


if __name__ == "__main__":
    main()
