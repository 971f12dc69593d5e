"""Checkpoints by name: trial of a search, folder of a training, or file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...evaluate import Recipe
from ...results import DataSettings
from ...results.store.experiment import RUN_FILE, is_training, settings_name
from ...results.store.recorded_data import manifest_beside
from ...results.store.training_run import TrainingRun
from ...search_space import GoalError, RunError
from .networks import resolve_trial

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data
    from ...evaluate.data.training_images import TrainingImages
    from ...evaluate.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class ResolvedCheckpoint:
    """A checkpoint file.

    Attributes:
        data: images that it was trained on; None for a file alone, which holds their name only.
    """

    path: Path
    data: DataSettings | None = None

    def training_images(self, checkpoint: "Checkpoint") -> "TrainingImages":
        """What the checkpoint and its folder record of the images that it was trained on.

        Raises:
            RunError: the record is damaged.
        """
        from ...evaluate.data.training_images import TrainingImages

        manifest = manifest_beside(self.path)
        if manifest and manifest.fingerprint != checkpoint.fingerprint:  # of another training
            manifest = None
        return TrainingImages(checkpoint.data, checkpoint.fingerprint, manifest)


@dataclass(frozen=True)
class SearchedNetwork:
    """What a search knows of the training of a network that it found.

    Attributes:
        recipe: that it was trained by; None if the search trained no network.
        data: of the search.
        has_weights: whether the search stored its weights.
    """

    recipe: Recipe | None
    data: DataSettings
    has_weights: bool


def searched_network(name: str) -> SearchedNetwork | None:
    """The network of `RUN#TRIAL`; None for other names.

    Raises:
        BneckError: there is no such run or trial.
    """
    from ...evaluate.scorers.fine_tuning import FREEZE

    if (trial := resolve_trial(name)) is None:
        return None
    run, number = trial
    architecture, recipe = run.record(number).architecture, run.settings.recipe
    if architecture.fine_tuning:
        recipe = replace(recipe, freeze=FREEZE[architecture.fine_tuning.tuned])
    return SearchedNetwork(
        recipe if run.settings.evaluator == "train" else None,
        run.settings.data,
        run.checkpoint(architecture).is_file(),
    )


def require_held_out(file: ResolvedCheckpoint, checkpoint: "Checkpoint", data: "Data") -> None:
    """Refuse data whose validation or test images a network was trained on.

    Raises:
        GoalError: the images of the splits have moved since the training of the network.
    """
    if leak := file.training_images(checkpoint).leak(data):
        raise GoalError(f"{file.path}: {leak}; restore the data, or start from an untrained network")


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
        architecture = run.record(number).architecture
        return ResolvedCheckpoint(run.checkpoint(architecture), run.settings.data_for(architecture))
    return ResolvedCheckpoint(path)


def resolve_model_file(name_or_path: str) -> Path:
    """The file of a search's most accurate network, of `RUN#TRIAL` or a training; or an ONNX model.

    Raises:
        BneckError: none of these.
    """
    path = Path(name_or_path)
    if path.suffix == ".onnx":
        return path
    if settings_name(path) == RUN_FILE:
        name_or_path = f"{name_or_path}#best"
    return resolve_checkpoint(name_or_path).path
