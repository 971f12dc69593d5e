"""Reliability of accuracies over seeds.

A table holds one quantity of `n networks x k seeds`. All networks share the seeds: a two-way layout with
fixed seed effects, which are not part of the noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .arrays import Array, Indices, Values
from .macs_trend import fit_trend

_UPPER_QUANTILE = 0.975


@dataclass(frozen=True)
class VarianceComponents:
    """Analysis of variance of a table.

    Attributes:
        between_mean_square: mean square between networks, with expectation `error + seeds * true`.
        error_mean_square: residual mean square.
        degrees_of_freedom, error_degrees_of_freedom: of the two mean squares.
    Source: Shrout & Fleiss 1979, doi:10.1037/0033-2909.86.2.420; intervals: McGraw & Wong 1996,
        doi:10.1037/1082-989X.1.1.30, exact for normal networks and noise.
    """

    between_mean_square: float
    error_mean_square: float
    seeds: int
    degrees_of_freedom: int
    error_degrees_of_freedom: int

    @property
    def icc(self) -> float:
        """ICC(3,1), consistency; negative if networks differ less than noise alone would cause."""
        spread = self.between_mean_square + (self.seeds - 1) * self.error_mean_square
        return (self.between_mean_square - self.error_mean_square) / spread if spread > 0 else 0.0

    @property
    def true_variance(self) -> float:
        """Variance of the true values of the networks, at least 0."""
        return max(0.0, (self.between_mean_square - self.error_mean_square) / self.seeds)

    @property
    def true_variance_ci95(self) -> tuple[float, float]:
        """95% interval of `true_variance`, given the error mean square."""
        from scipy.special import fdtri

        least = self.between_mean_square / fdtri(
            self.degrees_of_freedom, self.error_degrees_of_freedom, _UPPER_QUANTILE
        )
        max_degree = self.between_mean_square * fdtri(
            self.error_degrees_of_freedom, self.degrees_of_freedom, _UPPER_QUANTILE
        )
        low, high = (
            max(0.0, float(each - self.error_mean_square) / self.seeds) for each in (least, max_degree)
        )
        return low, high

    def reliability(self, n_seeds: int = 1) -> float:
        """True variance as a fraction of the variance of means over `n_seeds` trainings, 0 to 1."""
        return self._reliability(self.true_variance, n_seeds)

    def reliability_ci95(self, n_seeds: int = 1) -> tuple[float, float]:
        """95% interval of `reliability`."""
        low, high = (self._reliability(true_variance, n_seeds) for true_variance in self.true_variance_ci95)
        return low, high

    def _reliability(self, true_variance: float, n_seeds: int) -> float:
        return (
            true_variance / (true_variance + self.error_mean_square / n_seeds) if true_variance > 0 else 0.0
        )


def variance_components(table: Array) -> VarianceComponents:
    """Two-way analysis of variance with fixed seed effects.

    Args:
        table: `n x k` without gaps, at least 2 x 2 (see `complete_subtable`).
    """
    count, seeds = table.shape
    means = table.mean(1)
    between_mean_square = seeds * float(((means - table.mean()) ** 2).sum()) / (count - 1)
    return VarianceComponents(
        between_mean_square, residual_std(table) ** 2, seeds, count - 1, (count - 1) * (seeds - 1)
    )


def variance_components_given_macs(table: Array, macs: Values) -> VarianceComponents:
    """`variance_components` of the residuals from `fit_trend` of the means over the seeds."""
    total, means = variance_components(table), table.mean(1)
    fit = fit_trend(macs, means)
    degrees_of_freedom = len(means) - 1 - fit.degree
    between_mean_square = total.seeds * float(((means - fit(macs)) ** 2).sum()) / degrees_of_freedom
    return VarianceComponents(
        between_mean_square,
        total.error_mean_square,
        total.seeds,
        degrees_of_freedom,
        total.error_degrees_of_freedom,
    )


def icc(table: Array) -> float:
    """ICC(3,1) of a complete table: the reliability of one training with shared seeds."""
    return variance_components(table).icc


def n_seeds_for_reliability(single_seed_reliability: float, target_reliability: float) -> int | None:
    """Seeds per network for the target reliability; None if a single training has none."""
    if single_seed_reliability <= 0:
        return None
    return max(
        1,
        math.ceil(
            target_reliability
            * (1 - single_seed_reliability)
            / (single_seed_reliability * (1 - target_reliability))
            - 1e-9
        ),
    )


def complete_subtable(table: Array) -> tuple[Indices, Indices]:
    """Rows and columns of the gap-free (no NaN) subtable with the most degrees of freedom."""
    missing = np.isnan(table)
    order = np.argsort(missing.sum(0), kind="stable")
    best: tuple[Indices, Indices] = (np.arange(0), np.arange(0))
    best_freedom = 0
    for seeds in range(2, table.shape[1] + 1):
        columns = np.sort(order[:seeds])
        rows = np.flatnonzero(~missing[:, columns].any(1))
        if (degrees_of_freedom := (len(rows) - 1) * (seeds - 1)) > best_freedom:
            best, best_freedom = (rows, columns), degrees_of_freedom
    return best


def residual_std(table: Array | Sequence[Sequence[float]]) -> float:
    """Residual standard deviation of an `n x k` table after row and column means."""
    values = np.asarray(table, dtype=np.float64)
    residuals = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    return math.sqrt(float((residuals**2).sum()) / ((values.shape[0] - 1) * (values.shape[1] - 1)))


def least_significant_difference(std: float, degrees_of_freedom: int, one: int = 1, other: int = 1) -> float:
    """Smallest significant difference (95%) between the means of two networks.

    Args:
        std: seed standard deviation of one training.
        degrees_of_freedom: of `std`.
        one, other: number of trainings of each network.
    """
    return student_t_quantile(degrees_of_freedom) * std * math.sqrt(1 / one + 1 / other)


@cache
def student_t_quantile(degrees_of_freedom: int) -> float:
    """Two-sided 95% quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, _UPPER_QUANTILE))


@cache
def studentized_range(count: int, degrees_of_freedom: int) -> float:
    """95% quantile of the studentized range of `count` means."""
    from scipy.stats import studentized_range as distribution

    return float(distribution.ppf(0.95, count, degrees_of_freedom))


@cache
def expected_maximum(count: int) -> float:
    """Expected maximum of `count` independent standard normal values."""
    from scipy.special import ndtr

    x = np.linspace(-12, 12, 9601)
    below = ndtr(x) ** count
    return float(np.sum((x[1:] + x[:-1]) / 2 * np.diff(below)))
