"""The acquisition function: EHVI of a search's objectives times the probability of feasibility.

Costs are known in closed form. Latency comes from the run's latency predictor, or from a surrogate of the
measured networks. Accuracy comes from a surrogate.
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
    """Predicts mean and standard deviation of the logarithm of milliseconds."""

    def predict(self, networks: Sequence[Candidate]) -> MeanAndStd: ...


@dataclass(frozen=True)
class PredictedLatency:
    """Predictions of a latency predictor, with the standard deviation of its errors."""

    model: LatencyPredictor

    def predict(self, networks: Sequence[Candidate]) -> MeanAndStd:
        values = [self.model.predict(each.architecture).latency_ms for each in networks]
        return np.log(values), np.full(len(values), self.model.relative_error_std)


def absolute_limit(limit: Constraint, reference_ms: float) -> float:
    """A limit in milliseconds, MACs or parameters."""
    return limit.limit * (reference_ms if limit.unit == "x" else 1.0)


@dataclass(frozen=True, eq=False)
class LatencyFeasibility:
    """Acquisition before any network has satisfied the latency limit."""

    latency: LogLatency
    limit_ms: float

    def __call__(self, networks: Sequence[Candidate]) -> Array:
        """`m`: distance of the limit from the predicted latency in standard deviations."""
        mean, std = self.latency.predict(networks)
        values: Array = (np.log(self.limit_ms) - mean) / np.maximum(std, 1e-9)
        return values


@dataclass(frozen=True, eq=False)
class Acquisition:
    """EHVI times the probability of satisfying the latency limit.

    Attributes:
        accuracy: surrogate conditioned on evaluated and pending networks.
        latency: None if neither an objective nor a limit is on latency.
        reference_ms: latency of the reference model, the unit of limits such as 0.5x.
    """

    goals: Goals
    accuracy: Surrogate
    latency: LogLatency | None = None
    reference_ms: float = 1.0

    def __call__(self, networks: Sequence[Candidate]) -> Array:
        """`m`: values of the acquisition function, higher is better."""
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
        """Non-dominated candidates among the evaluated ones."""
        return [
            each.candidate
            for each, best in zip(self.accuracy.known, self._non_dominated, strict=True)
            if best
        ]

    @property
    def front(self) -> Array:
        """`k x d`: losses of `best`, lower is better."""
        return self._medians[self._non_dominated]

    @cached_property
    def reference_point(self) -> Array:
        """`d`: the limits; without one, the midpoint of the worst loss of the front and the worst of all."""
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
    """Positions of the front, then of the latest observations, up to `max_count`.

    A search approaches the front with time, so the latest observations are near it.
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
