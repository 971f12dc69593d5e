"""Seed variance: reliability of trainings with several seeds, and whether a search is worthwhile."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ...evaluate.statistics.arrays import Array, Indices
from ...evaluate.statistics.estimate import Estimate
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
_MAX_SEEDS = 8
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True, eq=False)
class MetricReliability:
    """Reliability of one evaluation metric.

    Attributes:
        table: `n networks x k seeds`, complete, at least 6 x 2; higher is better except for `loss`.
        macs: MACs of the `n` networks.
    """

    name: Name
    table: Array
    macs: Array

    @cached_property
    def variances_overall(self) -> VarianceComponents:
        return variance_components(self.table)

    @cached_property
    def variances_given_macs(self) -> VarianceComponents:
        """Variance components of the residuals on MACs."""
        return variance_components_given_macs(self.table, self.macs)

    @cached_property
    def fit(self) -> PolynomialTrend:
        """Trend of the seed means in MACs."""
        return fit_trend(self.macs, self.table.mean(1))

    @property
    def std(self) -> float:
        """Standard deviation of a single training; the common effect of a seed is removed."""
        return math.sqrt(self.variances_overall.error_mean_square)

    def least_significant_difference(self, trainings: int) -> float:
        """Least significant difference (95%) of two networks with `trainings` seeds each."""
        degrees_of_freedom = self.variances_overall.error_degrees_of_freedom
        return least_significant_difference(self.std, degrees_of_freedom, trainings, trainings)

    @property
    def best_macs(self) -> float:
        """MACs at the maximum of the trend; the largest MACs unless the difference is significant."""
        sizes = np.geomspace(self.macs.min(), self.macs.max(), 101)
        predictions = self.fit(sizes)
        if predictions.max() - predictions[-1] < self.least_significant_difference(REPORTED_N_SEEDS[-1]):
            return float(sizes[-1])
        return float(sizes[predictions.argmax()])

    @property
    def explained_by_macs(self) -> Estimate:
        """Fraction of the true variance between networks explained by MACs; 0 if that variance is 0."""
        total = self.variances_overall.true_variance
        low, high = self.variances_given_macs.true_variance_ci95
        unexplained = [
            min(1.0, each / total) if total > 0 else 1.0
            for each in (self.variances_given_macs.true_variance, low, high)
        ]
        return Estimate(1 - unexplained[0], 1 - unexplained[2], 1 - unexplained[1])

    def expected_gain(self, networks: int, trainings: int = 1) -> Estimate:
        """Expected true value of the selected network minus the mean, for networks of equal MACs.

        The network with the highest mean over its trainings is selected: true standard deviation x
        expected maximum of `networks` standard normals x square root of the reliability.

        Args:
            networks: number of candidate networks.
            trainings: seeds per network.
        """

        def gain(true_variance: float) -> float:
            reliability = (
                true_variance / (true_variance + self.variances_given_macs.error_mean_square / trainings)
                if true_variance > 0
                else 0.0
            )
            return math.sqrt(true_variance * reliability) * expected_maximum(networks)

        low, high = self.variances_given_macs.true_variance_ci95
        return Estimate(gain(self.variances_given_macs.true_variance), gain(low), gain(high))

    def best_allocation(self, budget: int) -> tuple[int, int]:
        """Number of networks and seeds per network with the largest gain for `budget` trainings."""
        variances = (
            self.variances_given_macs
            if self.variances_given_macs.true_variance > 0
            else self.variances_overall
        )
        n_seeds = range(1, min(_MAX_SEEDS, budget // 2 or 1) + 1)
        return max(
            ((budget // count, count) for count in n_seeds),
            key=lambda pair: expected_maximum(pair[0]) * math.sqrt(variances.reliability(pair[1])),
        )

    @cached_property
    def spearman_between_seeds(self) -> Estimate:
        """Spearman between two seeds, averaged over all pairs of seeds."""
        return self._bootstrap(lambda rows: mean_over_seed_pairs(self.table[rows]))

    @cached_property
    def spearman_with_macs(self) -> Estimate:
        """Spearman of MACs and the seed means; for `loss`, negative if larger networks are better."""
        means = self.table.mean(1)
        return self._bootstrap(lambda rows: spearman(means[rows], self.macs[rows]))

    def _bootstrap(self, statistic: Callable[[Indices], float]) -> Estimate:
        count = len(self.macs)
        low, high = bootstrap_ci95(statistic, count, np.random.default_rng(_BOOTSTRAP_SEED))
        return Estimate(statistic(np.arange(count)), low, high)


@dataclass(frozen=True)
class SeedVarianceReport:
    """Statistics of a seed study.

    Attributes:
        metrics: the verdict is based on the first.
        keys: architecture keys of the table rows.
        trainings: number of trainings with a result.
        excluded: trainings with a result that are in no table.
        failed: trainings without a result.
        cpu_seconds: mean CPU time of a training.
        n_trials: number of networks that a search would evaluate.
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
        """Seeds per network for a reliability of `TARGET_RELIABILITY`; None if no number suffices."""
        return n_seeds_for_reliability(self.primary.variances_overall.reliability(), TARGET_RELIABILITY)

    @cached_property
    def more_reliable(self) -> Name | None:
        """The metric with the significantly higher ICC (95%); None if undecided."""
        if len(self.metrics) < 2:
            return None
        one, other = self.metrics

        def icc_difference(rows: Indices) -> float:
            return icc(one.table[rows]) - icc(other.table[rows])

        low, high = bootstrap_ci95(icc_difference, self.networks, np.random.default_rng(_BOOTSTRAP_SEED))
        return one.name if low > 0 else other.name if high < 0 else None

    @property
    def verdict(self) -> Verdict:
        """Whether a search is worthwhile (see `search_verdict`)."""
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
    """Whether a search is worthwhile.

    - `noise`: differences between networks do not exceed seed noise.
    - `search`: the expected gain is significantly positive and at least `threshold_4_seeds`.
    - `largest`: MACs explain more than half of the variance, the expected gain is below
      `threshold_4_seeds`, and its upper bound is below `threshold_1_seed`.
    - `unclear`: otherwise.

    Args:
        distinguishable: whether the reliability is significantly above 0.
        expected_gain: expected gain of a search among networks of equal MACs.
        share: fraction of the true variance explained by MACs.
        threshold_1_seed, threshold_4_seeds: least significant difference with 1 and 4 seeds per network.
    """
    if not distinguishable:
        return "noise"
    if expected_gain.low > 0 and expected_gain.value >= threshold_4_seeds:
        return "search"
    if share > 0.5 and expected_gain.value < threshold_4_seeds and expected_gain.high < threshold_1_seed:
        return "largest"
    return "unclear"


