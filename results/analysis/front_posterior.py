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
from ...evaluate.statistics.reliability import Array
from ...evaluate.statistics.seed_noise import Noise, noise_of
from ..store.pareto import losses_of
from ..store.trial import Record, table_of
from .seed_noise import Estimate

DRAWS = 2000
SURE = 0.9
_TAIL = 0.025
_NOISES, _STRUCTURES = 16, 25
_STEP = 0.29  # deviation of a value that was rounded to whole steps


@dataclass(frozen=True, eq=False)
class Certainty:
    """Draws of what may be true.

    Attributes:
        records: `n` judged networks.
        draws: `d x n` true accuracies, each row one way the truth may be.
        factors: `n`, what an accuracy is multiplied by to be the objective: 1, unless that is the reward.
        rivals: `n x n`: whether the second would be no worse than the first in every other objective.
        repeats: trainings that the noise is told from.
    """

    noise: Noise
    records: tuple[Record, ...]
    draws: Array
    factors: Array
    rivals: NDArray[np.bool_]
    repeats: int

    @cached_property
    def _merits(self) -> Array:
        """`d x n`: what decides who is better, the accuracy or the reward."""
        found: Array = self.draws * self.factors
        return found

    @cached_property
    def probabilities(self) -> Array:
        """`n`: that a network is truly on the front of these."""
        best = np.full(self.draws.shape, -np.inf)
        for place, others in enumerate(self.rivals):
            if others.any():
                best[:, place] = self._merits[:, others].max(1)
        found: Array = (self._merits > best).mean(0)
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {record.key: place for place, record in enumerate(self.records)}

    def __contains__(self, record: Record) -> bool:
        return record.key in self._places

    def on_front_probability(self, record: Record) -> float:
        """That this network is truly on the front; of a single objective, that it is the best."""
        return float(self.probabilities[self._places[record.key]])

    def mean(self, record: Record) -> float:
        """The accuracy to be expected of it: less than it seems if luck brought it up."""
        return float(self.draws[:, self._places[record.key]].mean())

    def deviation(self, record: Record) -> float:
        """How uncertain its true accuracy is."""
        return float(self.draws[:, self._places[record.key]].std())

    def interval(self, record: Record) -> tuple[float, float]:
        """95%, of its true accuracy."""
        low, high = np.quantile(self.draws[:, self._places[record.key]], (_TAIL, 1 - _TAIL))
        return float(low), float(high)

    def ahead(self, one: Record, other: Record) -> Estimate:
        """How far the first is truly ahead of the second in accuracy (or reward), with its 95% interval."""
        apart = self._merits[:, self._places[one.key]] - self._merits[:, self._places[other.key]]
        low, high = np.quantile(apart, (_TAIL, 1 - _TAIL))
        return Estimate(float(apart.mean()), float(low), float(high))

    def alike(self, record: Record, others: Iterable[Record]) -> list[Record]:
        """Those of the others that are not told apart from it: 0 is within the 95% interval."""
        apart = ((other, self.ahead(record, other)) for other in others if other.key != record.key)
        return [other for other, found in apart if found.low <= 0 <= found.high]

    def replacements(self, record: Record) -> list[Record]:
        """Those that are no worse in any other objective, and not told to have less accuracy (or reward)."""
        rivals = self.rivals[self._places[record.key]]
        rest = (each for each, may in zip(self.records, rivals, strict=True) if may)
        return [each for each in rest if self.ahead(record, each).low <= 0]

    @property
    def unsettled(self) -> list[Record]:
        """Those of which it is not told with 90% whether they are on the front."""
        pairs = zip(self.records, self.probabilities, strict=True)
        return [record for record, chance in pairs if 1 - SURE < chance < SURE]


def certainty_of(records: Iterable[Record], goals: Goals) -> Certainty | None:
    """What the judged of these records let one believe; the same records give the same draws.

    None where accuracy decides no objective, or where no network was trained twice, so that the noise is
    not known.
    """
    judged = tuple(record for record in records if record.state == "judged" and record.trainings)
    noise = noise_of(table_of(judged))
    if noise is None or not goals.of_accuracy:
        return None
    draws = true_accuracies(
        means=np.array([record.top1 for record in judged]),
        trainings=np.array([len(record.trainings) for record in judged]),
        macs=np.array([record.cost.macs for record in judged], dtype=np.float64),
        noise=noise,
        least_deviation=_STEP / max(record.trainings[0].images for record in judged),
    )
    others = tuple(each for each in goals.objectives if not each.of_accuracy)
    costs = np.array([losses_of(record, others) for record in judged]).reshape(len(judged), len(others))
    rivals = (costs[None, :, :] <= costs[:, None, :]).all(2) & ~np.eye(len(judged), dtype=np.bool_)
    factors = np.array(
        [goals.merit.factor(record.cost, record.latency) for record in judged], dtype=np.float64
    )
    repeats = sum(len(record.repeats) for record in judged)
    return Certainty(noise, judged, draws, factors, rivals, repeats)


