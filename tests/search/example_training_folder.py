"""Trainings of a toy on noise in a folder."""

import io
from collections.abc import Callable
from pathlib import Path

from bneck.evaluate import Epoch, Recipe
from bneck.evaluate.data.dataset import Data
from bneck.evaluate.training.trainer import ComputeConfig, Trainer
from bneck.results import DataSettings
from bneck.results.store.training_run import TrainingRun, TrainingSettings
from bneck.search.console.terminal import Console
from bneck.search.console.training_progress import TrainingProgress
from bneck.search.jobs.training_loop import run_epochs, save_progress
from bneck.search_space.network import Network

from ..evaluate.example_training import SMALL, noise_data, toy


def begun(path: Path, recipe: Recipe, network: Network | None = None) -> TrainingRun:
    """A folder with a checkpoint from before the first epoch."""
    settings = TrainingSettings(
        created="now",
        name="toy",
        architecture=SMALL,
        initial_weights="random weights",
        data=DataSettings("noise"),
        recipe=recipe,
        seed=3,
        compute=ComputeConfig(),
        threads=1,
        processes=1,
        host={},
        versions={},
    )
    folder = TrainingRun.create(path, settings)
    save_progress(folder, Trainer(network or toy(), noise_data(), recipe, seed=3), [])
    return folder


class Watched(TrainingProgress):
    """Shows nothing, and calls a function with the number of each step."""

    def __init__(self, epochs: int, on_step: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(Console(file=io.StringIO()), epochs=epochs, images=20, quiet=True)
        self.steps, self.on_step, self.points = 0, on_step, list[Epoch]()

    def batch(self, images: int) -> None:
        self.steps += 1
        self.on_step(self.steps)
        super().batch(images)

    def end_epoch(self, point: Epoch, data_wait_fraction: float = 0.0) -> None:
        self.points.append(point)
        super().end_epoch(point, data_wait_fraction)


def run(folder: TrainingRun, data: Data | None = None, shown: Watched | None = None) -> Watched:
    shown = shown or Watched(folder.settings.recipe.epochs)
    run_epochs(TrainingRun.open(folder.folder), data or noise_data(), shown)
    return shown
