"""Progress that also goes to the standard logger `bneck`."""

import logging
from types import TracebackType
from typing import Self

from ..console.progress import Progress, Status

logger = logging.getLogger("bneck")


class LoggedProgress(Progress):
    """Logs messages and phases, and passes them on.

    Args:
        display: None to log only.
    """

    def __init__(self, display: Progress | None = None) -> None:
        self.display = display
        self.phase = ""

    def __enter__(self) -> Self:
        if self.display:
            self.display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.display:
            self.display.__exit__(kind, error, trace)

    def update_status(self, status: Status) -> None:
        if status.phase != self.phase:
            self.phase = status.phase
            logger.info("%s: %d of %d done", status.phase, status.done, status.total)
        if self.display:
            self.display.update_status(status)

    def print_line(self, line: str) -> None:
        logger.info("%s", line)
        if self.display:
            self.display.print_line(line)
