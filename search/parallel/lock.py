"""Lock of an experiment folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...results.store.experiment import Experiment
from ...results.store.new_folder import LOCK_NAME
from ...search_space import RunError
from ...search_space.errors import MachineError
from ...search_space.serialization.atomic_write import PART_PATTERN

_ABANDONED_SECONDS = 60.0


@contextmanager
def run_lock(experiment: Experiment[Any], activity: str = "searching") -> Iterator[None]:
    """Hold an exclusive lock of an experiment folder; the lock of a killed process is released.

    Args:
        activity: for the message: `searching`, `training`.
    Raises:
        RunError: another process holds it, or the folder cannot be written to.
    """
    folders = [experiment.folder, *(experiment.folder / name for name in experiment.SUBFOLDERS)]
    with folder_lock(experiment.folder, activity):
        _remove_abandoned_files(folders)
        yield


@contextmanager
def folder_lock(folder: Path, activity: str) -> Iterator[None]:
    """Hold an exclusive lock of a folder.

    Raises:
        RunError: another process holds it, or the folder cannot be written to.
    """
    try:
        # a link in somebody else's folder is not followed
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise MachineError(f"{folder} cannot be written to: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder}: another process is {activity} there") from None
        except OSError:
            pass  # a file system without locks
        yield


def _remove_abandoned_files(folders: list[Path]) -> None:
    """Remove what killed processes left of files that they were writing."""
    for folder in folders:
        for part in folder.glob(PART_PATTERN):
            with suppress(OSError):
                if part.is_file() and time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                    part.unlink()
