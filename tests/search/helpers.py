"""Searches whose judgements are functions of the network, so that nothing is measured or trained."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest

from bneck.evaluate import Accuracy, Device, Latency, LatencySetup
from bneck.evaluate.latency.predictor import LatencyPredictor, MeasuredRatio
from bneck.results import Baseline, Run, RunSettings
from bneck.search.console.progress import Progress, Status
from bneck.search.parallel.pool import Pool
from bneck.search.runner import worker
from bneck.search.runner.partial_training import PartialTrainingResult
from bneck.search_space import Architecture, CandidateSpace, SearchSpace

from ..results import example_run
from ..results.example_run import accuracy, latency_setup, run_settings
from ..results.example_run import exact_latency as latency
from ..search_space.helpers import space_of

BNECK = str(Path(sys.executable).with_name("bneck"))
NO_LIMITS: Mapping[str, str | None] = {}

# 2 widths x 3 kernels x 3 expansions x 2 depths x 2 heads
SMALL = space_of(
    "{out: [8, 16], kernel: [3, 5, 7], expansion: [1, 2, 4], depth: [1, 2], shared: all}",
    resolution="8",
    head="{features: [16, 32]}",
).for_data(1, 10)
SMALL_SIZE = 72
FOUR = space_of("{out: 8, kernel: [3, 5], expansion: 2}", resolution="8", head="{features: [16, 32]}")
ONE = space_of("{out: 8, kernel: 3, expansion: 2}", resolution="8", head="{features: 16}")


def every_network(space: SearchSpace) -> dict[str, Architecture]:
    """All networks of a small space by key."""
    names = [gene.name for gene in space.genes]
    choices = product(*(gene.choices for gene in space.genes))
    networks = (space.decode(dict(zip(names, chosen, strict=True))) for chosen in choices)
    return {network.key: network for network in networks}


def fake_latency(architecture: Architecture) -> Latency:
    """A twentieth of the reference for every step of every kernel: from 0.15x to 0.7x in SMALL."""
    return latency(sum(block.kernel for block in architecture.blocks) / 20)


def fake_accuracy(architecture: Architecture) -> Accuracy:
    """From 20% to 80%, and nothing that a sampler could learn."""
    return accuracy(0.2 + int(architecture.key, 16) % 601 / 1000)


def fake_repeat(architecture: Architecture, seed: int) -> Accuracy:
    """The same as with the first seed."""
    return replace(fake_accuracy(architecture), seed=seed)


def fake_rung(architecture: Architecture, epochs: int) -> PartialTrainingResult:
    """The same after every epoch."""
    return PartialTrainingResult(fake_accuracy(architecture))


def fake_device(**changes: Any) -> LatencySetup:
    """The made-up device of backend `fake`, which can be measured anywhere."""
    device = Device(**{"backend": "fake", "runtime": "none", "processor": "simulated", **changes})
    return replace(latency_setup(), backend="fake", device=device)


def fake_model(terms: Mapping[str, float], setup: LatencySetup | None = None) -> LatencyPredictor:
    """A model whose terms one chose, with two standard deviations of 10%.

    sqrt((0.01^2 + 0.07^2) / 2) = sqrt(0.0025) = 0.05; the term `network` is 1 for every network.
    """
    return LatencyPredictor(
        space="small",
        setup=setup or fake_device(),
        vector_width=1,
        ridge=0.1,
        terms=terms,
        errors=(0.01, 0.07),
        training_networks=(MeasuredRatio("0" * 12, 0.01),),
    )


def give_model(run: Run, ratio: float) -> LatencyPredictor:
    """Have a run predict the same ratio for every network."""
    model = fake_model({"network": ratio})
    run.folder.mkdir(parents=True, exist_ok=True)
    model.save(run.latency_predictor_file)
    return model


def fake_settings(
    space: CandidateSpace = SMALL,
    limits: Mapping[str, str | None] = NO_LIMITS,
    objectives: str = "accuracy,latency",
    **changes: Any,
) -> RunSettings:
    chosen = {"sampler": "random", "baselines": (), "latency": fake_device(), **changes}
    return replace(run_settings(objectives, limits), space=space, **chosen)


def fake_run(
    folder: Path,
    space: CandidateSpace = SMALL,
    limits: Mapping[str, str | None] = NO_LIMITS,
    objectives: str = "accuracy,latency",
    **changes: Any,
) -> Run:
    """A run whose study is in memory; no folder is made."""
    run = Run(folder, fake_settings(space, limits, objectives, **changes))
    vars(run)["study"] = _new_study(run, None)
    return run


def run_on_disk(folder: Path, **changes: Any) -> Run:
    """A run folder with its study, before the first trial."""
    run = Run.create(folder, fake_settings(**changes))
    _new_study(run, run.storage_url)
    return run


def _new_study(run: Run, storage: str | None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [objective.direction for objective in run.settings.goals.objectives]
    return optuna.create_study(study_name=run.settings.study, storage=storage, directions=directions)


def on_test_images(architecture: Architecture) -> tuple[float, float, int]:
    """Accuracy, loss and images of the test."""
    return fake_accuracy(architecture).top1 / 2, 0.4, 600


@dataclass
class FakePool(Pool):
    """A pool that answers at once.

    Attributes:
        asked: every step with what it was asked for, in order.
        closed: whether its block was left.
    """

    workers: int = 1
    latency_of: Callable[[Architecture], Latency] = fake_latency
    accuracy_of: Callable[[Architecture], Accuracy] = fake_accuracy
    afresh_of: Callable[[Architecture], Latency] = fake_latency
    again_of: Callable[[Architecture, int], Accuracy] = fake_repeat
    rung_of: Callable[[Architecture, int], PartialTrainingResult] = fake_rung
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    closed: bool = False

    def __enter__(self) -> "FakePool":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.asked.append((step, *arguments))
        answers: dict[Callable[..., Any], Callable[..., Any]] = {
            worker.measure: self.latency_of,
            worker.train_network: self.accuracy_of,
            worker.train_replicate: self.again_of,
            worker.train_to_rung: self.rung_of,
            worker.baseline: self.baseline_of,
            worker.remeasure: self.afresh_of,
            worker.evaluate_on_test_set: on_test_images,
            worker.skipped_images_text: lambda: None,
            worker.count_training_images: lambda: 100,
        }
        future: Future[Any] = Future()
        try:
            future.set_result(answers[step](*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def baseline_of(self, name: str) -> Baseline:
        architecture = self.subject.settings.published_architecture(name)
        return replace(example_run.baseline(name), architecture=architecture)

    def asked_for(self, step: Callable[..., Any]) -> list[Any]:
        """What a step was asked for: its argument, or all of them if they are several."""
        found = (what for asked, *what in self.asked if asked is step)
        return [what[0] if len(what) == 1 else tuple(what) for what in found]


@dataclass
class FreshPools:
    """Stands in for `Pool` where a search opens pools: each answers by the next of the functions.

    Attributes:
        opened: the pools, in order.
    """

    afresh_of: tuple[Callable[[Architecture], Latency], ...] = (fake_latency,)
    opened: list[FakePool] = field(default_factory=list)

    def __call__(self, run: Run, workers: int, start: object = None) -> FakePool:
        afresh_of = self.afresh_of[len(self.opened) % len(self.afresh_of)]
        self.opened.append(FakePool(run, workers, afresh_of=afresh_of))
        return self.opened[-1]


def fresh_pools(monkeypatch: pytest.MonkeyPatch, *afresh_of: Callable[[Architecture], Latency]) -> FreshPools:
    """Have the check of a front open pools that answer so, by default as measured before."""
    pools = FreshPools(afresh_of or (fake_latency,))
    monkeypatch.setattr("bneck.search.runner.verification.Pool", pools)
    return pools


@dataclass
class Shown(Progress):
    """Keeps what a person would have seen."""

    statuses: list[Status] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, *_: object) -> None: ...

    def update_status(self, status: Status) -> None:
        self.statuses.append(status)

    def print_line(self, line: str) -> None:
        self.lines.append(line)


def bneck(*words: object, cwd: Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """The command as a person starts it."""
    return subprocess.run(
        [BNECK, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
    )
