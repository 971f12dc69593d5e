"""The base of the folders that bneck works in: search runs, trainings, NetAdapt runs and seed studies."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from ...search_space import RunError
from ...search_space.printable import utf8_problem
from ...search_space.serialization.atomic_write import write_atomic
from .new_folder import LOCK_NAME, NumberedFolder, Place, make_folder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RUN_FILE, TRAINING_FILE = "run.yaml", "training.yaml"
NETADAPT_FILE, SEED_STUDY_FILE = "netadapt.yaml", "seed-variance.yaml"
KINDS = {
    RUN_FILE: "search run",
    TRAINING_FILE: "training",
    NETADAPT_FILE: "NetAdapt run",
    SEED_STUDY_FILE: "seed study",
}

S = TypeVar("S", bound="DataclassInstance")


def settings_name(folder: Path) -> str | None:
    """The name of the settings file in a folder, which tells the kind of experiment; None without one."""
    return next((name for name in KINDS if (folder / name).is_file()), None)


def is_training(folder: Path) -> bool:
    """Whether a folder is a training, made by `bneck train`."""
    return settings_name(folder) == TRAINING_FILE


def existing_folder_error(folder: Path, resume_command: str) -> RunError:
    """The error that a folder exists, with the command that resumes it."""
    return RunError(f"{folder} exists; choose another --out, or resume it: {resume_command}")


@dataclass(frozen=True, repr=False)
class Experiment(ABC, Generic[S]):
    """An opened folder with its settings.

    A subclass names its settings file and the command that creates the folder, and reads and writes the
    settings.

    Attributes:
        folder: the folder on disk.
        settings: what the settings file holds; enough to repeat the experiment.
    """

    folder: Path
    settings: S

    SETTINGS_NAME: ClassVar[str]
    COMMAND: ClassVar[str]
    SUBFOLDERS: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    @classmethod
    def create(cls, place: Place, settings: S, fill: Callable[[Self], None] | None = None) -> Self:
        """Make the folder with its settings file; it gets its name when it is whole.

        Args:
            fill: writes further content; the folder that it receives has a temporary name.
        Raises:
            RunError: the folder exists or cannot be created; nothing is left behind.
        """
        cls.require_absent(place)

        def write(folder: Path) -> None:
            created = cls(folder, settings)
            created.save_settings()
            for name in cls.SUBFOLDERS:
                (folder / name).mkdir()
            if fill is not None:
                fill(created)

        return cls(make_folder(place, write, cls._existing_error), settings)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open an existing folder.

        Raises:
            RunError: the folder is missing or holds no experiment of this kind.
            FileFormatError: the settings file is damaged or has another format version.
        """
        folder = Path(folder)
        if not (folder / cls.SETTINGS_NAME).is_file():
            other = settings_name(folder)
            problem = f"but a {KINDS[other]}" if other else f"(no {cls.SETTINGS_NAME})"
            raise RunError(
                f"{folder} is not a {KINDS[cls.SETTINGS_NAME]} {problem}; create one with `{cls.COMMAND}`"
            )
        return cls(folder, cls._read_settings(folder / cls.SETTINGS_NAME))

    @classmethod
    def require_absent(cls, place: Place) -> None:
        """Raise `RunError` if the folder exists, or has a name that files cannot be read by."""
        if problem := utf8_problem(str(place.stem if isinstance(place, NumberedFolder) else place)):
            raise RunError(problem)
        if isinstance(place, Path) and os.path.lexists(place):
            raise cls._existing_error(place)

    @classmethod
    def _existing_error(cls, folder: Path) -> RunError:
        return existing_folder_error(folder, f"{cls.COMMAND} {folder} --resume")

    @classmethod
    @abstractmethod
    def _read_settings(cls, path: Path) -> S: ...

    @abstractmethod
    def _settings_yaml(self) -> str: ...

    def with_settings(self, **changes: Any) -> Self:
        """The same folder with changed settings; the settings file is not written."""
        return type(self)(self.folder, replace(self.settings, **changes))

    def save_settings(self) -> None:
        """Replace the settings file.

        Raises:
            RunError: it cannot be written.
        """
        write_atomic(self.folder / self.SETTINGS_NAME, self._settings_yaml())

    @property
    def lock_file(self) -> Path:
        """Locked by the process that works in the folder."""
        return self.folder / LOCK_NAME

    @property
    def report_file(self) -> Path:
        """The HTML report; written when the experiment has finished."""
        return self.folder / "report.html"

    @property
    def result_file(self) -> Path:
        """The results as JSON; written when the experiment has finished."""
        return self.folder / "result.json"

    def result(self) -> dict[str, Any] | None:
        """The content of `result.json`; None before the experiment has finished."""
        if not self.result_file.is_file():
            return None
        content: dict[str, Any] = json.loads(self.result_file.read_text(encoding="utf-8"))
        return content

    def save_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`.

        Raises:
            RunError: it cannot be written.
        """
        write_atomic(self.result_file, json.dumps(result, indent=2) + "\n")
