"""New folders are built under a temporary name and renamed when they are whole."""

import fcntl
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...search_space import RunError
from ...search_space.errors import MachineError
from ...search_space.serialization.atomic_write import PART_PATTERN, part_name

LOCK_NAME = "lock"


@dataclass(frozen=True)
class NumberedFolder:
    """`STEM-1`, or `STEM-N` with the first number that is free when the folder is made."""

    stem: Path

    def candidates(self) -> Iterator[Path]:
        return (self.stem.with_name(f"{self.stem.name}-{number}") for number in itertools.count(1))


Place = Path | NumberedFolder
"""Where a new folder goes: a path that must not exist, or the first free number."""


def make_folder(place: Place, fill: Callable[[Path], None], exists: Callable[[Path], RunError]) -> Path:
    """Make a folder that is never seen half made: a crash leaves only a hidden `.bneck-*.part` folder.

    Such folders of dead processes are removed by the next call beside them.

    Args:
        fill: writes the content into the temporary folder.
        exists: the error if the path exists.
    Returns:
        The path of the folder.
    Raises:
        RunError: the path exists, or the folder cannot be made; nothing is left behind.
    """
    first = next(_candidates(place))
    try:
        with suppress(FileExistsError):  # a file: the next step says so
            first.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(first.parent)
        with _temporary_folder(first.parent) as temporary:
            try:
                fill(temporary)
            except RunError as error:
                raise type(error)(str(error).replace(str(temporary), str(first))) from None
            for path in _candidates(place):
                if _renamed(temporary, path):
                    return path
            raise exists(first)
    except OSError as error:
        raise MachineError(f"{first} cannot be created: {error.strerror or error}") from None


def _candidates(place: Place) -> Iterator[Path]:
    return place.candidates() if isinstance(place, NumberedFolder) else iter((place,))


def _renamed(folder: Path, path: Path) -> bool:
    """Rename the folder unless something exists at the path; of two processes, one succeeds."""
    if os.path.lexists(path):
        return False
    try:
        folder.rename(path)
    except OSError:
        if os.path.lexists(path):
            return False
        raise
    return True


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A locked folder that is removed at the end, unless it was renamed."""
    folder, lock = _locked_folder(parent)
    try:
        with lock:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(parent: Path) -> tuple[Path, IO[str]]:
    """A new folder and its open lock file, which tells other processes that the folder is in use."""
    while True:
        folder = parent / part_name()
        folder.mkdir()
        try:
            lock = (folder / LOCK_NAME).open("w")
        except FileNotFoundError:
            continue  # removed by another process before it was locked
        except OSError:
            folder.rmdir()
            raise
        if _locked(lock) and (folder / LOCK_NAME).exists():
            return folder, lock
        lock.close()  # another process took it for abandoned


def _locked(file: IO[str]) -> bool:
    """Lock an open file unless another process holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders of processes that were killed."""
    for folder in parent.glob(PART_PATTERN):
        with suppress(OSError):
            folder.rmdir()  # killed before its lock was made
        with suppress(OSError), (folder / LOCK_NAME).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
