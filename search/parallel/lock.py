"""Lock of a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...results.store.experiment import LOCK_NAME
from ...search_space import RunError


@contextmanager
def run_lock(folder: Path, activity: str = "searching") -> Iterator[None]:
    """Hold an exclusive lock of a folder; the lock of a killed process is released.

    Args:
        activity: for the message: `searching`, `training`.
    Raises:
        RunError: another process holds it.
    """
    with (folder / LOCK_NAME).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder}: another process is {activity} there") from None
        yield
