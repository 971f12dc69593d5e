"""Time limit of a whole search or study."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ...search_space import GoalError

MIN_MINUTES, MAX_MINUTES = 0.01, 10**6
Clock = Callable[[], float]


def _nothing() -> float:
    return 0.0


@dataclass
class Deadline:
    """A time at which everything has ended, the final phases included.

    Attributes:
        minutes: from now; None for no limit.
        work_was_skipped: whether any work was not started, or was stopped, because of it.
        skipped: names of skipped work of the final phases.
        reserve: seconds that the phases after the running one need.
    """

    minutes: float | None = None
    clock: Clock = time.monotonic
    work_was_skipped: bool = False
    skipped: list[str] = field(default_factory=list)
    reserve: Callable[[], float] = _nothing
    end: float = field(init=False)

    def __post_init__(self) -> None:
        """Raises `GoalError` if the limit is out of bounds, NaN included."""
        if self.minutes is not None and not MIN_MINUTES <= self.minutes <= MAX_MINUTES:
            raise GoalError(
                f"--timeout (timeout_minutes) must be {MIN_MINUTES:g} to {MAX_MINUTES:,} minutes, "
                f"got {self.minutes:g}"
            )
        self.end = self.clock() + 60 * self.minutes if self.minutes else math.inf

    def blocks_new_work(self, seconds: float = 0.0) -> bool:
        """Whether work that takes about this long would end too late; call it only if there is work."""
        return self._has_passed(-seconds)

    def stops_work(self, seconds: float) -> bool:
        """Whether running work, which takes about this long, is late by as much again; it is then stopped."""
        return self._has_passed(seconds)

    def seconds_until_stop(self, seconds: float) -> float:
        """When running work, which takes about this long, is stopped."""
        return self.seconds_left() + seconds

    def seconds_left(self) -> float:
        """Until the phases after the running one have to begin; infinite without a limit."""
        return math.inf if self.end == math.inf else self.end - self.reserve() - self.clock()

    def skip(self, name: str) -> None:
        """Note skipped work of a final phase."""
        self.work_was_skipped = True
        self.skipped.append(name)

    def part(self, fraction: float) -> "Deadline":
        """A deadline after a fraction of the time that is left; without a limit it has none."""
        part = Deadline(None, self.clock)
        if self.end < math.inf:
            now = self.clock()
            part.end = now + fraction * (self.end - now)
        return part

    def _has_passed(self, seconds: float) -> bool:
        if self.end == math.inf or self.clock() < self.end - self.reserve() + seconds:
            return False
        self.work_was_skipped = True
        return True
