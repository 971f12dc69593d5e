"""Trainings that stop early: after how many epochs only the best go on, and what that spared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from ...search_space.errors import FieldError
from .trial import Record


@dataclass(frozen=True)
class Rungs:
    """Where a training pauses, and how many go on from there.

    Attributes:
        epochs: at which a network is judged, rising; the last are those of the whole training.
        reduction_factor: one in so many goes on.
    Raises:
        FieldError: they do not rise, or are too few.
    """

    epochs: tuple[int, ...]
    reduction_factor: int = 2

    def __post_init__(self) -> None:
        rising = all(0 < low < high for low, high in pairwise(self.epochs))
        if len(self.epochs) < 2 or not rising:
            raise FieldError("epochs", f"must be two or more that rise, got {self.epochs}")
        if self.reduction_factor < 2:
            raise FieldError("reduction_factor", f"must be at least 2, got {self.reduction_factor}")

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
class EpochsSpent:
    """The epochs of a search, without those of repeats and published networks.

    Attributes:
        networks_by_rung: the number of networks trained so many epochs at least, by rung.
    """

    networks_by_rung: Mapping[int, int]

    @property
    def networks_started(self) -> int:
        return max(self.networks_by_rung.values())

    @cached_property
    def epochs(self) -> int:
        """Each network counts those to its highest rung."""
        added = pairwise((0, *self.networks_by_rung))
        return sum(self.networks_by_rung[high] * (high - low) for low, high in added)

    @property
    def epochs_without_stopping(self) -> int:
        """What training every network to the end would have taken."""
        return self.networks_started * max(self.networks_by_rung)

    def projected_epochs(self, networks: int, reduction_factor: int) -> int:
        """The epochs in all, once so many networks are begun and one in `reduction_factor` has gone on."""
        projected: dict[int, int] = {}
        networks_due = networks
        for rung, count in self.networks_by_rung.items():
            networks_due = projected[rung] = max(count, networks_due)
            networks_due = max(1, networks_due // reduction_factor)
        return EpochsSpent(projected).epochs

    @property
    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "networks_by_rung": [
                {"epochs": rung, "networks": count} for rung, count in self.networks_by_rung.items()
            ],
            "epochs": self.epochs,
            "epochs_without_stopping": self.epochs_without_stopping,
        }


def count_epochs_spent(records: Iterable[Record], rungs: Rungs) -> EpochsSpent:
    """What training these took."""
    networks_by_rung = [record.epochs for record in records if record.rung_accuracies]
    return EpochsSpent({rung: sum(epochs >= rung for epochs in networks_by_rung) for rung in rungs.epochs})
