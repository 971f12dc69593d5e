"""Processes that die, and disks that fill up, at one chosen change of the file system.

Python reports every change to audit hooks, which can refuse it. A death is an exception that also refuses
every later change, so that no clean-up runs: the disk looks as after SIGKILL.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "shutil.rmtree",
    "sqlite3.connect",
}  # fmt: skip
REMOVALS = {"os.remove", "os.rmdir", "shutil.rmtree"}


class Died(BaseException):
    """The process was killed."""


@dataclass
class Fault:
    """One fault.

    Attributes:
        root: changes elsewhere do not count.
        at: the change that fails, from 1.
        full_disk: raise ENOSPC, and allow what frees space; else die.
    """

    root: Path
    at: int
    full_disk: bool
    count: int = 0
    happened: bool = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in CHANGES or (self.full_disk and event in REMOVALS):
            return
        if not self.happened:
            if not str(arguments[0]).startswith(str(self.root)):
                return
            self.count += 1
            if self.count < self.at:
                return
            self.happened = True
        if self.full_disk:
            raise OSError(28, "No space left on device")
        raise Died


_active: list[Fault] = []
sys.addaudithook(lambda event, arguments: _active[0](event, arguments) if _active else None)


def each_fault(
    folder: Path,
    action: Callable[[Path], object],
    *,
    full_disk: bool = False,
    least: int = 3,
    prepare: Callable[[Path], object] = lambda _: None,
) -> Iterator[tuple[Path, BaseException]]:
    """Run an action in fresh folders, each time with a fault at its next change, until one run has none.

    Args:
        least: number of faults that there must be, or the test tests nothing.
        prepare: fills the folder before, without faults.
    Yields:
        The folder after the fault, and the exception that left the action.
    """
    for at in itertools.count(1):
        root = folder / str(at)
        root.mkdir(parents=True)
        prepare(root)
        fault = Fault(root, at, full_disk)
        _active.append(fault)
        try:
            action(root)
        except (Exception, Died) as error:
            _active.clear()
            assert fault.happened, error
            yield root, error
        finally:
            _active.clear()
        if not fault.happened:
            assert at > least
            return
