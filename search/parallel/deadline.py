"""The minutes that a person gives a search."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]


@dataclass
class Deadline:
    """After so many minutes nothing new begins; what runs ends.

    Attributes:
        minutes: from now on; None for no limit.
        work_was_skipped: whether something did not begin because they were gone.
    """

    minutes: float | None = None
    clock: Clock = time.monotonic
    work_was_skipped: bool = False
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.clock() + 60 * self.minutes if self.minutes else math.inf

    def blocks_new_work(self) -> bool:
        """Whether what would begin now must not; asked only where something would."""
        if self.clock() < self.end:
            return False
        self.work_was_skipped = True
        return True
