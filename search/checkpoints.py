"""Trained networks by name: a search's trial, a training's folder, or a file."""

from pathlib import Path

from ..evaluate.checkpoint import Checkpoint, load_checkpoint
from ..results import DataSettings
from ..results.training import TrainingFolder, is_training
from ..search_space import RunError
from .inspection import trial_of


def find_checkpoint(words: str) -> Checkpoint:
    """`RUN#TRIAL`, a folder of `bneck train`, or a `.safetensors` file of bneck.

    Raises:
        BneckError: none of these, or it cannot be read.
    """
    path = Path(words)
    if path.is_dir() and is_training(path):
        return TrainingFolder.open(path).model()
    return load_checkpoint(checkpoint_path(words))


def checkpoint_path(words: str) -> Path:
    """The file behind the name, whose size is the network's on disk."""
    path = Path(words)
    if path.is_dir():
        if is_training(path):
            return TrainingFolder.open(path).model_file
        raise RunError(f"{words} is no training; give a folder of `bneck train`, a file or RUN#TRIAL")
    if trial := trial_of(words):
        run, number = trial
        return run.checkpoint(run.record(number).architecture)
    return path


def data_behind(words: str) -> DataSettings | None:
    """The images that the network was trained on; None for a file, which knows their name alone."""
    path = Path(words)
    if path.is_dir() and is_training(path):
        return TrainingFolder.open(path).settings.data
    if trial := trial_of(words):
        return trial[0].settings.data
    return None
