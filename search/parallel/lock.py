"""Lock of an experiment folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...results.store.experiment import Experiment
from ...search_space import RunError


@contextmanager
def run_lock(experiment: Experiment[Any], activity: str = "searching") -> Iterator[None]:
    """Hold an exclusive lock of an experiment folder; the lock of a killed process is released.

    Args:
        activity: for the message: `searching`, `training`.
    Raises:
        RunError: another process holds it.
    """
    with experiment.lock_file.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{experiment.folder}: another process is {activity} there") from None
        yield
