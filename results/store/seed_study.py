"""A study of noise: networks that are trained again with other seeds, kept in a folder.

`seed-variance.yaml` says what was asked for, `trainings.csv` holds one row a training.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from ...evaluate import Recipe
from ...search_space import Architecture, RunError, cost
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.dataclass_reader import read_dataclass, read_versioned_file
from ...search_space.serialization.yaml_nodes import dump
from .experiment import SEED_STUDY_FILE, Experiment
from .settings import DataSettings

FORMAT = "seed-variance/1"


@dataclass(frozen=True)
class SeedTraining:
    """One training, or what another scorer said.

    Attributes:
        network: key of the architecture.
        value: of the scorer; NaN where the training failed.
        accuracy, loss: on the validation images; NaN where the scorer tells none.
        cpu_seconds: that it took.
        error: why it failed; empty otherwise.
    """

    network: str
    macs: int
    seed: int
    value: float = math.nan
    accuracy: float = math.nan
    loss: float = math.nan
    cpu_seconds: float = math.nan
    error: str = ""


@dataclass(frozen=True)
class SeedVarianceSettings:
    """What a study trains: enough to repeat it.

    Attributes:
        space: its name.
        limits: on the networks, in words.
        networks: in the order of training.
        seeds: 0, 1, ..., so many.
        evaluator: that judges each, such as `train`.
        n_trials: networks that the search would judge that the study is made for.
    """

    created: str
    space: str
    limits: str
    networks: tuple[Architecture, ...]
    seeds: int
    evaluator: str
    data: DataSettings
    recipe: Recipe
    n_trials: int
    torch_device: str
    host: Mapping[str, str]
    versions: Mapping[str, str]


class SeedStudy(Experiment[SeedVarianceSettings]):
    """A seed study: networks trained with several seeds each, one row of `trainings.csv` a training."""

    SETTINGS_NAME = SEED_STUDY_FILE
    COMMAND = "bneck seed-variance"

    @classmethod
    def _read_settings(cls, path: Path) -> SeedVarianceSettings:
        readers: dict[str, Any] = {
            "networks": lambda entry: tuple(read_architecture(item) for item in entry.items()),
            "data": lambda entry: read_dataclass(DataSettings, entry),
            "recipe": lambda entry: read_dataclass(Recipe, entry),
        }
        return read_versioned_file(SeedVarianceSettings, path, FORMAT, readers)

    def _settings_yaml(self) -> str:
        networks = [network.to_dict() for network in self.settings.networks]
        return dump({"bneck": FORMAT, **asdict(self.settings), "networks": networks})

    @property
    def metadata(self) -> dict[str, str]:
        """Space, limits, data set and evaluator by name."""
        settings = self.settings
        return {
            "space": settings.space,
            "limits": settings.limits,
            "data": settings.data.name,
            "evaluator": settings.evaluator,
        }

    @property
    def trainings_file(self) -> Path:
        return self.folder / "trainings.csv"

    def with_more_seeds(self, seeds: int) -> "SeedStudy":
        """The same with more seeds, saved.

        Raises:
            RunError: they are fewer than it began with.
        """
        if seeds < self.settings.seeds:
            words = f"has {self.settings.seeds} seeds; --seeds must be as many or more, got {seeds}"
            raise RunError(f"{self.folder} {words}")
        study = self.with_settings(seeds=seeds)
        study.save_settings()
        return study

    def trainings(self) -> list[SeedTraining]:
        """Those that are over, in the order they ended.

        Raises:
            RunError: a row of the table is damaged.
        """
        if not self.trainings_file.is_file():
            return []
        text = self.trainings_file.read_text(encoding="utf-8")
        return [
            _row(self.trainings_file, line, row)
            for line, row in enumerate(csv.DictReader(io.StringIO(text)), 2)
        ]

    def save_trainings(self, trainings: Iterable[SeedTraining]) -> None:
        """Write the table of trainings, over the one before; it is never half written."""
        text = io.StringIO()
        names = [field.name for field in fields(SeedTraining)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(each) for each in trainings)
        write_atomic(self.trainings_file, text.getvalue())

    def macs(self) -> list[int]:
        """Of the networks, in their order."""
        return [cost(network).macs for network in self.settings.networks]


def _row(path: Path, line: int, row: Mapping[str, str | None]) -> SeedTraining:
    hints = get_type_hints(SeedTraining)
    try:
        return SeedTraining(**{name: hints[name](row[name]) for name in hints})
    except (KeyError, TypeError, ValueError):
        columns = ", ".join(hints)
        raise RunError(f"{path}:{line}: is no row of {columns}; remove it, and it is trained again") from None
