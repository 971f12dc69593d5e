"""Trainings that stop early: after how many epochs only the best go on, and what that spared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from ...search_space.errors import FieldError
from ..text.formatting import count_of
from .trial import Record


@dataclass(frozen=True)
class Rungs:
    """Where a training pauses, and how many go on from there.

    Attributes:
        epochs: at which a network is judged, rising; the last are those of the whole training.
        reduction: one in so many goes on.
    Raises:
        FieldError: they do not rise, or are too few.
    """

    epochs: tuple[int, ...]
    reduction: int = 2

    def __post_init__(self) -> None:
        rising = all(0 < low < high for low, high in pairwise(self.epochs))
        if len(self.epochs) < 2 or not rising:
            raise FieldError("epochs", f"must be two or more that rise, got {self.epochs}")
        if self.reduction < 2:
            raise FieldError("reduction", f"must be at least 2, got {self.reduction}")

    @property
    def first(self) -> int:
        return self.epochs[0]

    @property
    def last(self) -> int:
        return self.epochs[-1]

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Each rung but the last with the next one."""
        return list(pairwise(self.epochs))


@dataclass(frozen=True)
class Spent:
    """The epochs of a search, without those of repeats and published networks.

    Attributes:
        reached: the number of networks trained so many epochs at least, by rung.
    """

    reached: Mapping[int, int]

    @property
    def begun(self) -> int:
        return max(self.reached.values())

    @cached_property
    def epochs(self) -> int:
        """Each network counts those to its highest rung."""
        added = pairwise((0, *self.reached))
        return sum(self.reached[high] * (high - low) for low, high in added)

    @property
    def in_full(self) -> int:
        """What training every network to the end would have taken."""
        return self.begun * max(self.reached)

    def expected(self, networks: int, reduction: int) -> int:
        """The epochs in all, once so many networks are begun and one in `reduction` has gone on."""
        reached: dict[int, int] = {}
        due = networks
        for rung, count in self.reached.items():
            due = reached[rung] = max(count, due)
            due = max(1, due // reduction)
        return Spent(reached).epochs

    @property
    def counts_text(self) -> str:
        """`60 at 2 epochs, 30 at 4, 15 at 8, 8 at 16`."""
        first, *others = self.reached.items()
        words = [f"{first[1]} at {count_of(first[0], 'epoch')}"]
        return ", ".join(words + [f"{count} at {rung}" for rung, count in others])

    def __str__(self) -> str:
        return (
            f"{count_of(self.begun, 'network')} begun: {self.counts_text}; "
            f"{self.epochs:,} epochs instead of {self.in_full:,}"
        )

    @property
    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "reached": [{"epochs": rung, "networks": count} for rung, count in self.reached.items()],
            "epochs": self.epochs,
            "epochs_in_full": self.in_full,
        }


def rungs_text(rungs: Rungs) -> str:
    """`1 in 2 goes on after 2, 4 and 8 of 16 epochs`."""
    *others, before = map(str, rungs.epochs[:-1])
    pauses = f"{', '.join(others)} and {before}" if others else before
    return f"1 in {rungs.reduction} goes on after {pauses} of {count_of(rungs.last, 'epoch')}"


def spent_of(records: Iterable[Record], rungs: Rungs) -> Spent:
    """What training these took."""
    reached = [record.epochs for record in records if record.at_rungs]
    return Spent({rung: sum(epochs >= rung for epochs in reached) for rung in rungs.epochs})
