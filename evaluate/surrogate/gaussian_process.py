"""Gaussian process for the accuracy of networks, from trainings and cheap proxies.

The accuracy of a network is the sum of a trend in log MACs, effects of features given MACs, effects of
genes (if they are among the features), effects of proxies given MACs, and an independent residual (its
structure); the mean over its trainings adds noise. All terms are normal, so the posterior is
normal in closed form. The variances of the terms maximize the posterior density under priors that keep
them small for few trainings.

Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, sections 2.2, 2.7 and 5.4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular

from ...search_space.errors import ScorerError
from ..statistics.arrays import Array, Values
from .hyperparameters import JITTER, Hyperparameters, Observations, fit_hyperparameters
from .kernels import (
    CONSTANT,
    CURVE,
    SLOPE,
    ColumnScaler,
    InputScaler,
    ScaledInputs,
    covariances,
    kernel_components,
    kernel_diagonals,
    lower_covariance,
)
from .posterior import Posterior, single_blas_thread

TREND = "macs"
# Of 40 simulated useless proxies, 2 or 3 exceed this log-likelihood gain (12 and 24 networks). The
# usual 5% test of a variance, 1.36, also drops many useful proxies at 12 networks.
MIN_LOG_LIKELIHOOD_GAIN = 0.5

_MIN_STD_FRACTION = 0.5  # least share of the standard deviation that is not attributed to noise
_MIN_SCALE_FRACTION = 0.01  # relative scale if all values are equal

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class ProxyScores:
    """Scores of a cheap proxy.

    Attributes:
        scores: scores by architecture key; only their order matters.
        reliability: reliability of a score, from 0 to 1.
    Raises:
        ScorerError: a score is not finite.
        ValueError: the reliability is out of range.
    """

    scores: Mapping[str, float]
    reliability: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.reliability <= 1:
            raise ValueError(f"reliability must be from 0 to 1, got {self.reliability}")
        for key, score in self.scores.items():
            if not np.isfinite(score):
                raise ScorerError(f"network {key}: a score must be finite, got {score}; leave the proxy out")


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """Conditioned Gaussian process, created by `fit` or from given hyperparameters by `of`.

    Attributes:
        observed: inputs of the `n` trained networks.
        values, n_seeds: `n`, their mean values and numbers of trainings.
        proxies: proxies in use.
        dropped_proxies: unused proxies, each with the reason.
    """

    hyperparameters: Hyperparameters
    scaler: InputScaler
    observed: ScaledInputs
    values: Array
    n_seeds: Array
    proxies: Mapping[str, ProxyScores] = field(default_factory=dict)
    dropped_proxies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        hyperparameters: Hyperparameters,
        keys: Sequence[str],
        features: Array,
        names: Sequence[str],
        values: Values,
        n_seeds: Sequence[int] | npt.NDArray[np.int64],
        proxies: Mapping[str, ProxyScores] | None = None,
        dropped_proxies: Mapping[str, str] | None = None,
        columns: ColumnScaler | None = None,
    ) -> "GaussianProcess":
        """From given hyperparameters; the other arguments are those of `fit`."""
        y, counts = np.asarray(values, dtype=np.float64), np.asarray(n_seeds, dtype=np.float64)
        _check(keys, features, y, counts)
        active_proxies = proxies or {}
        scores = _proxy_scores(keys, active_proxies, {})
        pools = {name: tuple(proxy.scores.values()) for name, proxy in active_proxies.items()}
        scaler = InputScaler.of(columns or ColumnScaler.of(names, features), features, scores, pools)
        observed = scaler.places(keys, features, scores)
        return cls(hyperparameters, scaler, observed, y, counts, active_proxies, dropped_proxies or {})

    @single_blas_thread()
    def posterior(self, keys: Sequence[str], features: Array, scores: Scores | None = None) -> Posterior:
        """Posterior of `m` networks, trained or not.

        Args:
            features: `m x p`, columns as in `fit`.
            scores: scores of further networks, by proxy and architecture key.
        Raises:
            ScorerError: a proxy in use has no score for a network.
        """
        query = self.scaler.places(keys, features, _proxy_scores(keys, self.proxies, scores or {}))
        mean, v = self._mean_and_explained(query, self.covariance(self.observed, query))
        covariances = self.covariance(query, query) - v.T @ v
        return Posterior(mean, self.hyperparameters.scale**2 * (covariances + covariances.T) / 2)

    @single_blas_thread()
    def marginals(
        self, keys: Sequence[str], features: Array, scores: Scores | None = None
    ) -> tuple[Array, Array]:
        """Means and standard deviations of `posterior`, without its covariances."""
        query = self.scaler.places(keys, features, _proxy_scores(keys, self.proxies, scores or {}))
        return self.marginals_given(query, self.covariance(self.observed, query))

    @single_blas_thread()
    def marginals_given(self, query: ScaledInputs, covariances: Array) -> tuple[Array, Array]:
        """Means and standard deviations of networks from their prior covariances with the trained ones."""
        mean, v = self._mean_and_explained(query, covariances)
        variances = -(v**2).sum(0)
        for name, diagonal in kernel_diagonals(query).items():
            variances += self.variances.get(name, 0.0) * diagonal
        return mean, self.hyperparameters.scale * np.sqrt(np.maximum(variances, 0))

    def _mean_and_explained(self, query: ScaledInputs, covariances: Array) -> tuple[Array, Array]:
        """`m` posterior means, and `n x m`, whose squares sum to the variance that the values explain."""
        v = self._whiten(covariances)
        mean = self.hyperparameters.mean_slope * query.macs + v.T @ self._whitened_residuals
        return self.hyperparameters.centre + self.hyperparameters.scale * mean, v

    @property
    @single_blas_thread()
    def fitted_values(self) -> Array:
        """`n`: posterior means of the trained networks, without noise; cheaper than `posterior(...).mean`."""
        noise = self.hyperparameters.noise / self.n_seeds + JITTER
        residual = self.scaled - noise * self._whiten(self._whitened_residuals, transposed=True)
        out: Array = self.hyperparameters.centre + self.hyperparameters.scale * residual
        return out

    @cached_property
    @single_blas_thread()
    def variance_shares(self) -> dict[str, float]:
        """Share of each component in the posterior variance between trained networks; 0 for dropped proxies.

        `macs` is the trend.
        """
        components = kernel_components(self.observed, self.observed)
        kernels = {name: self.variances.get(name, 0.0) * each for name, each in components.items()}
        trend = kernels[SLOPE] + kernels[CURVE]
        out = {TREND: self._variance(trend, self.hyperparameters.mean_slope * self.observed.macs)}
        others = (name for name in kernels if name not in (CONSTANT, SLOPE, CURVE))
        out |= {name: self._variance(kernels[name]) for name in others}
        total = sum(out.values())
        shares = {name: variance / total if total > 0 else 0.0 for name, variance in out.items()}
        return shares | dict.fromkeys(self.dropped_proxies, 0.0)

    def _variance(self, kernel: Array, expected: Array | float = 0.0) -> float:
        v = self._whiten(kernel)
        mean = expected + v.T @ self._whitened_residuals
        covariance = kernel - v.T @ v
        return max(0.0, float(mean.var() + np.diag(covariance).mean() - covariance.mean()))

    @cached_property
    def _cholesky(self) -> Array:
        """`n x n`: Cholesky factor of the covariance of the observations."""
        observations = lower_covariance(self.observed, self.variances)
        observations += np.diag(self.hyperparameters.noise / self.n_seeds + JITTER)
        out: Array = cholesky(observations, lower=True, overwrite_a=True, check_finite=False)
        return out

    def _whiten(self, columns: Array, transposed: bool = False) -> Array:
        """Solve with the Cholesky factor, or its transpose."""
        out: Array = solve_triangular(
            self._cholesky, columns, lower=True, trans=int(transposed), check_finite=False
        )
        return out

    @cached_property
    def _whitened_residuals(self) -> Array:
        return self._whiten(self.residuals)

    @property
    @single_blas_thread()
    def standardized_errors(self) -> Array:
        """`n`: errors of the predictions of each value from those before it, in standard deviations."""
        return self._whitened_residuals

    @property
    def residuals(self) -> Array:
        """`n`: scaled values minus the expected trend."""
        return self.scaled - self.hyperparameters.mean_slope * self.observed.macs

    @property
    def scaled(self) -> Array:
        """`n`: values minus the centre, in units of the scale."""
        out: Array = (self.values - self.hyperparameters.centre) / self.hyperparameters.scale
        return out

    def covariance(self, one: ScaledInputs, other: ScaledInputs) -> Array:
        """`n x m` prior covariances between two groups of networks, in units of the scale squared."""
        return covariances(one, other, [self.variances])[0]

    @cached_property
    def variances(self) -> dict[str, float]:
        """Variance of each component; those of proxies are weighted by their reliability."""
        variances = self.hyperparameters.parts
        reliable = {
            name: proxy.reliability * variances.get(name, 0.0) for name, proxy in self.proxies.items()
        }
        return variances | reliable

    def kernels(self, one: ScaledInputs, other: ScaledInputs) -> dict[str, Array]:
        """Covariances of each component at variance 1; proxies are weighted by their reliability."""
        kernels = kernel_components(one, other)
        return kernels | {name: proxy.reliability * kernels[name] for name, proxy in self.proxies.items()}


@single_blas_thread()
def fit(
    keys: Sequence[str],
    features: Array,
    names: Sequence[str],
    values: Values,
    n_seeds: Sequence[int] | npt.NDArray[np.int64],
    noise: float | None,
    proxies: Mapping[str, ProxyScores] | None = None,
    min_gain: float = MIN_LOG_LIKELIHOOD_GAIN,
    columns: ColumnScaler | None = None,
) -> GaussianProcess:
    """Fit the hyperparameters to trained networks and select the useful proxies.

    Backward elimination: the least useful proxy is dropped while its log-likelihood gain is below
    `min_gain`. The result is deterministic and invariant to the order of the networks and to the units of
    values, features and scores.

    Args:
        keys: architecture keys of `n >= 1` different networks.
        features: `n x p`, with a column `log_macs`.
        names: `p` column names.
        values: `n`, higher is better (accuracy, or minus the loss), means over the trainings.
        n_seeds: `n`, number of trainings of each network, at least 1.
        noise: standard deviation of one training in the unit of the values; estimated if None.
        proxies: proxies by name.
        min_gain: least log-likelihood gain of a proxy.
        columns: scaler of the features; fitted to the trained networks if None.
    Raises:
        ScorerError: a proxy has no score for a trained network.
        ValueError: different lengths, a duplicate key, or a value that is not finite.
    """
    _check(keys, features, np.asarray(values), np.asarray(n_seeds))
    order = np.argsort(np.asarray(keys))  # rounding errors of sums depend on the order
    ordered = [keys[index] for index in order], features[order], names
    y, counts = np.asarray(values, dtype=np.float64)[order], np.asarray(n_seeds)[order]
    all_proxies = dict(proxies or {})
    hyperparameters = _initial_hyperparameters(y, counts, noise)
    model = GaussianProcess.of(hyperparameters, *ordered, y, counts, all_proxies, columns=columns)
    own_noise = None if noise is None else (noise / hyperparameters.scale) ** 2
    observations = Observations(
        model.residuals, model.kernels(model.observed, model.observed), 1 / counts, own_noise
    )
    active, dropped_proxies = list(all_proxies), dict[str, str]()
    fitted_hyperparameters, log_density = fit_hyperparameters(observations, hyperparameters, active)
    while active:
        without = {
            name: fit_hyperparameters(
                observations, hyperparameters, [other for other in active if other != name]
            )
            for name in active
        }
        weakest = max(active, key=lambda name: without[name][1])
        gain = log_density - without[weakest][1]
        if gain >= min_gain:
            break
        dropped_proxies[weakest] = (
            f"proxy {weakest} adds too little to MACs, features and other proxies: "
            f"log-likelihood gain {max(gain, 0.0):.2f}, below {min_gain}"
        )
        active.remove(weakest)
        fitted_hyperparameters, log_density = without[weakest]
    active_proxies = {name: all_proxies[name] for name in active}
    return GaussianProcess.of(
        fitted_hyperparameters, *ordered, y, counts, active_proxies, dropped_proxies, columns
    )


def _initial_hyperparameters(values: Array, n_seeds: Array, noise: float | None) -> Hyperparameters:
    """Mean of the values and standard deviation between networks."""
    centre, std = float(values.mean()), float(values.std())
    if std <= 1e-9 * abs(centre):
        return Hyperparameters(centre, noise or _MIN_SCALE_FRACTION * abs(centre) or 1.0)
    noise_variance = (noise or 0.0) ** 2 * float((1 / n_seeds).mean())
    return Hyperparameters(centre, math.sqrt(max(std**2 - noise_variance, (_MIN_STD_FRACTION * std) ** 2)))


def _check(keys: Sequence[str], features: Array, values: Array, n_seeds: Array) -> None:
    if not len(keys) == len(features) == len(values) == len(n_seeds) > 0:
        lengths = ", ".join(str(len(each)) for each in (keys, features, values, n_seeds))
        raise ValueError(f"keys, features, values and n_seeds must have equal lengths above 0, got {lengths}")
    if len(set(keys)) < len(keys):
        raise ValueError("duplicate keys; give each network once, with the mean of its trainings")
    if not (np.isfinite(values).all() and np.isfinite(features).all()):
        raise ValueError("values and features must be finite")
    if not (n_seeds >= 1).all():
        raise ValueError(f"a network needs at least 1 training, got {n_seeds.min():g}")


def _proxy_scores(
    keys: Sequence[str], proxies: Mapping[str, ProxyScores], extra_scores: Scores
) -> dict[str, list[float]]:
    out = {}
    for name, proxy in proxies.items():
        observed = {**proxy.scores, **extra_scores.get(name, {})}
        if missing := [key for key in keys if key not in observed]:
            raise ScorerError(
                f"proxy {name}: has no score for network {missing[0]}; score it, or leave the proxy out"
            )
        out[name] = [observed[key] for key in keys]
    return out
