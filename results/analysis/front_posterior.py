"""Posterior of the Pareto front of evaluated networks.

The best of many observed means is biased upward (winner's curse), so the true accuracies (expectations
over seeds and over images) are those of `TrueAccuracies`, shrunk toward a trend. Latencies are log-normal,
with the 95% intervals of their ratios; MACs and parameters are exact.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...evaluate import Accuracy, Goals, Objective
from ...evaluate.objectives import REWARD_EXPONENT
from ...evaluate.statistics.arrays import Array
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.statistics.multi_objective import is_dominated
from ...evaluate.statistics.outcomes import ImageSampling
from ...evaluate.statistics.seed_noise import SeedNoise
from ...evaluate.statistics.true_accuracies import Z95
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
        seed_stds: `n` standard deviations that more trainings would reduce to 0.
        draws: `d x n` true accuracies.
        reward_factors: `n` or `d x n` factors from accuracy to objective: 1 unless that is the reward.
        measured_factors: `n` of the measured latencies.
        no_worse_in_costs: `n x n`: whether network j is measured no worse than i in every other objective.
        no_worse_in_counts: the same for MACs and parameters alone.
        latencies: `d x n` in ms; None if latency is no objective.
        replicates: number of trainings beyond the first of each network.
        networks: number of networks that trend, structure and noise are fitted to.
    """

    noise: SeedNoise
    image_sampling: ImageSampling
    records: tuple[Record, ...]
    estimates: tuple[Estimate, ...]
    seed_stds: Array
    draws: Array
    reward_factors: Array
    measured_factors: Array
    no_worse_in_costs: NDArray[np.bool_]
    no_worse_in_counts: NDArray[np.bool_]
    latencies: Array | None
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
        if self.latencies is None:
            return self._pareto_probabilities(self.reward_factors)
        merits, latencies = (np.ascontiguousarray(each.T) for each in (self._merit_draws, self.latencies))
        ends = latencies.min(1), latencies.max(1)
        pairs = enumerate(self.no_worse_in_counts)
        highest = [_highest_merit(merits, latencies, ends, place, others) for place, others in pairs]
        pareto: Array = (merits > highest).mean(1)
        return pareto

    @cached_property
    def probabilities_given_latencies(self) -> Array:
        """The same if the measured latencies were exact: what more trainings can decide."""
        return self._pareto_probabilities(self.measured_factors)

    def _pareto_probabilities(self, reward_factors: Array) -> Array:
        merits = np.ascontiguousarray((self.draws * reward_factors).T)
        highest = [merits[others].max(0, initial=-np.inf) for others in self.no_worse_in_costs]
        pareto: Array = (merits > highest).mean(1)
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
        return float(self.draws[:, self._index_by_key[record.key]].std())

    def probability_given_latencies(self, record: Record) -> float:
        """P(Pareto-optimal) if the measured latencies were exact."""
        return float(self.probabilities_given_latencies[self._index_by_key[record.key]])

    def seed_std(self, record: Record) -> float:
        """The part of the standard deviation that more trainings would reduce to 0."""
        return float(self.seed_stds[self._index_by_key[record.key]])

    def estimate(self, record: Record) -> Estimate:
        """Posterior mean of the true accuracy, with its 95% credible interval."""
        return self.estimates[self._index_by_key[record.key]]

    def interval(self, record: Record) -> tuple[float, float]:
        """95% credible interval of the true accuracy."""
        estimate = self.estimate(record)
        return estimate.low, estimate.high

    def estimate_unselected(self, accuracy: Accuracy) -> Estimate:
        """Estimate for a network that was not selected by its accuracy, such as a baseline: no shrinkage."""
        common, own, _ = self.image_sampling.shares
        variance = (common + own) * self.image_sampling.variances([accuracy.top1]).item()
        half_width = math.hypot(self.noise.ci95_half_width(1), Z95 * math.sqrt(variance))
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

    def least_significant_difference(self, trainings: int = 1) -> float:
        """Smallest significant difference (95%) of two networks on unseen images, near the highest accuracy.

        Args:
            trainings: number of trainings of each network.
        """
        highest = max(estimate.value for estimate in self.estimates)
        variance, own = self.image_sampling.variances([highest]).item(), self.image_sampling.shares[1]
        seeds = self.noise.least_significant_difference(trainings, trainings)
        return math.hypot(seeds, Z95 * math.sqrt(2 * own * variance))

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
        return self._between(self.pareto_probabilities)

    @property
    def undecided_given_latencies(self) -> list[Record]:
        """The same if the measured latencies were exact."""
        return self._between(self.probabilities_given_latencies)

    def _between(self, probabilities: Array) -> list[Record]:
        return [
            record
            for record, probability in zip(self.records, probabilities, strict=True)
            if 1 - DECIDED_PROBABILITY < probability < DECIDED_PROBABILITY
        ]


