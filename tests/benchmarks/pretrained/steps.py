"""Steps of a few minutes each: plan an arm, train a network, search for a while, test a front."""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import torch

from bneck.evaluate import usable_cores
from bneck.evaluate.data.dataset import Data, load_data
from bneck.evaluate.inheritance.inherit import inherit
from bneck.evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from bneck.evaluate.training.distillation import Distillation, load_teacher
from bneck.evaluate.training.evaluation import evaluate_images
from bneck.evaluate.training.pretrained import pretrained_network, pretrained_normalization
from bneck.evaluate.training.recipe import Recipe, load_recipe
from bneck.evaluate.training.step_timing import time_steps
from bneck.evaluate.training.train import seeded_network, train
from bneck.results import Record, Run
from bneck.search.parallel.deadline import MIN_MINUTES, Deadline
from bneck.search.resolve.recipes import default_recipe
from bneck.search.resolve.requests import SearchRequest
from bneck.search.runner.create import create_run
from bneck.search.runner.logged_progress import LoggedProgress
from bneck.search.runner.session import resume, run_session
from bneck.search_space import Architecture, RunError, published_architecture
from bneck.search_space.network import Network
from bneck.search_space.pretrained_space import candidate_text

from ..job_cache import Result
from .limits import PARENT, REFERENCE_PX, By, highest_within, lite0, share_function
from .pruning import prune
from .results import Point

FixedArm = Literal["B", "C", "E"]
RESOLUTIONS_PX = range(16, REFERENCE_PX + 1, 8)
SCRATCH_PX = 96
WHOLE = "0"  # ratio of the uncut network of arm C
CANDIDATES: dict[FixedArm, tuple[str, ...]] = {  # in ascending order of cost
    "B": tuple(str(px) for px in RESOLUTIONS_PX),  # resolution, px
    "C": tuple(f"{ratio / 100:g}" for ratio in range(90, 4, -5)),  # channels removed
    "E": tuple(f"{width / 100:g}" for width in range(10, 251, 5)),  # width multiplier
}
PART_SECONDS = 240.0  # of CPU time; a search goes on in a new process after it


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    return sum(os.times()[:4])


@cache
def images(folder: str) -> Data:
    return load_data(folder)


def fixed_network(arm: FixedArm, name: str, classes: int, seed: int, whole: str = "") -> Network:
    """A network of an arm before its training.

    Args:
        name: of `CANDIDATES`.
        whole: checkpoint that arm C cuts; by default the ImageNet weights.
    """
    match arm:
        case "B":
            return inherit(pretrained_network(PARENT), lite0(int(name), classes), seed=seed)
        case "C":
            parent = (
                load_checkpoint(whole).network()
                if whole
                else fixed_network("B", str(REFERENCE_PX), classes, seed)
            )
            return prune(parent, float(name))
        case "E":
            published = published_architecture(f"mobilenet_v3_small@{name}")
            return seeded_network(replace(published, resolution_px=SCRATCH_PX, classes=classes), seed)


def label(arm: FixedArm, name: str) -> str:
    match arm:
        case "B":
            return f"Lite0 at {name} px"
        case "C":
            return f"Lite0 at {REFERENCE_PX} px, {float(name):.0%} of channels cut"
        case "E":
            return f"V3-Small x {name} at {SCRATCH_PX} px"


def data_and_recipe(folder: str, pretrained: bool) -> tuple[Data, Recipe]:
    """The images as a network needs them, and the product's recipe for it."""
    data = images(folder)
    recipe = load_recipe(default_recipe(data.count("train"), trained_weights=pretrained))
    return data.with_normalization(*pretrained_normalization(PARENT)) if pretrained else data, recipe


def plan(folder: str, arm: FixedArm, by: By, limits: Sequence[float]) -> Result:
    """The network of an arm for each limit, and how long an epoch of it takes.

    Returns:
        `networks`: by limit the name, or None; `shares`: by name; `epoch_seconds`: by name.
    """
    torch.set_num_threads(1)
    data, recipe = data_and_recipe(folder, arm != "E")
    classes = len(data.class_names)
    share_of = share_function(by, classes)
    architectures: dict[str, Architecture] = {}

    def share(name: str) -> float:
        if name not in architectures:
            try:
                architectures[name] = fixed_network(arm, name, classes, 0).architecture
            except ValueError:  # after pruning it is no network of bneck
                return math.inf
        return share_of(architectures[name])

    names = {str(limit): highest_within(CANDIDATES[arm], share, limit) for limit in limits}
    distinct = {each for each in names.values() if each} | ({WHOLE} if arm == "C" else set())
    seconds = {}
    for name in sorted(distinct):
        timing = time_steps(fixed_network(arm, name, classes, 0), data, recipe, clock=time.process_time)
        assert timing
        seconds[name] = timing.seconds_per_image * data.count("train")
    return {
        "networks": names,
        "shares": {each: share(each) for each in sorted(distinct)},
        "epoch_seconds": seconds,
    }