def true_accuracies(
    means: Array,
    trainings: NDArray[np.int_],
    macs: Array,
    noise: Noise,
    least_deviation: float = 1e-9,
    count: int = DRAWS,
) -> Array:
    """Draws of the true accuracies of `n` networks, given the means of their trainings.

    Args:
        least_deviation: of one training; values come in steps, so equal ones do not mean no noise.
    Returns:
        `count x n`.
    """
    rng = np.random.default_rng(0)
    design = trend(macs)
    noises = np.maximum(_deviations(noise), least_deviation)
    # Midpoints, so that none is 0: networks of one size would be equal then, and none the best.
    shares = (np.arange(_STRUCTURES) + 0.5) / _STRUCTURES
    structures = shares * max(float(np.ptp(means)), least_deviation)
    pairs = np.array([(one, other) for one in noises for other in structures])
    fits = [Conditional.of(means, trainings, design, one, other) for one, other in pairs]
    logs = np.array([fit.log_likelihood for fit in fits])
    chances = np.exp(logs - logs.max())
    numbers = rng.multinomial(count, chances / chances.sum())
    return np.concatenate([fit.draw(rng, number) for fit, number in zip(fits, numbers, strict=True)])


@dataclass(frozen=True, eq=False)
class Conditional:
    """What is believed if the deviations of noise and structure were known.

    Attributes:
        shares: `n`, how much of what a network lies above the trend is believed to be its own.
        spread: `n`, deviation of the true accuracy where the trend is known.
        trend, trend_root: coefficients, and a root of their covariance.
        log_likelihood: of the means, with the trend integrated out; up to a constant.
    """

    means: Array
    design: Array
    shares: Array
    spread: Array
    trend: Array
    trend_root: Array
    log_likelihood: float

    @classmethod
    def of(
        cls, means: Array, trainings: NDArray[np.int_], design: Array, noise: float, structure: float
    ) -> "Conditional":
        chance = noise**2 / trainings
        whole = structure**2 + chance
        precision = design.T @ (design / whole[:, None])
        covariance = np.linalg.inv(precision)
        trend = covariance @ (design.T @ (means / whole))
        left = means - design @ trend
        log_likelihood = -0.5 * float(
            np.log(whole).sum() + np.linalg.slogdet(precision)[1] + (left**2 / whole).sum()
        )
        shares = structure**2 / whole
        root = np.linalg.cholesky(covariance)
        return cls(means, design, shares, np.sqrt(shares * chance), trend, root, log_likelihood)

    @property
    def mean(self) -> Array:
        """`n`, the expected true accuracies."""
        trend = self.design @ self.trend
        found: Array = trend + self.shares * (self.means - trend)
        return found

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """`count x n`."""
        normal = rng.standard_normal((count, len(self.trend)))
        trends = (self.trend + normal @ self.trend_root.T) @ self.design.T
        own = self.spread * rng.standard_normal((count, len(self.means)))
        found: Array = trends + self.shares * (self.means - trends) + own
        return found


def trend(macs: Array) -> Array:
    """`n x p`: powers of log MACs, scaled; a constant alone below 4 networks, a square from 8 on."""
    logs = np.log(macs)
    scaled = (logs - logs.mean()) / (logs.std() or 1.0)
    most = 0 if len(macs) < 4 else 1 if len(macs) < 8 else 2
    return np.vander(scaled, min(most, len(np.unique(logs)) - 1) + 1, increasing=True)


def _deviations(noise: Noise) -> Array:
    """Equally likely deviations, given what was found with so much freedom (scaled inverse chi-squared)."""
    from scipy.special import chdtri

    chances = (np.arange(_NOISES) + 0.5) / _NOISES
    found: Array = noise.deviation * np.sqrt(noise.freedom / chdtri(noise.freedom, chances))
    return found


def most_accurate(records: Sequence[Record]) -> Record | None:
    """Of the trained ones, by the mean of their trainings."""
    return best_by(Objective("accuracy"), records)


def best_by(merit: Objective, records: Sequence[Record]) -> Record | None:
    """Of the trained ones, that of the highest accuracy or reward."""
    trained = [record for record in records if record.trainings]
    return max(trained, key=lambda record: record.value(merit), default=None)
