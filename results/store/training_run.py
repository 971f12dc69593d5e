"""A training: settings, checkpoint of the last epoch, weights of the best epoch, learning curve."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from ...evaluate import Epoch, Recipe
from ...evaluate.data.dataset import class_difference
from ...evaluate.training.checkpoint import Checkpoint, load_checkpoint
from ...evaluate.training.trainer import ComputeConfig
from ...evaluate.trust import Kind
from ...search_space import Architecture, RunError
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.dataclass_reader import read_versioned_file
from ...search_space.serialization.yaml_nodes import dump
from .experiment import TRAINING_FILE, Experiment
from .settings import DataSettings, read_data_settings

FORMAT = "training/1"
_NOT_COMPARED = ("created", "host", "versions")


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that repeats a training.

    Attributes:
        name: the network as the user named it.
        initial_weights: `random weights`, `ImageNet weights of torchvision`, or a checkpoint.
        threads: per process.
        processes: data-parallel processes that share every batch.
        teacher: name of the network whose soft labels are learned, too; its weights are in the folder.
        soft_label_weight: weight of the soft labels in the loss; 0 without a teacher.
    """

    OPTIONAL_KEYS: ClassVar[tuple[str, ...]] = ("teacher", "soft_label_weight")

    created: str
    name: str
    architecture: Architecture
    initial_weights: str
    data: DataSettings
    recipe: Recipe
    seed: int
    compute: ComputeConfig
    threads: int
    processes: int
    host: Mapping[str, str]
    versions: Mapping[str, str]
    teacher: str = ""
    soft_label_weight: float = 0.0

    def difference(self, other: "TrainingSettings") -> str | None:
        """The first setting that changes the result of the training, as text; None if there is none."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine == theirs or field.name in _NOT_COMPARED:
                continue
            if isinstance(mine, Architecture):
                return f"the network is {mine.key} at {mine.resolution_px} px, not {theirs.key}"
            if is_dataclass(mine):
                name = next(f.name for f in fields(mine) if getattr(mine, f.name) != getattr(theirs, f.name))
                if name == "class_names":
                    return class_difference(self.data.class_names, other.data.class_names)
                return f"{name} is {getattr(mine, name)}, not {getattr(theirs, name)}"
            return f"{field.name.replace('_', ' ')} is {mine}, not {theirs}"
        return None


class TrainingRun(Experiment[TrainingSettings]):
    """A training: checkpoint of the last epoch, weights of the best epoch, learning curve."""

    SETTINGS_NAME = TRAINING_FILE
    COMMAND = "bneck train"
    RESULT_KEYS = ("epochs", "seconds", "validation_top1", "test")

    @classmethod
    def _read_settings(cls, path: Path) -> TrainingSettings:
        readers = {"architecture": read_architecture, "data": read_data_settings}
        return read_versioned_file(TrainingSettings, path, FORMAT, readers)

    @property
    def named_values(self) -> Mapping[Kind, str]:
        return {"data set": self.settings.data.name}

    def _settings_yaml(self) -> str:
        architecture = self.settings.architecture.to_dict()
        return dump({"bneck": FORMAT, **asdict(self.settings), "architecture": architecture})

    @property
    def checkpoint_file(self) -> Path:
        """Weights and optimizer state after the last epoch."""
        return self.folder / "checkpoint.safetensors"

    @property
    def model_file(self) -> Path:
        """Weights of the epoch with the best validation accuracy."""
        return self.folder / "model.safetensors"

    def checkpoint(self) -> Checkpoint:
        return load_checkpoint(self.checkpoint_file)

    def require_model_file(self) -> Path:
        """`model_file`, which exists.

        Raises:
            RunError: no epoch is complete.
        """
        if not self.model_file.is_file():
            raise RunError(f"{self.folder}: no epoch is complete yet; {self.resume_command}")
        return self.model_file

    def model(self) -> Checkpoint:
        """The checkpoint of the best epoch.

        Raises:
            RunError: no epoch is complete.
        """
        return load_checkpoint(self.require_model_file())

    def write_curve(self, curve: Sequence[Epoch]) -> None:
        """Write `curve.csv`, one row per epoch."""
        table = pd.DataFrame([{"epoch": n, **asdict(point)} for n, point in enumerate(curve, 1)])
        write_atomic(self.folder / "curve.csv", table.to_csv(index=False))


def best_epoch(curve: Sequence[Epoch]) -> int:
    """The epoch, from 1, with the best validation accuracy; the last one among ties."""
    scores = [point.validation_top1 or 0.0 for point in curve]
    return max(range(len(scores)), key=lambda index: (scores[index], index)) + 1
