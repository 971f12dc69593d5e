"""The acquisition function: expected hypervolume improvement within the limits.

Losses are minus accuracy or minus reward, and the logarithms of costs. Costs are known in closed form.
Latency comes from the run's latency predictor, or from a surrogate of the measured networks. Accuracy comes
from a surrogate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...evaluate import Constraint, Goals, Objective
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.objectives import REWARD_EXPONENT, Quantity
from ...evaluate.statistics.arrays import Array
from ...evaluate.statistics.multi_objective import NondominatedBoxes, infer_reference_point, is_dominated
from ...evaluate.surrogate.encoder import Candidate, Observation
from ...evaluate.surrogate.factory import JointSurrogate, Surrogate
from .expected_hypervolume import LossDistribution, expected_hypervolume_improvement

MeanAndStd = tuple[Array, Array]
MIN_FEASIBILITY = 0.8


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

    def believed(self, networks: Sequence[Candidate]) -> NDArray[np.bool_]:
        """`m`: whether the probability of satisfying the limit is at least `MIN_FEASIBILITY`."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self(networks)) >= MIN_FEASIBILITY)


@dataclass(frozen=True, eq=False)
class Acquisition:
    """EHVI of the networks that are believed to satisfy the latency limit.

    It is multiplied by the probability of that unless latency is an objective: then the limit is the
    reference point, which no network beyond it improves. A probability below `MIN_FEASIBILITY` ranks behind
    every higher one.

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
        accuracies, latencies = self._predict(networks)
        predicted_losses = self._losses(networks, accuracies, latencies)
        gains = expected_hypervolume_improvement(predicted_losses, self.boxes)
        limit = self._log_limits.get("latency")
        if limit is None or latencies is None:
            return gains
        feasibility = LossDistribution(*latencies).probability_of_improvement(limit)
        if Objective("latency") not in self.goals.objectives:
            gains = gains * feasibility
        return np.where(feasibility >= MIN_FEASIBILITY, gains, feasibility - 1)

    def _predict(self, networks: Sequence[Candidate]) -> tuple[MeanAndStd, MeanAndStd | None]:
        if self._joint_surrogate:
            accuracies, latencies = self._joint_surrogate.predict(networks)
            return accuracies, latencies
        return self.accuracy.predict(networks), self.latency.predict(networks) if self.latency else None

    @cached_property
    def _joint_surrogate(self) -> JointSurrogate | None:
        """Predicts accuracy and latency faster than their surrogates do; None if it cannot."""
        if isinstance(self.latency, Surrogate) and not self.accuracy.transfer_prior:
            return JointSurrogate([self.accuracy, self.latency])
        return None

    @property
    def best(self) -> list[Candidate]:
        """Non-dominated candidates among the evaluated ones."""
        return [
            each.candidate for each, best in zip(self._feasible, self._non_dominated, strict=True) if best
        ]

    @property
    def front(self) -> Array:
        """`k x d`: losses of `best`, lower is better."""
        return self._observed_losses[self._non_dominated]

    @cached_property
    def reference_point(self) -> Array:
        """`d`: see `infer_reference_point`."""
        limits = [self._log_limits.get(objective.quantity) for objective in self.goals.objectives]
        return infer_reference_point(self._observed_losses, limits)

    @cached_property
    def boxes(self) -> NondominatedBoxes:
        """The region in which a network improves the front."""
        return NondominatedBoxes.of(self.front, self.reference_point)

    @property
    def _log_limits(self) -> dict[str, float]:
        return {
            each.quantity: math.log(absolute_limit(each, self.reference_ms))
            for each in self.goals.constraints
        }

    @cached_property
    def _non_dominated(self) -> NDArray[np.bool_]:
        return ~is_dominated(self._observed_losses)

    @property
    def _feasible(self) -> list[Observation]:
        """Evaluated and pending networks within the limits, in the order of the trials."""
        return [each for each in self.accuracy.known if each.feasible]

    @cached_property
    def _observed_losses(self) -> Array:
        """`n x d`, of `_feasible`."""
        networks = [each.candidate for each in self._feasible]
        latencies = self._observed_latencies(self.latency) if self.latency else None
        accuracies = self.accuracy.fitted_means[[each.feasible for each in self.accuracy.known]]
        losses = self._losses(networks, (accuracies, np.zeros(len(networks))), latencies)
        return np.column_stack([each.mean for each in losses])

    def _observed_latencies(self, model: LogLatency) -> MeanAndStd:
        """Log latencies of `_feasible`, predicted where they are not measured."""
        mean, std = np.log([each.latency_ms or 1.0 for each in self._feasible]), np.zeros(len(self._feasible))
        missing = [place for place, each in enumerate(self._feasible) if each.latency_ms is None]
        if missing:
            mean[missing], std[missing] = model.predict(
                [self._feasible[place].candidate for place in missing]
            )
        return mean, std

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
            log_value = _cost_losses(objective.target.quantity, networks, latencies).mean
            log_target = math.log(absolute_limit(objective.target, self.reference_ms))
            accuracy_factor = np.exp(REWARD_EXPONENT * (log_value - log_target))
            mean, std = mean * accuracy_factor, std * accuracy_factor
        return LossDistribution(-mean, std)


def _cost_losses(
    quantity: Quantity, networks: Sequence[Candidate], latencies: MeanAndStd | None
) -> LossDistribution:
    if quantity == "latency":
        assert latencies is not None
        return LossDistribution(*latencies)
    costs = [float(getattr(each.cost, quantity)) for each in networks]
    return LossDistribution(np.log(costs), np.zeros(len(costs)))


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
        _cost_losses((each.target or each).quantity, networks, latencies).mean
        for each in goals.objectives
        if each.quantity != "accuracy"
    ]
    front = ~is_dominated(np.column_stack(losses))
    order = sorted(range(len(known)), key=lambda place: (not front[place], -place))
    return sorted(order[:max_count])
