"""Time limit of a search."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]


@dataclass
class Deadline:
    """A time after which no new work starts; running work ends.

    Attributes:
        minutes: from now; None for no limit.
        work_was_skipped: whether any work was not started because of it.
    """

    minutes: float | None = None
    clock: Clock = time.monotonic
    work_was_skipped: bool = False
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.clock() + 60 * self.minutes if self.minutes else math.inf

    def blocks_new_work(self) -> bool:
        """Whether the deadline has passed; call it only if there is work to start."""
        if self.clock() < self.end:
            return False
        self.work_was_skipped = True
        return True
