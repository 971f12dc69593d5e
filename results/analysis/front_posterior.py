"""Posterior of the Pareto front of evaluated networks.

The best of many observed means is biased upward (winner's curse), so the true accuracies (expectations
over seeds) are those of `TrueAccuracies`, shrunk toward a trend. Costs and latencies count as exact.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...evaluate import Accuracy, Goals, Objective
from ...evaluate.statistics.arrays import Array
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.statistics.multi_objective import is_dominated
from ...evaluate.statistics.seed_noise import SeedNoise
from ..store.pareto import losses_of
from ..store.trial import Record, true_accuracies

MAX_NETWORKS = 500  # the draws of more do not fit in memory, and comparing all pairs takes hours
DECIDED_PROBABILITY = 0.9
_TAIL = 0.025


@dataclass(frozen=True, eq=False)
class FrontPosterior:
    """Posterior of the true accuracies.

    Attributes:
        records: `n` evaluated networks: all, or of more than `MAX_NETWORKS` the contenders.
        estimates: `n` posterior means with their 95% intervals.
        stds: `n` posterior standard deviations.
        draws: `d x n` true accuracies.
        reward_factors: `n` factors from accuracy to objective: 1 unless that is the reward.
        no_worse_in_costs: `n x n`: whether network j is no worse than network i in every other objective.
        replicates: number of trainings beyond the first of each network.
        networks: number of networks that trend, structure and noise are fitted to.
    """

    noise: SeedNoise
    records: tuple[Record, ...]
    estimates: tuple[Estimate, ...]
    stds: Array
    draws: Array
    reward_factors: Array
    no_worse_in_costs: NDArray[np.bool_]
    replicates: int
    networks: int

    @cached_property
    def _merit_draws(self) -> Array:
        """`d x n` accuracies or rewards."""
        merits: Array = self.draws * self.reward_factors
        return merits

    @cached_property
    def pareto_probabilities(self) -> Array:
        """`n` probabilities of being Pareto-optimal among the records."""
        best = np.full(self.draws.shape, -np.inf)
        for place, others in enumerate(self.no_worse_in_costs):
            if others.any():
                best[:, place] = self._merit_draws[:, others].max(1)
        pareto: Array = (self._merit_draws > best).mean(0)
        return pareto

    @cached_property
    def _index_by_key(self) -> dict[str, int]:
        return {record.key: place for place, record in enumerate(self.records)}

    def __contains__(self, record: Record) -> bool:
        return record.key in self._index_by_key

    def pareto_probability(self, record: Record) -> float:
        """P(Pareto-optimal); with a single objective P(best)."""
        return float(self.pareto_probabilities[self._index_by_key[record.key]])

    def draws_of(self, records: Sequence[Record]) -> Array:
        """`d x k` draws of the true accuracies of some of the networks."""
        draws: Array = self.draws[:, [self._index_by_key[record.key] for record in records]]
        return draws

    def std(self, record: Record) -> float:
        """Posterior standard deviation of the true accuracy."""
        return float(self.stds[self._index_by_key[record.key]])

    def estimate(self, record: Record) -> Estimate:
        """Posterior mean of the true accuracy, with its 95% credible interval."""
        return self.estimates[self._index_by_key[record.key]]

    def interval(self, record: Record) -> tuple[float, float]:
        """95% credible interval of the true accuracy."""
        estimate = self.estimate(record)
        return estimate.low, estimate.high

    def estimate_unselected(self, accuracy: Accuracy) -> Estimate:
        """Estimate for a network that was not selected by its accuracy, such as a baseline: no shrinkage."""
        half_width = self.noise.ci95_half_width(1)
        low, high = np.clip([accuracy.top1 - half_width, accuracy.top1 + half_width], 0, 1).tolist()
        return Estimate(accuracy.top1, low, high)

    def accuracy_advantage(self, one: Record, other: Record) -> Estimate:
        """True accuracy (or reward) of `one` minus that of `other`, with its 95% interval."""
        differences = (
            self._merit_draws[:, self._index_by_key[one.key]]
            - self._merit_draws[:, self._index_by_key[other.key]]
        )
        low, high = np.quantile(differences, (_TAIL, 1 - _TAIL))
        return Estimate(float(differences.mean()), float(low), float(high))

    def indistinguishable(self, record: Record, others: Iterable[Record]) -> list[Record]:
        """The others whose difference from the record has a 95% interval that contains 0."""
        differences = (
            (other, self.accuracy_advantage(record, other))
            for other in others
            if other.key != record.key and other in self
        )
        return [other for other, difference in differences if difference.low <= 0 <= difference.high]

    def replacements(self, record: Record) -> list[Record]:
        """Networks no worse in any cost and not significantly worse in accuracy (or reward)."""
        no_worse_in_costs = self.no_worse_in_costs[self._index_by_key[record.key]]
        rest = (each for each, allowed in zip(self.records, no_worse_in_costs, strict=True) if allowed)
        return [each for each in rest if self.accuracy_advantage(record, each).low <= 0]

    @property
    def undecided(self) -> list[Record]:
        """Networks with 0.1 < P(Pareto-optimal) < 0.9."""
        pairs = zip(self.records, self.pareto_probabilities, strict=True)
        return [
            record
            for record, probability in pairs
            if 1 - DECIDED_PROBABILITY < probability < DECIDED_PROBABILITY
        ]


def front_posterior_of(records: Iterable[Record], goals: Goals) -> FrontPosterior | None:
    """Posterior of the completed records; deterministic.

    Trend, structure and noise are fitted to all. True accuracies are drawn for at most `MAX_NETWORKS`: those
    of the best non-dominated ranks, which alone can be Pareto-optimal. None if no objective depends on
    accuracy, or without replicates, since the seed noise is then unknown.
    """
    completed = tuple(record for record in records if record.state == "complete" and record.trainings)
    posterior = true_accuracies(completed)
    if posterior is None or not goals.depends_on_accuracy:
        return None
    places = contenders(completed, goals, MAX_NETWORKS)
    draws, estimates = posterior.draw(places=np.array(places)), posterior.estimates()
    replicates = sum(len(record.replicates) for record in completed)
    networks, completed = len(completed), tuple(completed[place] for place in places)
    others = tuple(each for each in goals.objectives if not each.depends_on_accuracy)
    costs = np.array([losses_of(record, others) for record in completed]).reshape(len(completed), len(others))
    no_worse_in_costs = (costs[None, :, :] <= costs[:, None, :]).all(2) & ~np.eye(
        len(completed), dtype=np.bool_
    )
    reward_factors = np.array(
        [goals.ranking_objective.accuracy_factor(record.cost, record.latency) for record in completed],
        dtype=np.float64,
    )
    return FrontPosterior(
        posterior.noise,
        completed,
        tuple(estimates[place] for place in places),
        posterior.std[places],
        draws,
        reward_factors,
        no_worse_in_costs,
        replicates,
        networks,
    )


def contenders(records: Sequence[Record], goals: Goals, most: int) -> list[int]:
    """Indices of the records that are drawn: all, or of more than `most` the best non-dominated ranks.

    The first rank is complete even if it is larger. The largest networks by MACs, which the baseline is, are
    always among them.
    """
    remaining = np.arange(len(records))
    if len(records) <= most:
        return remaining.tolist()
    others = tuple(each for each in goals.objectives if not each.depends_on_accuracy)
    objectives = (goals.ranking_objective, *others)
    losses = np.array([losses_of(record, objectives) for record in records])
    large = {record.key for record in largest_by_macs(records)}
    largest = {place for place, record in enumerate(records) if record.key in large}
    most = max(1, most - len(largest))
    chosen: list[int] = []
    while len(chosen) < most:
        dominated = is_dominated(losses[remaining])
        rank = remaining[~dominated].tolist()
        chosen += rank[: most - len(chosen)] if chosen else rank
        remaining = remaining[dominated]
    return sorted({*chosen, *largest})


def largest_by_macs(records: Sequence[Record]) -> tuple[Record, ...]:
    """The tenth with most MACs; at least 3, but no more than half of the records."""
    count = max(math.ceil(len(records) / 10), min(3, len(records) // 2))
    ordered = sorted(records, key=lambda record: (record.cost.macs, record.trial), reverse=True)
    return tuple(ordered[: min(count, MAX_NETWORKS // 10)])


def most_accurate(records: Sequence[Record]) -> Record | None:
    """The trained record with the highest estimated accuracy."""
    return best_by(Objective("accuracy"), records)


def best_by(ranking_objective: Objective, records: Sequence[Record]) -> Record | None:
    """The trained record with the highest estimated accuracy or reward."""
    trained = [record for record in records if record.trainings]
    return max(trained, key=lambda record: record.value(ranking_objective), default=None)
