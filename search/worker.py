"""What a worker process does: measure, train, and look once more. One thread each."""

import multiprocessing
import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ..evaluate import Accuracy, Latency, LatencyMeter, latency_backend
from ..evaluate.data import Data, limited, load_data
from ..evaluate.latency import settle
from ..evaluate.train import judge, train
from ..evaluate.weights import save_weights, trained_network
from ..results import Baseline, Check, DataSettings, Run, RunSettings
from ..search_space import Architecture
from ..search_space.network import Network, build_network


def load_run_data(settings: DataSettings, *, download: bool = False) -> Data:
    """The images of a run."""
    root = Path(settings.root) if settings.root else None
    data = load_data(settings.name, root=root, download=download)
    return limited(data, train=settings.train_images, validation=settings.validation_images)


@dataclass(frozen=True)
class Worker:
    """The steps of judging a network."""

    run: Run

    @property
    def settings(self) -> RunSettings:
        return self.run.settings

    @cached_property
    def data(self) -> Data:
        return load_run_data(self.settings.data)

    @cached_property
    def meter(self) -> LatencyMeter:
        reference = settle(seeded_network(self.settings.latency.architecture, 0))
        known_ms = self.settings.latency.reference_ms or None
        return LatencyMeter(latency_backend(self.settings.latency.backend), reference, known_ms)

    def calibrate(self) -> float:
        """The reference's milliseconds on this machine now."""
        return self.meter.calibrate()

    def measure(self, architecture: Architecture) -> Latency:
        return self.meter.measure(settle(seeded_network(architecture, 0)))

    def train(self, architecture: Architecture) -> Accuracy:
        """Train with the run's seed, the same for all networks, and keep the weights.

        Raises:
            TrainingFailedError: the loss is no longer a number.
        """
        network = seeded_network(architecture, self.settings.seed)
        accuracy = train(
            network,
            self.data,
            self.settings.recipe,
            seed=self.settings.seed,
            device=self.settings.torch_device,
        )
        save_weights(network, self.run.checkpoint(architecture))
        return accuracy

    def check(self, architecture: Architecture) -> Check:
        """A fresh measurement, and the accuracy on the test images."""
        latency = self.measure(architecture)
        network = trained_network(architecture, self.run.checkpoint(architecture))
        top1, loss = judge(network, self.data, "test")
        return Check(latency, top1, loss, self.data.count("test"))

    def baseline(self, name: str) -> Baseline:
        """A published network, treated like those of the search."""
        architecture = self.settings.published(name)
        latency = self.measure(architecture)
        accuracy = self.train(architecture)
        top1, _ = judge(trained_network(architecture, self.run.checkpoint(architecture)), self.data, "test")
        return Baseline(name, architecture, latency, accuracy, top1, self.data.count("test"))


def seeded_network(architecture: Architecture, seed: int) -> Network:
    """A network whose initial weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(architecture)


_worker: Worker


def start(run: Run) -> None:
    """Make this process a worker, which ends with its parent."""
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _worker = Worker(run)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def measure(architecture: Architecture) -> Latency:
    return _worker.measure(architecture)


def train_network(architecture: Architecture) -> Accuracy:
    return _worker.train(architecture)


def check(architecture: Architecture) -> Check:
    return _worker.check(architecture)


def baseline(name: str) -> Baseline:
    return _worker.baseline(name)
