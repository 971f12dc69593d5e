"""What is believed of the true accuracies of judged networks, and so of the front.

A network's true accuracy is the mean of all trainings it could have. The best of many networks was lucky
(the winner's curse), so a mean of few trainings is drawn towards a trend:

    true accuracy = trend in log MACs + structure,   mean of n trainings = true accuracy + noise / sqrt(n)

Trend (a polynomial, flat prior), structure and noise are normal. The deviation of the noise is uncertain
as its freedom says, that of the structure has a flat prior; both are weighed by how well they explain what
was seen (their marginal likelihood on a grid). Costs and latencies are taken as exact.

Source: Gelman et al. 2013, Bayesian Data Analysis, 3rd edition, sections 5.4 and 14.2.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...evaluate import Goals, Objective
from ...evaluate.statistics.arrays import Array
from ...evaluate.statistics.macs_trend import polynomial_basis
from ...evaluate.statistics.seed_noise import SeedNoise, estimate_seed_noise
from ..store.pareto import losses_of
from ..store.trial import Record, accuracies_by_seed
from .seed_noise import Estimate

N_POSTERIOR_DRAWS = 2000
DECIDED_PROBABILITY = 0.9
_TAIL = 0.025
_N_NOISE_GRID, _N_STRUCTURE_GRID = 16, 25
_ROUNDING_STD = 0.29  # deviation of a value that was rounded to whole steps


@dataclass(frozen=True, eq=False)
class FrontPosterior:
    """Draws of what may be true.

    Attributes:
        records: `n` judged networks.
        draws: `d x n` true accuracies, each row one way the truth may be.
        reward_factors: `n`, what an accuracy is multiplied by to be the objective: 1, unless that is the
            reward.
        no_worse_in_costs: `n x n`: whether the second would be no worse than the first in every other
            objective.
        replicates: trainings that the noise is told from.
    """

    noise: SeedNoise
    records: tuple[Record, ...]
    draws: Array
    reward_factors: Array
    no_worse_in_costs: NDArray[np.bool_]
    replicates: int

    @cached_property
    def _merit_draws(self) -> Array:
        """`d x n`: what decides who is better, the accuracy or the reward."""
        merits: Array = self.draws * self.reward_factors
        return merits

    @cached_property
    def pareto_probabilities(self) -> Array:
        """`n`: that a network is truly on the front of these."""
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
        """That this network is truly on the front; of a single objective, that it is the best."""
        return float(self.pareto_probabilities[self._index_by_key[record.key]])

    def std(self, record: Record) -> float:
        """How uncertain its true accuracy is."""
        return float(self.draws[:, self._index_by_key[record.key]].std())

    def interval(self, record: Record) -> tuple[float, float]:
        """95%, of its true accuracy."""
        low, high = np.quantile(self.draws[:, self._index_by_key[record.key]], (_TAIL, 1 - _TAIL))
        return float(low), float(high)

    def accuracy_advantage(self, one: Record, other: Record) -> Estimate:
        """How far the first is truly ahead of the second in accuracy (or reward), with its 95% interval."""
        differences = (
            self._merit_draws[:, self._index_by_key[one.key]]
            - self._merit_draws[:, self._index_by_key[other.key]]
        )
        low, high = np.quantile(differences, (_TAIL, 1 - _TAIL))
        return Estimate(float(differences.mean()), float(low), float(high))

    def indistinguishable(self, record: Record, others: Iterable[Record]) -> list[Record]:
        """Those of the others that are not told apart from it: 0 is within the 95% interval."""
        differences = (
            (other, self.accuracy_advantage(record, other)) for other in others if other.key != record.key
        )
        return [other for other, difference in differences if difference.low <= 0 <= difference.high]

    def replacements(self, record: Record) -> list[Record]:
        """Those that are no worse in any other objective, and not told to have less accuracy (or reward)."""
        no_worse_in_costs = self.no_worse_in_costs[self._index_by_key[record.key]]
        rest = (each for each, allowed in zip(self.records, no_worse_in_costs, strict=True) if allowed)
        return [each for each in rest if self.accuracy_advantage(record, each).low <= 0]

    @property
    def undecided(self) -> list[Record]:
        """Those of which it is not told with 90% whether they are on the front."""
        pairs = zip(self.records, self.pareto_probabilities, strict=True)
        return [
            record
            for record, probability in pairs
            if 1 - DECIDED_PROBABILITY < probability < DECIDED_PROBABILITY
        ]


def front_posterior_of(records: Iterable[Record], goals: Goals) -> FrontPosterior | None:
    """What the judged of these records let one believe; the same records give the same draws.

    None where accuracy decides no objective, or where no network was trained twice, so that the noise is
    not known.
    """
    completed = tuple(record for record in records if record.state == "complete" and record.trainings)
    noise = estimate_seed_noise(accuracies_by_seed(completed))
    if noise is None or not goals.depends_on_accuracy:
        return None
    draws = true_accuracies(
        means=np.array([record.top1 for record in completed]),
        trainings=np.array([len(record.trainings) for record in completed]),
        macs=np.array([record.cost.macs for record in completed], dtype=np.float64),
        noise=noise,
        min_std=_ROUNDING_STD / max(record.trainings[0].images for record in completed),
    )
    others = tuple(each for each in goals.objectives if not each.depends_on_accuracy)
    costs = np.array([losses_of(record, others) for record in completed]).reshape(len(completed), len(others))
    no_worse_in_costs = (costs[None, :, :] <= costs[:, None, :]).all(2) & ~np.eye(
        len(completed), dtype=np.bool_
    )
    reward_factors = np.array(
        [goals.ranking_objective.accuracy_factor(record.cost, record.latency) for record in completed],
        dtype=np.float64,
    )
    replicates = sum(len(record.replicates) for record in completed)
    return FrontPosterior(noise, completed, draws, reward_factors, no_worse_in_costs, replicates)


def true_accuracies(
    means: Array,
    trainings: NDArray[np.int_],
    macs: Array,
    noise: SeedNoise,
    min_std: float = 1e-9,
    count: int = N_POSTERIOR_DRAWS,
) -> Array:
    """Draws of the true accuracies of `n` networks, given the means of their trainings.

    Args:
        min_std: of one training; values come in steps, so equal ones do not mean no noise.
    Returns:
        `count x n`.
    """
    rng = np.random.default_rng(0)
    design = polynomial_basis(macs)
    noise_grid = np.maximum(_deviations(noise), min_std)
    # Midpoints, so that none is 0: networks of one size would be equal then, and none the best.
    fractions = (np.arange(_N_STRUCTURE_GRID) + 0.5) / _N_STRUCTURE_GRID
    structure_grid = fractions * max(float(np.ptp(means)), min_std)
    grid = np.array([(one, other) for one in noise_grid for other in structure_grid])
    fits = [ConditionalPosterior.of(means, trainings, design, one, other) for one, other in grid]
    logs = np.array([fit.log_likelihood for fit in fits])
    weights = np.exp(logs - logs.max())
    numbers = rng.multinomial(count, weights / weights.sum())
    return np.concatenate([fit.draw(rng, number) for fit, number in zip(fits, numbers, strict=True)])


@dataclass(frozen=True, eq=False)
class ConditionalPosterior:
    """What is believed if the deviations of noise and structure were known.

    Attributes:
        shrinkage: `n`, how much of what a network lies above the trend is believed to be its own.
        conditional_std: `n`, deviation of the true accuracy where the trend is known.
        trend, trend_cholesky: coefficients, and a root of their covariance.
        log_likelihood: of the means, with the trend integrated out; up to a constant.
    """

    means: Array
    design: Array
    shrinkage: Array
    conditional_std: Array
    trend: Array
    trend_cholesky: Array
    log_likelihood: float

    @classmethod
    def of(
        cls, means: Array, trainings: NDArray[np.int_], design: Array, noise: float, structure: float
    ) -> "ConditionalPosterior":
        noise_variance = noise**2 / trainings
        total_variance = structure**2 + noise_variance
        precision = design.T @ (design / total_variance[:, None])
        covariance = np.linalg.inv(precision)
        trend = covariance @ (design.T @ (means / total_variance))
        residuals = means - design @ trend
        log_likelihood = -0.5 * float(
            np.log(total_variance).sum()
            + np.linalg.slogdet(precision)[1]
            + (residuals**2 / total_variance).sum()
        )
        shrinkage = structure**2 / total_variance
        root = np.linalg.cholesky(covariance)
        return cls(means, design, shrinkage, np.sqrt(shrinkage * noise_variance), trend, root, log_likelihood)

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """`count x n`."""
        normal = rng.standard_normal((count, len(self.trend)))
        trend_draws = (self.trend + normal @ self.trend_cholesky.T) @ self.design.T
        own = self.conditional_std * rng.standard_normal((count, len(self.means)))
        samples: Array = trend_draws + self.shrinkage * (self.means - trend_draws) + own
        return samples


def _deviations(noise: SeedNoise) -> Array:
    """Equally likely deviations, given what was found with so much freedom (scaled inverse chi-squared)."""
    from scipy.special import chdtri

    chances = (np.arange(_N_NOISE_GRID) + 0.5) / _N_NOISE_GRID
    deviations: Array = noise.std * np.sqrt(
        noise.degrees_of_freedom / chdtri(noise.degrees_of_freedom, chances)
    )
    return deviations


def most_accurate(records: Sequence[Record]) -> Record | None:
    """Of the trained ones, by the mean of their trainings."""
    return best_by(Objective("accuracy"), records)


def best_by(ranking_objective: Objective, records: Sequence[Record]) -> Record | None:
    """Of the trained ones, that of the highest accuracy or reward."""
    trained = [record for record in records if record.trainings]
    return max(trained, key=lambda record: record.value(ranking_objective), default=None)
