"""What a worker process does: measure, train, and look once more. One thread each."""

import multiprocessing
import os
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch

from ...evaluate import Accuracy, Latency
from ...evaluate.data.dataset import Data, broken_text, limited, load_data
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.latency.predictor_file import load_model
from ...evaluate.scorers import Means, Score, Scorer, scorer, scorer_kind
from ...evaluate.training.checkpoint import checkpoint_of, save_checkpoint, trained_network
from ...evaluate.training.evaluation import judge
from ...results import Baseline, DataSettings, Run, RunSettings
from ...search_space import Architecture, GoalError
from .partial_training import Reached, train_to


def load_run_data(settings: DataSettings, *, download: bool = False) -> Data:
    """The images of a run."""
    root = Path(settings.root) if settings.root else None
    data = load_data(settings.name, root=root, download=download)
    return limited(data, train=settings.train_images, validation=settings.validation_images)


class ImagesRequest(Protocol):
    """The images that a person asked for, in words."""

    @property
    def data(self) -> str: ...

    @property
    def data_root(self) -> Path | None: ...

    @property
    def train_images(self) -> int | None: ...

    @property
    def validation_images(self) -> int | None: ...

    @property
    def download(self) -> bool: ...


def open_images(request: ImagesRequest) -> tuple[DataSettings, Data]:
    """The images, and what a folder keeps of them.

    Raises:
        BneckError: they are missing or broken.
    """
    root = str(request.data_root) if request.data_root else None
    asked = DataSettings(request.data, root, request.train_images, request.validation_images)
    data = load_run_data(asked, download=request.download)
    return asked.of(data), data


def as_seen_by(name: str, data: Data) -> Data:
    """The images normalised as the weights that a scorer begins with were trained to see them.

    Raises:
        BneckError: they are no images for these weights.
    """
    if scorer_kind(name) not in ("supernet", "inherit"):
        return data
    from ...evaluate.supernet.checkpoint import load_supernet

    return load_supernet(Path(name.partition(":")[2].split(",")[0])).normalised(data)


def accuracy_of(score: Score, name: str) -> Accuracy:
    """What a scorer says of accuracy.

    Raises:
        GoalError: it tells none.
    """
    if score.accuracy is None:
        raise GoalError(f"scorer {name} tells no accuracy")
    return score.accuracy


@dataclass(frozen=True)
class Worker:
    """The steps of judging a network."""

    run: Run

    @property
    def settings(self) -> RunSettings:
        return self.run.settings

    @cached_property
    def data(self) -> Data:
        return as_seen_by(self.settings.scorer, load_run_data(self.settings.data))

    @cached_property
    def scorer(self) -> Scorer:
        settings = self.settings
        return scorer(settings.scorer, Means(self.data, settings.recipe, settings.torch_device))

    @cached_property
    def meter(self) -> LatencyMeter:
        return LatencyMeter.of(self.settings.latency)

    def measure(self, architecture: Architecture) -> Latency:
        return self.meter.measure(architecture)

    def measure_afresh(self, architecture: Architecture) -> Latency:
        return self.meter.measure(architecture, fresh=True)

    def train(self, architecture: Architecture) -> Accuracy:
        """Judge by the run's scorer and seed, the same for all networks, and keep the weights if it has any.

        Raises:
            TrainingFailedError: the loss is no longer a number.
            ScorerError: the scorer cannot judge this network.
        """
        settings = self.settings
        score = self.scorer.score(architecture, settings.seed)
        accuracy = accuracy_of(score, settings.scorer)
        if score.network is not None:
            trained = checkpoint_of(score.network, self.data, settings.recipe, settings.seed, accuracy.curve)
            save_checkpoint(trained, self.run.checkpoint(architecture))
        return accuracy

    def train_to(self, architecture: Architecture, epochs: int) -> Reached:
        """Train to a rung, from where the network was left if it was; with the run's seed.

        Raises:
            TrainingFailedError: the loss is no longer a number.
        """
        settings, run = self.settings, self.run
        means = Means(self.data, settings.recipe, settings.torch_device)
        files = run.paused(architecture), run.checkpoint(architecture)
        return train_to(epochs, architecture, means, settings.seed, *files)

    def train_again(self, architecture: Architecture, seed: int) -> Accuracy:
        """In full with another seed; the weights kept stay, for the best draw would be a lucky one."""
        return replace(accuracy_of(self.scorer.score(architecture, seed), self.settings.scorer), seed=seed)

    def judge_on_test_images(self, architecture: Architecture) -> tuple[float, float, int]:
        """Accuracy and loss on the test images, and how many they are."""
        network = trained_network(architecture, self.run.checkpoint(architecture))
        top1, loss = judge(network, self.data, "test")
        return top1, loss, self.data.count("test")

    def baseline(self, name: str) -> Baseline:
        """A published network, treated like those of the search."""
        architecture = self.settings.published(name)
        model = load_model(self.run.latency_model_file) if self.settings.latency_from == "model" else None
        latency = model.predict(architecture) if model else self.measure(architecture)
        accuracy = self.train(architecture)
        top1, _, images = self.judge_on_test_images(architecture)
        return Baseline(name, architecture, latency, accuracy, top1, images)


_worker: Worker


def left_out() -> str | None:
    """The images that this worker could not read, in a line."""
    return broken_text(_worker.data)


def start(run: Run) -> None:
    """Make this process a worker, which ends with its parent."""
    global _worker
    alone()
    _worker = Worker(run)


def alone(threads: int = 1) -> None:
    """Compute with so many threads, and end with the parent process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def measure(architecture: Architecture) -> Latency:
    return _worker.measure(architecture)


def train_network(architecture: Architecture) -> Accuracy:
    rungs = _worker.settings.rungs
    return _worker.train_to(architecture, rungs.first).accuracy if rungs else _worker.train(architecture)


def train_to_rung(architecture: Architecture, epochs: int) -> Reached:
    return _worker.train_to(architecture, epochs)


def train_again(architecture: Architecture, seed: int) -> Accuracy:
    return _worker.train_again(architecture, seed)


def measure_afresh(architecture: Architecture) -> Latency:
    return _worker.measure_afresh(architecture)


def judge_on_test_images(architecture: Architecture) -> tuple[float, float, int]:
    return _worker.judge_on_test_images(architecture)


def baseline(name: str) -> Baseline:
    return _worker.baseline(name)
