"""One process at a time in a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...results.store.experiment import LOCK_NAME
from ...search_space import RunError


@contextmanager
def run_lock(folder: Path, activity: str = "searching") -> Iterator[None]:
    """Keep a second process from working in the same folder; a killed one frees it.

    Args:
        activity: what is done there, for the message.
    Raises:
        RunError: another process works there.
    """
    with (folder / LOCK_NAME).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder}: another process is {activity} there") from None
        yield
