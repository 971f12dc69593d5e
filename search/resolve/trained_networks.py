"""Trained networks by name: a search's trial, a training's folder, or a file."""

from dataclasses import dataclass
from pathlib import Path

from ...results import DataSettings
from ...results.store.directories import is_training
from ...results.store.training_run import TrainingFolder
from ...search_space import RunError
from ..commands.inspect import trial_of


@dataclass(frozen=True)
class TrainedFile:
    """A file with a trained network.

    Attributes:
        data: what it was trained on; None for a file alone, which knows the name.
    """

    path: Path
    data: DataSettings | None = None


def trained_file(words: str) -> TrainedFile:
    """`RUN#TRIAL`, a folder of `bneck train`, or a `.safetensors` file of bneck.

    Raises:
        BneckError: none of these.
    """
    path = Path(words)
    if is_training(path):
        training = TrainingFolder.open(path)
        return TrainedFile(training.kept_file(), training.settings.data)
    if path.is_dir():
        raise RunError(f"{words} is no training; give a folder of `bneck train`, a file or RUN#TRIAL")
    if trial := trial_of(words):
        run, number = trial
        return TrainedFile(run.checkpoint(run.record(number).architecture), run.settings.data)
    return TrainedFile(path)
