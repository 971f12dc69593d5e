"""A study of noise: networks that are trained again with other seeds, kept in a folder.

`seed-variance.yaml` says what was asked for, `trainings.csv` holds one row a training.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from ...evaluate import Recipe
from ...search_space import Architecture, RunError, cost
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.dataclass_reader import read_dataclass, read_versioned_file
from ...search_space.serialization.yaml_nodes import dump
from .directories import create_directory
from .settings import DataSettings

FORMAT = "seed-variance/1"
SETTINGS_FILE = "seed-variance.yaml"


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


@dataclass(frozen=True)
class SeedVarianceStudy:
    """An opened folder."""

    folder: Path
    settings: SeedVarianceSettings

    @classmethod
    def create(cls, folder: Path, settings: SeedVarianceSettings) -> "SeedVarianceStudy":
        """Make the folder and write `seed-variance.yaml`.

        Raises:
            RunError: the folder exists, or cannot be made.
        """
        create_directory(folder, f"bneck seed-variance {folder} --resume")
        study = cls(folder, settings)
        try:
            study.save_settings()
        except RunError:
            folder.rmdir()
            raise
        return study

    @classmethod
    def open(cls, folder: Path) -> "SeedVarianceStudy":
        """Open a folder that `bneck seed-variance` made.

        Raises:
            RunError: it is none.
            FileFormatError: its `seed-variance.yaml` is damaged; names line and key.
        """
        if not (folder / SETTINGS_FILE).is_file():
            raise RunError(
                f"{folder} is no study of noise (it has no {SETTINGS_FILE}); `bneck seed-variance` makes one"
            )
        return cls(folder, _read(folder / SETTINGS_FILE))

    @property
    def trainings_file(self) -> Path:
        return self.folder / "trainings.csv"

    @property
    def result_file(self) -> Path:
        """What came out, for programs."""
        return self.folder / "seed-variance.json"

    @property
    def page_file(self) -> Path:
        return self.folder / "seed-variance.html"

    def save_settings(self) -> None:
        form = {"bneck": FORMAT, **asdict(self.settings)}
        form["networks"] = [network.to_dict() for network in self.settings.networks]
        write_atomic(self.folder / SETTINGS_FILE, dump(form))

    def with_more_seeds(self, seeds: int) -> "SeedVarianceStudy":
        """The same with more seeds, saved.

        Raises:
            RunError: they are fewer than it began with.
        """
        if seeds < self.settings.seeds:
            words = f"has {self.settings.seeds} seeds; --seeds must be as many or more, got {seeds}"
            raise RunError(f"{self.folder} {words}")
        study = SeedVarianceStudy(self.folder, replace(self.settings, seeds=seeds))
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


def _read(path: Path) -> SeedVarianceSettings:
    readers: dict[str, Any] = {
        "networks": lambda entry: tuple(read_architecture(item) for item in entry.items()),
        "data": lambda entry: read_dataclass(DataSettings, entry),
        "recipe": lambda entry: read_dataclass(Recipe, entry),
    }
    return read_versioned_file(SeedVarianceSettings, path, FORMAT, readers)
