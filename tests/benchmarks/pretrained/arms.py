"""The arms of the comparison, from steps with cached results."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.training.checkpoint import load_checkpoint
from bneck.results import Run
from bneck.search_space import Architecture, cost

from ..job_cache import Job, Result, load_results, run_all
from . import steps
from .images import data_folder
from .limits import (
    REFERENCE_MODEL,
    REFERENCE_PX,
    SHARES,
    By,
    affordable_epochs,
    lite0,
)
from .results import Arm, OutOfTimeError, Point, best_within

SEARCHES: tuple[Arm, ...] = ("A", "D", "W")
PARENTS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


@dataclass
class Benchmark:
    """Arms on data sets, with cached results.

    Attributes:
        images: folder of the data sets.
        cache: JSON lines; checkpoints and searches are in the folder of this name without suffix.
        arm_minutes: CPU time of each arm, data set and seed.
        deadline: no step starts after this value of the monotonic clock.
        space: of arm D; empty for the default.
        max_epochs: of any training outside a search.
    """

    images: Path
    cache: Path
    by: By = "latency"
    arm_minutes: float = 12.0
    space: str = ""
    max_epochs: int = 60
    limits: tuple[float, ...] = SHARES
    deadline: float = math.inf
    console: Console = field(default_factory=lambda: Console(stderr=True))

    @property
    def work(self) -> Path:
        return self.cache.with_suffix("")

    @property
    def name(self) -> str:
        """Of the settings that all results depend on."""
        return "-".join((self.by, *(f"{each:g}" for each in self.limits), f"{self.arm_minutes:g}min"))

    def folder(self, data: str) -> str:
        return str(data_folder(data, self.images, self.work))

    def run(self, key: str, step: Callable[..., Result], *arguments: Any) -> Result:
        """The result of a step.

        Raises:
            OutOfTimeError: it is not cached, and the deadline has passed.
        """
        key = f"{self.name} {key}"
        if time.monotonic() > self.deadline and key not in load_results(self.cache):
            raise OutOfTimeError(key)
        return run_all([Job(key, step, arguments)], self.cache, 1, self.console)[key]

    def classes(self, data: str) -> int:
        return len(load_data(self.folder(data)).class_names)

    def path(self, data: str, arm: Arm, seed: int, name: str = "") -> Path:
        return self.work / self.name / "-".join(filter(None, (data, arm, str(seed), name)))

    def point(self, data: str, arm: Arm, limit: float, seed: int) -> Point | None:
        """The network of an arm within a limit; None if no network of the arm is."""
        if arm in SEARCHES:
            return best_within(self.search(data, arm, seed)[0], limit)
        if arm in ("T", "N"):
            return self.student(data, arm == "T", seed) if limit == min(self.limits) else None
        name = self.plan(data, arm)["networks"][str(limit)]
        return self.fixed(data, arm, name, seed)[0] if name else None

    def front(self, data: str, arm: Arm, seed: int) -> list[Point]:
        """All networks of an arm."""
        if arm in SEARCHES:
            return self.search(data, arm, seed)[0]
        points = [self.point(data, arm, limit, seed) for limit in self.limits]
        return list({each.network: each for each in points if each}.values())

    def cpu_minutes(self, data: str, arm: Arm, seed: int) -> float:
        """CPU time of an arm for a seed, without the choice of its networks and their test."""
        if arm in SEARCHES:
            return self.search(data, arm, seed)[1] / 60
        names = {each for each in self.plan(data, arm)["networks"].values() if each}
        names |= {steps.WHOLE} if arm == "C" else set()
        return sum(self.fixed(data, arm, name, seed)[1] for name in names) / 60

    def plan(self, data: str, arm: Arm) -> Result:
        return self.run(f"{data}/{arm} plan", steps.plan, self.folder(data), arm, self.by, self.limits)

    def fixed(self, data: str, arm: Arm, name: str, seed: int) -> tuple[Point, float]:
        """A trained network of arm B, C or E and its CPU time; all of an arm get the same epochs."""
        plan = self.plan(data, arm)
        epochs = affordable_epochs(
            tuple(plan["epoch_seconds"].values()), 60 * self.arm_minutes, self.max_epochs
        )
        whole = ""
        if arm == "C" and name != steps.WHOLE:
            whole = self.fixed(data, arm, steps.WHOLE, seed)[0].checkpoint
        out = self.path(data, arm, seed, f"{name}.safetensors")
        result = self.run(
            f"{data}/{arm}/{seed} {name}, {epochs} epochs",
            steps.train_fixed,
            *(self.folder(data), arm, name, plan["shares"][name], seed, epochs, out, whole),
        )
        return Point(**result["point"]), result["cpu_seconds"]

    def search(self, data: str, arm: Arm, seed: int) -> tuple[list[Point], float]:
        """The tested front of a search and its CPU time."""
        label = self.space if arm == "D" else ""
        out, spent, part = self.path(data, arm, seed, label), 0.0, 0
        options = self.options(data, arm, seed)
        while True:
            left = None if arm == "W" else self.arm_minutes - spent / 60
            result = self.run(
                f"{data}/{arm}/{seed} {label} part {part}", steps.search_part, out, options, left
            )
            spent, part = spent + result["cpu_seconds"], part + 1
            if result["done"]:
                break
        front = self.run(f"{data}/{arm}/{seed} {label} front", steps.test_front, out, self.by)
        return [Point(**each) for each in front["points"]], spent

    def options(self, data: str, arm: Arm, seed: int) -> dict[str, Any]:
        """The settings of a search."""
        folder = self.folder(data)
        options: dict[str, Any] = {"data": folder, "seed": seed, "reference_model": REFERENCE_MODEL}
        if self.by == "macs":
            macs = cost(lite0(REFERENCE_PX, self.classes(data))).macs
            options |= {"objectives": "accuracy,macs", "max_macs": str(int(max(self.limits) * macs))}
        else:
            options["max_latency"] = f"{max(self.limits):g}x"
        if arm == "D":
            return options | {"baselines": ("none",)} | ({"space": self.space} if self.space else {})
        return options | {"pretrained": True, "parents": PARENTS}

    def student(self, data: str, taught: bool, seed: int) -> Point | None:
        """The best network from scratch at the smallest limit, trained again with a teacher or without."""
        limit = min(self.limits)
        points = {arm: self.point(data, arm, limit, seed) for arm in ("D", "E")}
        known = {arm: each for arm, each in points.items() if each}
        if not known:
            return None
        arm, student = max(known.items(), key=lambda item: item[1].validation)
        teacher = max(self.front(data, "B", seed), key=lambda each: each.validation)
        result = self.run(
            f"{data}/{'T' if taught else 'N'}/{seed} {student.network}, {self.max_epochs} epochs",
            steps.train_student,
            self.folder(data),
            self.architecture(data, arm, student, seed),
            *(student.share, Path(teacher.checkpoint), taught, seed, self.max_epochs),
        )
        return Point(**result["point"])

    def architecture(self, data: str, arm: str, point: Point, seed: int) -> Architecture:
        if arm == "D":
            return Run.open(self.path(data, "D", seed, self.space)).record(point.trial).architecture
        return load_checkpoint(point.checkpoint).architecture
