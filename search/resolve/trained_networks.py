"""Checkpoints by name: trial of a search, folder of a training, or file."""

from dataclasses import dataclass
from pathlib import Path

from ...results import DataSettings
from ...results.store.experiment import is_training
from ...results.store.training_run import TrainingRun
from ...search_space import RunError
from .networks import resolve_trial


@dataclass(frozen=True)
class ResolvedCheckpoint:
    """A checkpoint file.

    Attributes:
        data: images that it was trained on; None for a file alone, which holds their name only.
    """

    path: Path
    data: DataSettings | None = None


def resolve_checkpoint(name_or_path: str) -> ResolvedCheckpoint:
    """`RUN#TRIAL`, a folder of `bneck train`, or a `.safetensors` file of bneck.

    Raises:
        BneckError: none of these.
    """
    path = Path(name_or_path)
    if is_training(path):
        training = TrainingRun.open(path)
        return ResolvedCheckpoint(training.require_model_file(), training.settings.data)
    if path.is_dir():
        raise RunError(f"{name_or_path} is no training; give a folder of `bneck train`, a file or RUN#TRIAL")
    if trial := resolve_trial(name_or_path):
        run, number = trial
        return ResolvedCheckpoint(run.checkpoint(run.record(number).architecture), run.settings.data)
    return ResolvedCheckpoint(path)