def analyze_seed_variance(trainings: Iterable[SeedTraining], n_trials: int) -> SeedVarianceReport | None:
    """Statistics of the largest complete subtable; None if it is below 6 networks x 2 seeds."""
    rows = list(trainings)
    known = [each for each in rows if not math.isnan(each.value)]
    keys = list(dict.fromkeys(each.network for each in known))
    seeds = sorted({each.seed for each in known})
    cells = {(each.network, each.seed): each for each in known}

    def table(attribute: str) -> Array:
        return np.array(
            [
                [getattr(cells[key, seed], attribute) if (key, seed) in cells else math.nan for seed in seeds]
                for key in keys
            ],
            dtype=np.float64,
        ).reshape(len(keys), len(seeds))

    networks, columns = complete_subtable(table("value"))
    if len(networks) < MIN_NETWORKS or len(columns) < MIN_SEEDS:
        return None
    macs = {each.network: each.macs for each in known}
    selected_keys = tuple(keys[number] for number in networks)
    selected_macs = np.array([macs[key] for key in selected_keys], dtype=np.float64)
    subtable = np.ix_(networks, columns)
    has_accuracy = not any(math.isnan(each.accuracy) for each in known)
    metrics: Sequence[tuple[Name, str]] = (
        (("accuracy", "accuracy"), ("loss", "loss")) if has_accuracy else (("score", "value"),)
    )
    return SeedVarianceReport(
        metrics=tuple(
            MetricReliability(name, table(attribute)[subtable], selected_macs) for name, attribute in metrics
        ),
        keys=selected_keys,
        trainings=len(known),
        excluded=len(known) - len(networks) * len(columns),
        failed=len(rows) - len(known),
        cpu_seconds=float(np.mean([each.cpu_seconds for each in known])),
        n_trials=n_trials,
    )
