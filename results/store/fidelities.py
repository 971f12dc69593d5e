"""Successive halving: the epochs at which networks are promoted, and the epochs spent."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ...evaluate.statistics.learning_curves import final_accuracies
from ...evaluate.statistics.rank_correlation import spearman, spearman_ci95
from ...search_space.errors import FieldError
from .trial import Record

MIN_CORRELATED = 5


@dataclass(frozen=True)
class Rungs:
    """The rungs of successive halving (ASHA).

    Attributes:
        epochs: of each rung, increasing; the last one is a full training.
        reduction_factor: 1 in `reduction_factor` networks is promoted to the next rung.
    Raises:
        FieldError: there are fewer than two rungs, or they do not increase; the factor is below 2.
    """

    epochs: tuple[int, ...]
    reduction_factor: int = 2

    def __post_init__(self) -> None:
        rising = all(0 < low < high for low, high in pairwise(self.epochs))
        if len(self.epochs) < 2 or not rising:
            raise FieldError("epochs", f"must be two or more increasing numbers, got {self.epochs}")
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
        """Pairs of consecutive rungs."""
        return list(pairwise(self.epochs))


@dataclass(frozen=True)
class EpochsSpent:
    """Training epochs of a search, without replicates and published networks.

    Attributes:
        networks_by_rung: number of networks that reached each rung, by the epochs of the rung.
        correlations: of each rung below the last, where enough networks reached the last.
    """

    networks_by_rung: Mapping[int, int]
    correlations: tuple["RungCorrelation", ...] = ()

    @property
    def networks_started(self) -> int:
        return max(self.networks_by_rung.values())

    @cached_property
    def epochs(self) -> int:
        """Total over the networks, each up to its highest rung."""
        added = pairwise((0, *self.networks_by_rung))
        return sum(self.networks_by_rung[high] * (high - low) for low, high in added)

    @property
    def epochs_without_stopping(self) -> int:
        """Total if every network were trained in full."""
        return self.networks_started * max(self.networks_by_rung)

    def projected_epochs(self, networks: int, reduction_factor: int) -> int:
        """Total after `networks` have started and 1 in `reduction_factor` was promoted at each rung."""
        projected: dict[int, int] = {}
        networks_due = networks
        for rung, count in self.networks_by_rung.items():
            networks_due = projected[rung] = max(count, networks_due)
            networks_due = max(1, networks_due // reduction_factor)
        return EpochsSpent(projected).epochs

    @property
    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "networks_by_rung": [
                {"epochs": rung, "networks": count} for rung, count in self.networks_by_rung.items()
            ],
            "epochs": self.epochs,
            "epochs_without_stopping": self.epochs_without_stopping,
            "rank_correlations": [asdict(each) for each in self.correlations],
        }


@dataclass(frozen=True)
class RungCorrelation:
    """Spearman's rank correlation of the accuracies at a rung and at the last one.

    Only networks that were promoted to the last rung have both, so that it is lower than among all networks.

    Attributes:
        epochs: of the rung.
        low, high: 95% interval.
        networks: number of networks that reached the last rung.
    """

    epochs: int
    spearman: float
    low: float
    high: float
    networks: int


def rung_correlations(records: Iterable[Record], rungs: Rungs) -> tuple[RungCorrelation, ...]:
    """Rank correlation of each rung with the last; empty for fewer than `MIN_CORRELATED` networks there."""
    finished = [record.rung_accuracies for record in records if rungs.last in record.rung_accuracies]
    if len(finished) < MIN_CORRELATED:
        return ()
    last = np.array([by_epochs[rungs.last].top1 for by_epochs in finished])
    found = []
    for rung in rungs.epochs[:-1]:
        early = np.array([by_epochs[rung].top1 for by_epochs in finished])
        rho = spearman(early, last)
        if not math.isnan(rho):
            low, high = spearman_ci95(rho, len(last))
            found.append(RungCorrelation(rung, rho, low, high, len(last)))
    return tuple(found)


def estimated_final_accuracies(records: Sequence[Record], rungs: Rungs) -> list[float]:
    """Accuracies of trained networks at the last rung, estimated from all rungs that they reached."""
    table = np.full((len(records), len(rungs.epochs)), np.nan)
    for row, record in enumerate(records):
        for column, rung in enumerate(rungs.epochs):
            if rung in record.rung_accuracies:
                table[row, column] = record.rung_accuracies[rung].top1
    log_macs = np.log([record.cost.macs for record in records])
    estimates: list[float] = final_accuracies(table, log_macs).tolist()
    return estimates


def count_epochs_spent(records: Iterable[Record], rungs: Rungs) -> EpochsSpent:
    """The epochs that the trainings of these records took."""
    networks_by_rung = [record.epochs for record in records if record.rung_accuracies]
    return EpochsSpent({rung: sum(epochs >= rung for epochs in networks_by_rung) for rung in rungs.epochs})