def front_posterior_of(records: Iterable[Record], goals: Goals) -> FrontPosterior | None:
    """Posterior of the completed records; deterministic.

    Trend, structure and noise are fitted to all. True accuracies are drawn for at most `MAX_NETWORKS`: those
    of the best non-dominated ranks, which alone can be Pareto-optimal. None if no objective depends on
    accuracy, or without replicates, since the seed noise is then unknown.
    """
    completed = tuple(record for record in records if record.state == "complete" and record.trainings)
    if not goals.depends_on_accuracy or (posterior := true_accuracies(completed)) is None:
        return None
    places = contenders(completed, goals, MAX_NETWORKS)
    draws, estimates = posterior.draw(places=np.array(places)), posterior.estimates()
    replicates = sum(len(record.replicates) for record in completed)
    networks, completed = len(completed), tuple(completed[place] for place in places)
    others = tuple(each for each in goals.objectives if not each.depends_on_accuracy)
    counted = tuple(each for each in others if each.quantity != "latency")
    reward, factors = goals.ranking_objective, latency_factors(completed, len(draws))
    reward_factors = np.array(
        [reward.accuracy_factor(record.cost, record.latency) for record in completed], dtype=np.float64
    )
    measured_factors = reward_factors
    if reward.target and reward.target.quantity == "latency":
        reward_factors = reward_factors * factors**REWARD_EXPONENT
    latencies = None
    if len(counted) < len(others):
        latencies = factors * [record.value(Objective("latency")) for record in completed]
    return FrontPosterior(
        noise=posterior.noise,
        image_sampling=posterior.images,
        records=completed,
        estimates=tuple(estimates[place] for place in places),
        seed_stds=posterior.seed_std[places],
        draws=draws,
        reward_factors=reward_factors,
        measured_factors=measured_factors,
        no_worse_in_costs=_no_worse(completed, others),
        no_worse_in_counts=_no_worse(completed, counted),
        latencies=latencies,
        replicates=replicates,
        networks=networks,
    )


def _highest_merit(
    merits: Array, latencies: Array, ends: tuple[Array, Array], place: int, others: NDArray[np.bool_]
) -> Array:
    """`d` highest merits among the others that are no slower than the network at a place.

    Args:
        merits, latencies: `n x d` draws.
        ends: lowest and highest latency of each network.
    """
    fastest, slowest = ends
    always = others & (slowest <= fastest[place])
    sometimes = others & ~always & (fastest <= slowest[place])
    highest = np.where(latencies[sometimes] <= latencies[place], merits[sometimes], -np.inf).max(
        0, initial=-np.inf
    )
    maximum: Array = np.maximum(highest, merits[always].max(0, initial=-np.inf))
    return maximum


def latency_factors(records: Sequence[Record], count: int) -> Array:
    """`count x n` draws of the latencies in multiples of the measured ones; always the same.

    Log-normal by the 95% interval of the ratio; 1 without a latency.
    """
    log_stds = [
        math.log(record.latency.ratio_high / record.latency.ratio_low) / (2 * Z95)
        if record.latency and record.latency.ratio_low > 0
        else 0.0
        for record in records
    ]
    draws: Array = np.exp(np.random.default_rng(1).standard_normal((count, len(records))) * log_stds)
    return draws


def _no_worse(records: Sequence[Record], objectives: Sequence[Objective]) -> NDArray[np.bool_]:
    """`n x n`: whether network j is no worse than network i in every objective; False for itself."""
    values = np.array([losses_of(record, objectives) for record in records])
    values = values.reshape(len(records), len(objectives))
    no_worse = np.asarray((values[None, :, :] <= values[:, None, :]).all(2))
    np.fill_diagonal(no_worse, False)
    return no_worse


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
    ordered = sorted(records, key=lambda record: (record.cost.macs, record.trial, record.run), reverse=True)
    return tuple(ordered[: min(count, MAX_NETWORKS // 10)])


def most_accurate(records: Sequence[Record]) -> Record | None:
    """The trained record with the highest estimated accuracy."""
    return best_by(Objective("accuracy"), records)


def best_by(ranking_objective: Objective, records: Sequence[Record]) -> Record | None:
    """The trained record with the highest estimated accuracy or reward."""
    trained = [record for record in records if record.trainings]
    return max(trained, key=lambda record: record.value(ranking_objective), default=None)
