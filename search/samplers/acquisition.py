"""What may come of networks that were not judged, in the terms of a search's goals.

Costs are known in closed form. A latency is predicted by the run's latency model; without one it is learned
from the networks that were judged, as accuracy is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...evaluate import Constraint, Goals, Objective
from ...evaluate.latency.predictor import LatencyModel
from ...evaluate.objectives import REWARD_EXPONENT, Quantity
from ...evaluate.statistics.multi_objective import is_dominated
from ...search_space import cost
from .encoding import Known, Seen
from .expected_hypervolume import Array, Losses, expected_gains
from .surrogate import Surrogate

Normal = tuple[Array, Array]


class LogLatency(Protocol):
    """Of networks that were not judged: mean and deviation of the logarithm of milliseconds."""

    def of(self, networks: Sequence[Seen]) -> Normal: ...


@dataclass(frozen=True)
class ModelledLatency:
    """As a latency model predicts it, with the spread of its errors."""

    model: LatencyModel

    def of(self, networks: Sequence[Seen]) -> Normal:
        found = [self.model.predict(each.architecture).latency_ms for each in networks]
        return np.log(found), np.full(len(found), self.model.spread)


def plain(limit: Constraint, reference_ms: float) -> float:
    """A limit in milliseconds, or as a count."""
    return limit.limit * (reference_ms if limit.unit == "x" else 1.0)


@dataclass(frozen=True, eq=False)
class Speed:
    """What counts before any network has kept the limit on latency: to keep it."""

    latency: LogLatency
    limit_ms: float

    def worth(self, networks: Sequence[Seen]) -> Array:
        """`m`: by how many deviations each is believed to be within the limit."""
        mean, deviation = self.latency.of(networks)
        found: Array = (np.log(self.limit_ms) - mean) / np.maximum(deviation, 1e-9)
        return found


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed after some networks were judged.

    Attributes:
        accuracy: learned from the networks that were judged, those under way among them.
        latency: None where no goal asks.
        reference_ms: latency of the reference, whose multiples limits may be.
    """

    goals: Goals
    accuracy: Surrogate
    latency: LogLatency | None = None
    reference_ms: float = 1.0

    def worth(self, networks: Sequence[Seen]) -> Array:
        """`m`: by how much each is expected to widen the front, times the chance that it keeps the limits."""
        latencies = self.latency.of(networks) if self.latency else None
        believed = self._losses(networks, self.accuracy.of(networks), latencies)
        gains = expected_gains(believed, self.front, self.worst)
        limit_ms = self._limits.get("latency")
        if limit_ms is not None and latencies is not None:
            gains = gains * Losses(*latencies, logarithmic=True).chance_below(limit_ms)
        return gains

    @property
    def best(self) -> list[Seen]:
        """The judged networks that no other beats."""
        return [each.seen for each, best in zip(self.accuracy.known, self._unbeaten, strict=True) if best]

    @property
    def front(self) -> Array:
        """`k x d`: their losses, as far as they are known."""
        return self._medians[self._unbeaten]

    @cached_property
    def worst(self) -> Array:
        """`d`: the limits; without one, half way from the worst of the front to the worst of all."""
        found = []
        for objective, losses, front in zip(self.goals.objectives, self._judged, self.front.T, strict=True):
            limit = self._limits.get(objective.quantity)
            found.append(losses.half_way_from(float(front.max())) if limit is None else limit)
        return np.array(found)

    @property
    def _limits(self) -> dict[str, float]:
        return {each.quantity: self._plain(each) for each in self.goals.constraints}

    def _plain(self, limit: Constraint) -> float:
        return plain(limit, self.reference_ms)

    @cached_property
    def _medians(self) -> Array:
        return np.column_stack([each.median for each in self._judged])

    @cached_property
    def _unbeaten(self) -> NDArray[np.bool_]:
        return ~is_dominated(self._medians)

    @cached_property
    def _judged(self) -> list[Losses]:
        networks = [each.seen for each in self.accuracy.known]
        latencies = None
        if self.latency:
            mean, deviation = self.latency.of(networks)
            for place, each in enumerate(self.accuracy.known):
                if each.latency_ms is not None:
                    mean[place], deviation[place] = np.log(each.latency_ms), 0.0
            latencies = mean, deviation
        accuracies = self.accuracy.of_known
        return self._losses(networks, (accuracies, np.zeros(len(networks))), latencies)

    def _losses(
        self,
        networks: Sequence[Seen],
        accuracies: Normal,
        latencies: Normal | None,
    ) -> list[Losses]:
        return [self._loss(each, networks, accuracies, latencies) for each in self.goals.objectives]

    def _loss(
        self, objective: Objective, networks: Sequence[Seen], accuracies: Normal, latencies: Normal | None
    ) -> Losses:
        if not objective.of_accuracy:
            return _cost_losses(objective.quantity, networks, latencies)
        mean, deviation = accuracies
        if objective.target:
            value = _cost_losses(objective.target.quantity, networks, latencies).median
            factor = (value / self._plain(objective.target)) ** REWARD_EXPONENT
            mean, deviation = mean * factor, deviation * factor
        return Losses(-mean, deviation)


def _cost_losses(quantity: Quantity, networks: Sequence[Seen], latencies: Normal | None) -> Losses:
    if quantity == "latency":
        assert latencies is not None
        return Losses(*latencies, logarithmic=True)
    costs = [float(getattr(cost(each.architecture), quantity)) for each in networks]
    return Losses(np.log(costs), np.zeros(len(costs)), logarithmic=True)


def telling(known: Sequence[Known], goals: Goals, most: int) -> list[int]:
    """The places of at most so many networks that tell most of what is to come: the front, and the latest.

    A search comes nearer to the front with time, so the latest are near it.
    """
    if len(known) <= most:
        return list(range(len(known)))
    networks = [each.seen for each in known]
    latencies = np.log([each.latency_ms or 1.0 for each in known]), np.zeros(len(known))
    losses = [np.array([-(each.accuracy or 0.0) for each in known])]
    losses += [
        _cost_losses((each.target or each).quantity, networks, latencies).median
        for each in goals.objectives
        if each.quantity != "accuracy"
    ]
    front = ~is_dominated(np.column_stack(losses))
    order = sorted(range(len(known)), key=lambda place: (not front[place], -place))
    return sorted(order[:most])
