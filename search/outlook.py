"""Which training tells most next: of a new network, or once more of one that was trained.

What is cheap stands for every network in sight: features in closed form, and the scores of cheap judges
where they add something. A model with uncertainty joins them with the trainings so far; a draw from it is
one way the truth may be, and the network that would widen the front most in that draw is trained next
(Thompson sampling). A network that was trained is trained again where the draw says so.

Source: Thompson 1933, doi:10.1093/biomet/25.3-4.285; Bradford et al. 2018, doi:10.1007/s10898-018-0609-2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..results.hypervolume import hypervolume

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outlook:
    """What may be true of `m` networks in sight.

    Attributes:
        draws: `d x m` accuracies, each row one way the truth may be.
        mean: `m` expected accuracies.
        costs: `m x q`, the other objectives, from 0 (the least in sight) to 1 (beyond which nothing
            counts); `q` may be 0.
        trainings: `m`, how many each network has had.
    """

    draws: Array
    mean: Array
    costs: Array
    trainings: NDArray[np.int64]

    def losses(self, accuracy: Array) -> Array:
        """`m x (1 + q)`, lower is better."""
        return np.column_stack([-accuracy, self.costs])

    def worth(self, accuracy: Array, chosen: NDArray[np.bool_]) -> float:
        """The hypervolume of the chosen networks if these were their accuracies.

        With one cost it is the best accuracy within a limit, averaged over all limits from 0 to 1.
        """
        worst = [0.0] + [1.0] * self.costs.shape[1]
        return hypervolume(self.losses(accuracy)[chosen].tolist(), worst)

    def held(self) -> NDArray[np.bool_]:
        """`m`: the front of the trained networks by their expected accuracies."""
        return front_of(self.losses(self.mean), self.trainings > 0)


def even_costs(costs: Array, worst: Array) -> Array:
    """Costs from 0 to 1 for an `Outlook`, on a logarithmic scale: half the cost counts alike everywhere.

    Args:
        costs: `m x q`, above 0.
        worst: `q`, not below any of them.
    """
    logs, span = np.log(costs), np.log(worst) - np.log(costs.min(0))
    scaled: Array = (logs - logs.min(0)) / np.where(span > 0, span, 1.0)
    return scaled


def front_of(losses: Array, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the networks, of those given, that no other of them beats.

    Args:
        losses: `m x c`, lower is better.
        among: `m`.
    """
    rows = losses[among]
    no_worse = np.ones((len(rows), len(rows)), dtype=np.bool_)
    better = np.zeros_like(no_worse)
    for column in rows.T:  # a tenth of the time of all columns at once
        no_worse &= column[:, None] <= column
        better |= column[:, None] < column
    front = np.zeros(len(losses), dtype=np.bool_)
    front[among] = ~(no_worse & better).any(0)
    return front


def next_training(outlook: Outlook, allowed: NDArray[np.bool_], draw: int = 0) -> int | None:
    """The network whose training widens the front most, if a draw were the truth.

    Where none would, the one that is known least.

    Args:
        allowed: `m`: those that may be trained, or trained again.
        draw: which row of the draws.
    Returns:
        Its place; None where nothing is allowed.
    """
    if not allowed.any():
        return None
    truth, held = outlook.draws[draw], outlook.held()
    worth = outlook.worth(outlook.mean, held)

    def gain(place: int) -> float:
        # A network of the front in hand counts by the draw too: it may be better than it seems.
        accuracy, chosen = outlook.mean.copy(), held.copy()
        accuracy[place], chosen[place] = truth[place], True
        return outlook.worth(accuracy, chosen) - worth

    hopeful = np.flatnonzero(front_of(outlook.losses(truth), allowed))
    gains = [gain(int(place)) for place in hopeful]
    if max(gains) > 0:
        return int(hopeful[int(np.argmax(gains))])
    return int(np.argmax(np.where(allowed, outlook.draws.std(0), -1.0)))


def shortfalls(outlook: Outlook) -> Array:
    """What the front in hand lacks, in each draw.

    Returns:
        `d` differences of `Outlook.worth`, at least 0, of the draw's own front and the front in hand:
        accuracy lost, on average over the limits.
    """
    held, everything = outlook.held(), np.ones(len(outlook.mean), dtype=np.bool_)
    return np.array(
        [
            outlook.worth(truth, front_of(outlook.losses(truth), everything)) - outlook.worth(truth, held)
            for truth in outlook.draws
        ]
    )


def settled(outlook: Outlook, tolerance: float, confidence: float) -> bool:
    """Whether the front in hand lacks at most `tolerance` of accuracy, that surely."""
    return bool(np.mean(shortfalls(outlook) <= tolerance) >= confidence)
