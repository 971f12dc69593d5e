"""A seed study: networks trained with several seeds each, to estimate the seed variance."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import get_type_hints

from ...evaluate import Recipe
from ...evaluate.trust import Kind
from ...search_space import Architecture, RunError, cost
from ...search_space.errors import first_line
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.dataclass_reader import read_versioned_file
from ...search_space.serialization.yaml_nodes import dump
from .experiment import SEED_STUDY_FILE, Experiment
from .settings import DataSettings, read_data_settings, read_evaluator

FORMAT = "seed-variance/1"


@dataclass(frozen=True)
class SeedTraining:
    """One training, or one call of another evaluator.

    Attributes:
        network: key of the architecture.
        value: the evaluator's score; NaN for a failed training.
        accuracy, loss: on the validation images; NaN if the evaluator has none.
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
    """Everything that repeats a seed study.

    Attributes:
        space: name of the space.
        limits: constraints on the networks as text, or `none`.
        networks: in the order of training.
        seeds: number of seeds; they are 0, 1, ...
        evaluator: how accuracy is evaluated, such as `train`.
        n_trials: number of trials of the search that the study is for.
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
    """A seed study: networks trained with several seeds each, one row of `trainings.csv` per training."""

    SETTINGS_NAME = SEED_STUDY_FILE
    COMMAND = "bneck seed-variance"

    @classmethod
    def _read_settings(cls, path: Path) -> SeedVarianceSettings:
        readers = {
            "networks": lambda entry: tuple(read_architecture(item) for item in entry.items()),
            "data": read_data_settings,
            "evaluator": read_evaluator,
        }
        return read_versioned_file(SeedVarianceSettings, path, FORMAT, readers)

    @property
    def named_values(self) -> Mapping[Kind, str]:
        return {"data set": self.settings.data.name, "evaluator": self.settings.evaluator}

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
        """Raise the number of seeds, in the settings file too.

        Raises:
            RunError: `seeds` is below the present number.
        """
        if seeds < self.settings.seeds:
            raise RunError(f"{self.folder}: --seeds must be at least {self.settings.seeds}, got {seeds}")
        study = self.with_settings(seeds=seeds)
        study.save_settings()
        return study

    def trainings(self) -> list[SeedTraining]:
        """The finished trainings in the order they ended.

        Raises:
            RunError: a row of the table is damaged.
        """
        if not self.trainings_file.is_file():
            return []
        try:
            text = self.trainings_file.read_text(encoding="utf-8")
            rows = list(csv.DictReader(io.StringIO(text)))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise RunError(f"{self.trainings_file}: damaged or unreadable ({first_line(error)})") from None
        return [_row(self.trainings_file, line, row) for line, row in enumerate(rows, 2)]

    def save_trainings(self, trainings: Iterable[SeedTraining]) -> None:
        """Replace the table of trainings."""
        text = io.StringIO()
        names = [field.name for field in fields(SeedTraining)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(each) for each in trainings)
        write_atomic(self.trainings_file, text.getvalue())

    def macs(self) -> list[int]:
        """MACs of the networks, in the order of `settings.networks`."""
        return [cost(network).macs for network in self.settings.networks]


def _row(path: Path, line: int, row: Mapping[str, str | None]) -> SeedTraining:
    hints = get_type_hints(SeedTraining)
    try:
        return SeedTraining(**{name: hints[name](row[name]) for name in hints})
    except (KeyError, TypeError, ValueError):
        columns = ", ".join(hints)
        raise RunError(f"{path}:{line}: must have {columns}; remove the row to train it again") from None