def train_fixed(
    folder: str, arm: FixedArm, name: str, share: float, seed: int, epochs: int, out: Path, whole: str = ""
) -> Result:
    """Train a network of an arm and test it once; arguments as for `fixed_network`."""
    torch.set_num_threads(1)
    data, recipe = data_and_recipe(folder, arm != "E")
    network = fixed_network(arm, name, len(data.class_names), seed, whole)
    return _trained(network, label(arm, name), share, data, replace(recipe, epochs=epochs), seed, out)


def train_student(
    folder: str, student: Architecture, share: float, teacher: Path, taught: bool, seed: int, max_epochs: int
) -> Result:
    """Train a network from scratch, with the soft labels of a teacher if `taught`."""
    torch.set_num_threads(1)
    data, recipe = data_and_recipe(folder, pretrained=False)
    network = seeded_network(student.without_fine_tuning, seed)
    distillation = Distillation(load_teacher(teacher)) if taught else None
    recipe = replace(recipe, epochs=min(recipe.epochs, max_epochs))
    return _trained(network, student.key, share, data, recipe, seed, None, distillation)


def _trained(
    network: Network,
    name: str,
    share: float,
    data: Data,
    recipe: Recipe,
    seed: int,
    out: Path | None,
    distillation: Distillation | None = None,
) -> Result:
    start = cpu_seconds()
    accuracy = train(network, data, recipe, seed=seed, distillation=distillation)
    seconds = cpu_seconds() - start
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(make_checkpoint(network, data, recipe, seed, accuracy.curve), out)
    test = evaluate_images(network, data, "test")
    point = Point(name, share, accuracy.top1, test.outcomes, test.images, str(out or ""))
    return {"point": asdict(point), "cpu_seconds": seconds, "epochs": recipe.epochs}


def search_part(out: Path, options: dict[str, Any], minutes: float | None) -> Result:
    """Start or resume a search; after `PART_SECONDS` it is interrupted when a trial ends.

    All durations that the search knows are CPU time, so that other work on the machine does not count.

    Args:
        options: of `SearchRequest`.
        minutes: of CPU time that are left for the search; None for no limit.
    """
    start = cpu_seconds()

    def interrupt(_: Record) -> None:
        if cpu_seconds() - start > PART_SECONDS:
            raise KeyboardInterrupt

    if out.exists():
        run = resume(out)
    else:
        request = SearchRequest(**options, out=out)
        run = create_run(request, timeout_minutes=minutes and minutes / usable_cores())
    deadline = Deadline(None if minutes is None else max(minutes, MIN_MINUTES), clock=cpu_seconds)
    done = True
    try:
        with patch.object(time, "perf_counter", time.process_time):
            run_session(run, 1, LoggedProgress(), deadline, callbacks=[interrupt])
    except KeyboardInterrupt:
        done = False
    except RunError:
        if run.completed_records():
            raise  # otherwise no network was trained in time
    return {"done": done, "cpu_seconds": cpu_seconds() - start}


def test_front(out: Path, by: By) -> Result:
    """The networks on a search's front, tested once."""
    torch.set_num_threads(1)
    run = Run.open(out)
    data = run.settings.data.load()
    share_of = share_function("macs", len(data.class_names))
    points = []
    for record in run.front():
        path = run.checkpoint(record.architecture)
        checkpoint = load_checkpoint(path)
        test = evaluate_images(checkpoint.network(), checkpoint.normalize_data(data), "test")
        share = share_of(record.architecture) if by == "macs" or not record.latency else record.latency.ratio
        points.append(
            asdict(
                Point(
                    _network_text(record),
                    share,
                    record.estimated_accuracy.value,
                    test.outcomes,
                    test.images,
                    str(path),
                    record.trial,
                )
            )
        )
    trainings = sum(len(record.trainings) for record in run.records())
    return {"points": points, "trainings": trainings}


def _network_text(record: Record) -> str:
    network = record.architecture
    return candidate_text(network) if network.fine_tuning else f"{record.key} at {network.resolution_px} px"
