"""What trainings with several seeds tell: how noisy they are, and whether a search is worth its time."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ...evaluate.statistics.arrays import Array, Indices
from ...evaluate.statistics.macs_trend import PolynomialTrend, fit_trend
from ...evaluate.statistics.rank_correlation import bootstrap_ci95, mean_over_seed_pairs, spearman
from ...evaluate.statistics.reliability import (
    VarianceComponents,
    complete_subtable,
    expected_maximum,
    icc,
    least_significant_difference,
    n_seeds_for_reliability,
    variance_components,
    variance_components_given_macs,
)
from ..store.seed_study import SeedTraining

Name = Literal["accuracy", "loss", "score"]
Verdict = Literal["search", "largest", "unclear", "noise"]

MIN_NETWORKS, MIN_SEEDS = 6, 2
REPORTED_N_SEEDS = (1, 2, 4)
TARGET_RELIABILITY = 0.8
_MOST_TRAININGS = 8
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class MetricReliability:
    """One thing that trainings are judged by.

    Attributes:
        table: `n x k`, complete, at least 6 networks and 2 seeds; higher is better but for `loss`.
        macs: `n`.
    """

    name: Name
    table: Array
    macs: Array

    @cached_property
    def variances_overall(self) -> VarianceComponents:
        return variance_components(self.table)

    @cached_property
    def variances_given_macs(self) -> VarianceComponents:
        """Of what MACs do not explain."""
        return variance_components_given_macs(self.table, self.macs)

    @cached_property
    def fit(self) -> PolynomialTrend:
        """Of the means over the seeds, on MACs."""
        return fit_trend(self.macs, self.table.mean(1))

    @property
    def std(self) -> float:
        """Of one training, the seeds' own effect removed."""
        return math.sqrt(self.variances_overall.error_mean_square)

    def least_significant_difference(self, trainings: int) -> float:
        """How far apart two networks with so many trainings each must be (95%)."""
        freedom = self.variances_overall.error_degrees_of_freedom
        return least_significant_difference(self.std, freedom, trainings, trainings)

    @property
    def best_macs(self) -> float:
        """The size that the fit holds for the best: the largest unless it is told to fall before it."""
        sizes = np.geomspace(self.macs.min(), self.macs.max(), 101)
        heights = self.fit(sizes)
        if heights.max() - heights[-1] < self.least_significant_difference(REPORTED_N_SEEDS[-1]):
            return float(sizes[-1])
        return float(sizes[heights.argmax()])

    @property
    def explained_by_macs(self) -> Estimate:
        """Share of the true variance between networks that MACs explain; 0 where there is none."""
        total = self.variances_overall.true_variance
        low, high = self.variances_given_macs.true_variance_ci95
        unexplained = [
            min(1.0, each / total) if total > 0 else 1.0
            for each in (self.variances_given_macs.true_variance, low, high)
        ]
        return Estimate(1 - unexplained[0], 1 - unexplained[2], 1 - unexplained[1])

    def expected_gain(self, networks: int, trainings: int = 1) -> Estimate:
        """How far the best of so many networks of one size lies above their mean, by their true values.

        It is chosen by the mean of so many trainings, so that noise takes its part:
        deviation x expected maximum of as many normals x root of the reliability.
        """

        def of(true_variance: float) -> float:
            reliability = (
                true_variance / (true_variance + self.variances_given_macs.error_mean_square / trainings)
                if true_variance > 0
                else 0.0
            )
            return math.sqrt(true_variance * reliability) * expected_maximum(networks)

        low, high = self.variances_given_macs.true_variance_ci95
        return Estimate(of(self.variances_given_macs.true_variance), of(low), of(high))

    def best_allocation(self, budget: int) -> tuple[int, int]:
        """Networks, and trainings of each, that gain most for the computing of `budget` trainings."""
        part = (
            self.variances_given_macs
            if self.variances_given_macs.true_variance > 0
            else self.variances_overall
        )
        choices = [(budget // each, each) for each in range(1, min(_MOST_TRAININGS, budget // 2 or 1) + 1)]
        return max(choices, key=lambda each: expected_maximum(each[0]) * math.sqrt(part.reliability(each[1])))

    @cached_property
    def spearman_between_seeds(self) -> Estimate:
        """Spearman of two seeds, on the mean over their pairs."""
        return self._bootstrap(lambda rows: mean_over_seed_pairs(self.table[rows]))

    @cached_property
    def spearman_with_macs(self) -> Estimate:
        """Spearman of MACs with the mean over the seeds; of a good judge it is negative for the loss."""
        means = self.table.mean(1)
        return self._bootstrap(lambda rows: spearman(means[rows], self.macs[rows]))

    def _bootstrap(self, statistic: Callable[[Indices], float]) -> Estimate:
        count = len(self.macs)
        low, high = bootstrap_ci95(statistic, count, np.random.default_rng(_BOOTSTRAP_SEED))
        return Estimate(statistic(np.arange(count)), low, high)


@dataclass(frozen=True)
class SeedVarianceReport:
    """All that is told.

    Attributes:
        metrics: the first is what the verdict is of.
        keys: of the networks in the tables, by rows.
        trainings: that ended with a number.
        excluded: of these, in no table.
        failed: that came to no number.
        cpu_seconds: of one training, on the mean.
        n_trials: networks that a search would judge.
    """

    metrics: tuple[MetricReliability, ...]
    keys: tuple[str, ...]
    trainings: int
    excluded: int
    failed: int
    cpu_seconds: float
    n_trials: int

    @property
    def primary(self) -> MetricReliability:
        return self.metrics[0]

    @property
    def networks(self) -> int:
        return len(self.keys)

    @property
    def seeds(self) -> int:
        return self.primary.variances_overall.seeds

    @property
    def trainings_for_target(self) -> int | None:
        """Trainings of a network after which the reliability is 0.8; None where there is none at all."""
        return n_seeds_for_reliability(self.primary.variances_overall.reliability(), TARGET_RELIABILITY)

    @cached_property
    def more_reliable(self) -> Name | None:
        """Accuracy or loss, where these networks can tell."""
        if len(self.metrics) < 2:
            return None
        one, other = self.metrics

        def apart(rows: Indices) -> float:
            return icc(one.table[rows]) - icc(other.table[rows])

        low, high = bootstrap_ci95(apart, self.networks, np.random.default_rng(_BOOTSTRAP_SEED))
        return one.name if low > 0 else other.name if high < 0 else None

    @property
    def verdict(self) -> Verdict:
        """Whether a search is worth its time (see `search_verdict`)."""
        primary = self.primary
        distinguishable = primary.variances_overall.reliability_ci95()[0] > 0
        expected_gain, share = primary.expected_gain(self.n_trials), primary.explained_by_macs.value
        return search_verdict(
            distinguishable,
            expected_gain,
            share,
            threshold_1_seed=primary.least_significant_difference(1),
            threshold_4_seeds=primary.least_significant_difference(REPORTED_N_SEEDS[-1]),
        )


def search_verdict(
    distinguishable: bool,
    expected_gain: Estimate,
    share: float,
    *,
    threshold_1_seed: float,
    threshold_4_seeds: float,
) -> Verdict:
    """Whether a search is worth its time.

    `noise`: the networks are not told apart at all. `search`: there is something beyond MACs, and the
    gain is one that four trainings each can tell. `largest`: it is not, MACs explain more than half,
    and at most the gain is less than what the single trainings of a search can tell. Else `unclear`.

    Args:
        distinguishable: whether the networks are told apart.
        expected_gain: of a search among networks of one size.
        share: of the true variance that MACs explain.
        threshold_1_seed, threshold_4_seeds: differences that one training each can tell, and four.
    """
    if not distinguishable:
        return "noise"
    if expected_gain.low > 0 and expected_gain.value >= threshold_4_seeds:
        return "search"
    if share > 0.5 and expected_gain.value < threshold_4_seeds and expected_gain.high < threshold_1_seed:
        return "largest"
    return "unclear"


def analyze_seed_variance(trainings: Iterable[SeedTraining], n_trials: int) -> SeedVarianceReport | None:
    """The statistics of the largest part without gaps; None where that is below 6 networks x 2 seeds."""
    rows = list(trainings)
    known = [each for each in rows if not math.isnan(each.value)]
    keys = list(dict.fromkeys(each.network for each in known))
    seeds = sorted({each.seed for each in known})
    place = {(each.network, each.seed): each for each in known}

    def table(attribute: str) -> Array:
        return np.array(
            [
                [getattr(place[key, seed], attribute) if (key, seed) in place else math.nan for seed in seeds]
                for key in keys
            ],
            dtype=np.float64,
        ).reshape(len(keys), len(seeds))

    networks, columns = complete_subtable(table("value"))
    if len(networks) < MIN_NETWORKS or len(columns) < MIN_SEEDS:
        return None
    macs = {each.network: each.macs for each in known}
    chosen = tuple(keys[number] for number in networks)
    sizes = np.array([macs[key] for key in chosen], dtype=np.float64)
    part = np.ix_(networks, columns)
    judged = not any(math.isnan(each.accuracy) for each in known)
    named: Sequence[tuple[Name, str]] = (
        (("accuracy", "accuracy"), ("loss", "loss")) if judged else (("score", "value"),)
    )
    return SeedVarianceReport(
        metrics=tuple(MetricReliability(name, table(attribute)[part], sizes) for name, attribute in named),
        keys=chosen,
        trainings=len(known),
        excluded=len(known) - len(networks) * len(columns),
        failed=len(rows) - len(known),
        cpu_seconds=float(np.mean([each.cpu_seconds for each in known])),
        n_trials=n_trials,
    )
