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
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.objectives import REWARD_EXPONENT, Quantity
from ...evaluate.statistics.multi_objective import is_dominated
from ...evaluate.surrogate.encoder import Candidate, Observation
from ...evaluate.surrogate.factory import Surrogate
from ...search_space import cost
from .expected_hypervolume import Array, LossDistribution, expected_hypervolume_improvement

MeanAndStd = tuple[Array, Array]


class LogLatency(Protocol):
    """Of networks that were not judged: mean and deviation of the logarithm of milliseconds."""

    def predict(self, networks: Sequence[Candidate]) -> MeanAndStd: ...


@dataclass(frozen=True)
class PredictedLatency:
    """As a latency model predicts it, with the spread of its errors."""

    model: LatencyPredictor

    def predict(self, networks: Sequence[Candidate]) -> MeanAndStd:
        values = [self.model.predict(each.architecture).latency_ms for each in networks]
        return np.log(values), np.full(len(values), self.model.relative_error_std)


def absolute_limit(limit: Constraint, reference_ms: float) -> float:
    """A limit in milliseconds, or as a count."""
    return limit.limit * (reference_ms if limit.unit == "x" else 1.0)


@dataclass(frozen=True, eq=False)
class LatencyFeasibility:
    """What counts before any network has kept the limit on latency: to keep it."""

    latency: LogLatency
    limit_ms: float

    def __call__(self, networks: Sequence[Candidate]) -> Array:
        """`m`: by how many deviations each is believed to be within the limit."""
        mean, std = self.latency.predict(networks)
        values: Array = (np.log(self.limit_ms) - mean) / np.maximum(std, 1e-9)
        return values


@dataclass(frozen=True, eq=False)
class Acquisition:
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

    def __call__(self, networks: Sequence[Candidate]) -> Array:
        """`m`: by how much each is expected to widen the front, times the chance that it keeps the limits."""
        latencies = self.latency.predict(networks) if self.latency else None
        predicted_losses = self._losses(networks, self.accuracy.predict(networks), latencies)
        gains = expected_hypervolume_improvement(predicted_losses, self.front, self.reference_point)
        limit_ms = self._limits.get("latency")
        if limit_ms is not None and latencies is not None:
            gains = gains * LossDistribution(*latencies, logarithmic=True).probability_of_improvement(
                limit_ms
            )
        return gains

    @property
    def best(self) -> list[Candidate]:
        """The judged networks that no other beats."""
        return [
            each.candidate
            for each, best in zip(self.accuracy.known, self._non_dominated, strict=True)
            if best
        ]

    @property
    def front(self) -> Array:
        """`k x d`: their losses, as far as they are known."""
        return self._medians[self._non_dominated]

    @cached_property
    def reference_point(self) -> Array:
        """`d`: the limits; without one, half way from the worst of the front to the worst of all."""
        values = []
        for objective, losses, front in zip(
            self.goals.objectives, self._observed_losses, self.front.T, strict=True
        ):
            limit = self._limits.get(objective.quantity)
            values.append(losses.midpoint_to_worst(float(front.max())) if limit is None else limit)
        return np.array(values)

    @property
    def _limits(self) -> dict[str, float]:
        return {each.quantity: self._absolute_limit(each) for each in self.goals.constraints}

    def _absolute_limit(self, limit: Constraint) -> float:
        return absolute_limit(limit, self.reference_ms)

    @cached_property
    def _medians(self) -> Array:
        return np.column_stack([each.median for each in self._observed_losses])

    @cached_property
    def _non_dominated(self) -> NDArray[np.bool_]:
        return ~is_dominated(self._medians)

    @cached_property
    def _observed_losses(self) -> list[LossDistribution]:
        networks = [each.candidate for each in self.accuracy.known]
        latencies = None
        if self.latency:
            mean, std = self.latency.predict(networks)
            for place, each in enumerate(self.accuracy.known):
                if each.latency_ms is not None:
                    mean[place], std[place] = np.log(each.latency_ms), 0.0
            latencies = mean, std
        accuracies = self.accuracy.fitted_means
        return self._losses(networks, (accuracies, np.zeros(len(networks))), latencies)

    def _losses(
        self,
        networks: Sequence[Candidate],
        accuracies: MeanAndStd,
        latencies: MeanAndStd | None,
    ) -> list[LossDistribution]:
        return [self._loss(each, networks, accuracies, latencies) for each in self.goals.objectives]

    def _loss(
        self,
        objective: Objective,
        networks: Sequence[Candidate],
        accuracies: MeanAndStd,
        latencies: MeanAndStd | None,
    ) -> LossDistribution:
        if not objective.depends_on_accuracy:
            return _cost_losses(objective.quantity, networks, latencies)
        mean, std = accuracies
        if objective.target:
            value = _cost_losses(objective.target.quantity, networks, latencies).median
            accuracy_factor = (value / self._absolute_limit(objective.target)) ** REWARD_EXPONENT
            mean, std = mean * accuracy_factor, std * accuracy_factor
        return LossDistribution(-mean, std)


def _cost_losses(
    quantity: Quantity, networks: Sequence[Candidate], latencies: MeanAndStd | None
) -> LossDistribution:
    if quantity == "latency":
        assert latencies is not None
        return LossDistribution(*latencies, logarithmic=True)
    costs = [float(getattr(cost(each.architecture), quantity)) for each in networks]
    return LossDistribution(np.log(costs), np.zeros(len(costs)), logarithmic=True)


def select_observations(known: Sequence[Observation], goals: Goals, max_count: int) -> list[int]:
    """The places of at most so many networks that tell most of what is to come: the front, and the latest.

    A search comes nearer to the front with time, so the latest are near it.
    """
    if len(known) <= max_count:
        return list(range(len(known)))
    networks = [each.candidate for each in known]
    latencies = np.log([each.latency_ms or 1.0 for each in known]), np.zeros(len(known))
    losses = [np.array([-(each.accuracy or 0.0) for each in known])]
    losses += [
        _cost_losses((each.target or each).quantity, networks, latencies).median
        for each in goals.objectives
        if each.quantity != "accuracy"
    ]
    front = ~is_dominated(np.column_stack(losses))
    order = sorted(range(len(known)), key=lambda place: (not front[place], -place))
    return sorted(order[:max_count])
