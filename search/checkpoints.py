"""Trained networks by name: a search's trial, a training's folder, or a file."""

from pathlib import Path

from ..evaluate.checkpoint import Checkpoint, load_checkpoint
from ..results import Run
from ..results.training import TrainingFolder, is_training
from ..search_space import RunError


def find_checkpoint(words: str) -> Checkpoint:
    """`RUN#TRIAL`, a folder of `bneck train`, or a `.safetensors` file of bneck.

    Raises:
        BneckError: none of these, or it cannot be read.
    """
    folder, mark, trial = words.rpartition("#")
    if mark:
        run = Run.open(Path(folder))
        return load_checkpoint(run.checkpoint(run.record(trial).architecture))
    path = Path(words)
    if path.is_dir():
        if is_training(path):
            return TrainingFolder.open(path).model()
        raise RunError(f"{words} is no training; give a folder of `bneck train`, a file or RUN#TRIAL")
    return load_checkpoint(path)


def checkpoint_path(words: str) -> Path:
    """The file behind the name, whose size is the network's on disk."""
    folder, mark, trial = words.rpartition("#")
    if mark:
        run = Run.open(Path(folder))
        return run.checkpoint(run.record(trial).architecture)
    path = Path(words)
    return TrainingFolder.open(path).model_file if path.is_dir() else path
