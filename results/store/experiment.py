"""The base of the folders that bneck works in: search runs, trainings, NetAdapt runs and seed studies."""

import json
import os
import shlex
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from ...evaluate.trust import Kind, from_file, is_active, require_trusted, trusting
from ...search_space import RunError
from ...search_space.errors import first_line
from ...search_space.printable import utf8_problem
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.bounded_json import load_json
from .new_folder import LOCK_NAME, NumberedFolder, Place, make_folder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ...evaluate.data.dataset import Data
    from ...evaluate.data.manifest import Manifest

RUN_FILE, TRAINING_FILE = "run.yaml", "training.yaml"
NETADAPT_FILE, SEED_STUDY_FILE = "netadapt.yaml", "seed-variance.yaml"
MANIFEST_NAME = "split-manifest.safetensors"
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
    RESULT_KEYS: ClassVar[tuple[str, ...]] = ()

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
    def open(cls, folder: Path | str, *, trust: bool = False) -> Self:
        """Open an existing folder.

        Args:
            trust: use the commands, code, databases and links of the folder, which may come from somebody
                else; without it, whatever needs one raises `TrustError`.
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
        with trusting(trust):
            return cls(folder, cls._read_settings(folder / cls.SETTINGS_NAME))

    @property
    @abstractmethod
    def named_values(self) -> Mapping[Kind, str]:
        """Settings that may name commands, code or places elsewhere."""

    def require_trusted(self) -> None:
        """Check all of it before work goes on in the folder.

        Raises:
            TrustError: the folder names a command, code or a database, or has a link out of it, and the
                user has not given that too.
        """
        for value in self.named_values.values():
            require_trusted(value)
        for link in self._links_outside():
            require_trusted(from_file(str(link.readlink()), "link", str(link)))

    @property
    def resume_command(self) -> str:
        """The command that resumes the work, with `--trust` where it is needed."""
        trust = " --trust" if self.resume_needs_trust else ""
        return f"{self.COMMAND} {shlex.quote(str(self.folder))} --resume{trust}"

    @property
    def resume_needs_trust(self) -> bool:
        """Whether resuming needs `--trust`, or the commands, code or databases of the settings again."""
        active = any(is_active(kind, value) for kind, value in self.named_values.items())
        return active or bool(self._links_outside())

    def _links_outside(self) -> list[Path]:
        """Links in the folder to files elsewhere, which work in it would write to."""
        folder = self.folder.resolve()
        with suppress(OSError):
            links = sorted(path for path in self.folder.iterdir() if path.is_symlink())
            return [path for path in links if not path.resolve().is_relative_to(folder)]
        return []

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
        write_atomic(self.folder / self.SETTINGS_NAME, self._settings_yaml(), owner_only=True)

    @property
    def teacher_file(self) -> Path:
        """The teacher, if there is one: a file of bneck, or an ONNX model."""
        file = self.folder / "teacher.onnx"
        return file if file.is_file() else self.folder / "teacher.safetensors"

    def store_teacher(self, path: Path) -> None:
        """Copy a teacher into the folder."""
        teacher = self.folder / f"teacher{path.suffix if path.suffix == '.onnx' else '.safetensors'}"
        shutil.copyfile(path, teacher)

    @property
    def manifest_file(self) -> Path:
        """The files of the data set with their splits; missing if the images are not files."""
        return self.folder / MANIFEST_NAME

    def save_manifest(self, data: "Data") -> None:
        """Record which file of the data set is in which split.

        Raises:
            RunError: the file cannot be written.
        """
        from ...evaluate.data.manifest import Manifest

        if manifest := Manifest.of(data):
            manifest.save(self.manifest_file)

    def manifest(self) -> "Manifest | None":
        """The files of the data set at the start; None if the images were no files.

        Raises:
            RunError: the file is damaged.
        """
        from ...evaluate.data.manifest import Manifest

        return Manifest.load(self.manifest_file) if self.manifest_file.is_file() else None

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
        """The content of `result.json`; None before the experiment has finished.

        Raises:
            RunError: it is damaged.
        """
        if not self.result_file.is_file():
            return None
        try:
            content: dict[str, Any] = load_json(self.result_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged_result(first_line(error)) from None
        missing = [key for key in self.RESULT_KEYS if not isinstance(content, dict) or key not in content]
        if missing:
            raise self._damaged_result(f"{missing[0]} is missing")
        return content

    def _damaged_result(self, reason: str) -> RunError:
        return RunError(f"{self.result_file}: damaged or unreadable ({reason}); remove it, then resume")

    def save_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`.

        Raises:
            RunError: it cannot be written.
        """
        write_atomic(self.result_file, json.dumps(result, indent=2) + "\n")
