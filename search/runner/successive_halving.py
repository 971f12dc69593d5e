"""Promotions: asynchronous successive halving (ASHA) on the non-dominated rank.

Every network is trained to the lowest rung. One in `reduction_factor` of those that reached a rung is
promoted to the next, without waiting for the others (Li et al. 2020, arXiv 1810.05934). With several
objectives networks are ranked by non-dominated sorting, and within a front by an epsilon-net, so that every
prefix covers the whole front (MO-ASHA: Schmucker et al. 2021, arXiv 2106.12639). Crowding distance does not:
of two neighbours it drops both or none.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...evaluate import Objective
from ...evaluate.statistics.arrays import Array
from ...evaluate.statistics.multi_objective import is_dominated
from ...results import Record, losses_of
from ...results.store.fidelities import Rungs
from ...search_space import GoalError


@dataclass(frozen=True)
class Promotion:
    """A network to train on to a higher rung.

    Attributes:
        epochs: of that rung, counted from the start of the training.
    """

    record: Record
    epochs: int

    @property
    def name(self) -> str:
        return f"promotion {self.record.key} {self.epochs}"

    def __str__(self) -> str:
        return f"promotes trial {self.record.trial} to {self.epochs} epochs"


def rungs_between(min_epochs: int, epochs: int, reduction_factor: int = 2) -> Rungs:
    """Rungs from `min_epochs` to `epochs`: 2 to 16 gives 2, 4, 8, 16; with a reduction factor of 4: 2, 8, 16.

    Between the first and the last rung, none lies beyond half of the training.

    Raises:
        GoalError: `min_epochs` is not below `epochs`.
    """
    if not min_epochs < epochs:
        raise GoalError(f"--min-epochs must be less than --epochs, got {min_epochs} and {epochs}")
    rungs = [min_epochs]
    while 2 * rungs[-1] * reduction_factor <= epochs:
        rungs.append(rungs[-1] * reduction_factor)
    return Rungs((*rungs, epochs), reduction_factor)


def next_promotion(
    records: Sequence[Record],
    rungs: Rungs,
    objectives: Sequence[Objective],
    busy: Collection[str] = (),
) -> Promotion | None:
    """The best network that is due for promotion, at the highest rung that has one.

    Args:
        records: all that reached a rung.
        busy: keys of networks whose promotion is running.
    """
    for rung, next_rung in reversed(rungs.steps):
        reached = [record for record in records if rung in record.rung_accuracies]
        best = _ranked(reached, rung, objectives)[: len(reached) // rungs.reduction_factor]
        for record in best:
            if _is_promotable(record, rung, busy):
                return Promotion(record, next_rung)
    return None


def last_promotion(
    records: Sequence[Record], rungs: Rungs, objectives: Sequence[Objective]
) -> Promotion | None:
    """The best network of the highest rung, due or not; None once a network was trained to the end."""
    if any(rungs.last in record.rung_accuracies for record in records):
        return None
    for rung, next_rung in reversed(rungs.steps):
        reached = [record for record in records if rung in record.rung_accuracies]
        for record in _ranked(reached, rung, objectives):
            if _is_promotable(record, rung):
                return Promotion(record, next_rung)
    return None


def nondominated_order(losses: Array) -> list[int]:
    """Positions of the rows from the best to the worst.

    Front by front. A front starts with the best in the first column; then follows the row that is farthest
    from all before it, with every column scaled to 0..1. Ties keep their order.

    Args:
        losses: `n x m`, lower is better, finite.
    """
    left, order = np.ones(len(losses), dtype=np.bool_), list[int]()
    while left.any():
        front = left.copy()
        front[left] = ~is_dominated(losses[left])
        order += _epsilon_net_order(losses, np.flatnonzero(front))
        left &= ~front
    return order


def _epsilon_net_order(losses: Array, places: NDArray[np.intp]) -> list[int]:
    rows = losses[places]
    span = np.ptp(rows, axis=0)
    scaled = (rows - rows.min(0)) / np.where(span > 0, span, 1.0)
    chosen = [int(np.lexsort(rows.T[::-1])[0])]
    min_distance = np.linalg.norm(scaled - scaled[chosen[0]], axis=1)
    while len(chosen) < len(rows):
        min_distance[chosen[-1]] = -1.0
        chosen.append(int(min_distance.argmax()))
        min_distance = np.minimum(min_distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return [int(places[each]) for each in chosen]


def _ranked(reached: Sequence[Record], rung: int, objectives: Sequence[Objective]) -> list[Record]:
    if not reached:
        return []
    losses = np.array([losses_of(record.at_fidelity(rung), objectives) for record in reached])
    return [reached[place] for place in nondominated_order(losses)]


def _is_promotable(record: Record, rung: int, busy: Collection[str] = ()) -> bool:
    return record.epochs == rung and record.key not in busy and not record.error
