"""What a network's accuracy is likely to be, from its trainings, those of others, and cheap judges.

A network's accuracy is the sum of a rising trend in log MACs, what its features tell beyond MACs, what its
genes tell where they are among the features, what judges tell beyond MACs, and what nothing tells (its
structure); the mean of its trainings adds noise.
All are normal, so what is believed of any networks is a normal distribution in closed form; how much
each part varies is the likeliest under priors that let few trainings change little.

Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, sections 2.2, 2.7 and 5.4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...search_space.errors import ScorerError
from ..statistics.arrays import Array, Values
from .gene_kernels import sum_arrays
from .hyperparameters import JITTER, Hyperparameters, Observations, fit_hyperparameters
from .kernels import CONSTANT, CURVE, SLOPE, InputScaler, ScaledInputs, kernel_components
from .posterior import Posterior, single_blas_thread

TREND = "macs"
# In the logarithm of the density: of 40 useless judges that were simulated, 2 or 3 gain more (12 and 24
# networks). The usual 5% test of a variance, 1.36, also drops many that are useful at 12.
MIN_LOG_LIKELIHOOD_GAIN = 0.5

_MIN_STD_FRACTION = 0.5  # of the values' deviation that counts as the networks' own, however large the noise
_MIN_SCALE_FRACTION = 0.01  # of the values, where they do not differ at all

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class ProxyScores:
    """A cheap judge.

    Attributes:
        scores: by the key of the network, of all networks that matter; only their order counts.
        reliability: how well a score agrees with itself, from 0 to 1.
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
                raise ScorerError(f"network {key}: a score must be finite, got {score}; leave the judge out")


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """Made by `fit`, or by `GaussianProcess.of` where the prior is known.

    Attributes:
        observed: the trained networks, `n`.
        values, n_seeds: of each, `n`.
        proxies: those that count.
        dropped_proxies: judges that do not, each with the reason in a sentence.
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
    ) -> "GaussianProcess":
        """From a prior that is given; the arguments are those of `fit`."""
        y, counts = np.asarray(values, dtype=np.float64), np.asarray(n_seeds, dtype=np.float64)
        _check(keys, features, y, counts)
        active_proxies = proxies or {}
        scores = _proxy_scores(keys, active_proxies, {})
        pools = {name: tuple(proxy.scores.values()) for name, proxy in active_proxies.items()}
        scaler = InputScaler.of(names, features, scores, pools)
        observed = scaler.places(keys, features, scores)
        return cls(hyperparameters, scaler, observed, y, counts, active_proxies, dropped_proxies or {})

    @single_blas_thread()
    def posterior(self, keys: Sequence[str], features: Array, scores: Scores | None = None) -> Posterior:
        """What is believed of some networks, trained or not.

        Args:
            features: `m x p`, columns as in `fit`.
            scores: of judges by network, where those given to `fit` do not tell.
        Raises:
            ScorerError: a judge that counts has no score of a network.
        """
        query = self.scaler.places(keys, features, _proxy_scores(keys, self.proxies, scores or {}))
        v = self._inverse_cholesky @ sum_arrays(self._parts(self.observed, query).values())
        mean = self.hyperparameters.mean_slope * query.macs + v.T @ self._whitened_residuals
        covariance = sum_arrays(self._parts(query, query).values()) - v.T @ v
        scale = self.hyperparameters.scale
        return Posterior(
            self.hyperparameters.centre + scale * mean, scale**2 * (covariance + covariance.T) / 2
        )

    @property
    @single_blas_thread()
    def fitted_values(self) -> Array:
        """`n`: the expected values of the trained networks, without the noise of their trainings.

        As `posterior(...).mean` of them, at no cost.
        """
        noise = self.hyperparameters.noise / self.n_seeds + JITTER
        residual = self.scaled - noise * (self._inverse_cholesky.T @ self._whitened_residuals)
        out: Array = self.hyperparameters.centre + self.hyperparameters.scale * residual
        return out

    @cached_property
    @single_blas_thread()
    def variance_shares(self) -> dict[str, float]:
        """Share of each part in the variance between the trained networks; dropped judges have 0.

        `macs` is the trend. A part's variance is what is expected of it after all that was seen.
        """
        kernels = self._parts(self.observed, self.observed)
        trend = kernels[SLOPE] + kernels[CURVE]
        out = {TREND: self._variance(trend, self.hyperparameters.mean_slope * self.observed.macs)}
        others = (name for name in kernels if name not in (CONSTANT, SLOPE, CURVE))
        out |= {name: self._variance(kernels[name]) for name in others}
        total = sum(out.values())
        shares = {name: variance / total if total > 0 else 0.0 for name, variance in out.items()}
        return shares | dict.fromkeys(self.dropped_proxies, 0.0)

    def _variance(self, kernel: Array, expected: Array | float = 0.0) -> float:
        v = self._inverse_cholesky @ kernel
        mean = expected + v.T @ self._whitened_residuals
        covariance = kernel - v.T @ v
        return max(0.0, float(mean.var() + np.diag(covariance).mean() - covariance.mean()))

    @cached_property
    def _inverse_cholesky(self) -> Array:
        """`n x n`, whose square is the inverse of the covariance of what was seen."""
        observations = sum_arrays(self._parts(self.observed, self.observed).values())
        observations += np.diag(self.hyperparameters.noise / self.n_seeds + JITTER)
        out: Array = np.linalg.inv(np.linalg.cholesky(observations))
        return out

    @cached_property
    def _whitened_residuals(self) -> Array:
        out: Array = self._inverse_cholesky @ self.residuals
        return out

    @property
    def residuals(self) -> Array:
        """`n`: the values in units of the prior's scale, less what its rise expects."""
        return self.scaled - self.hyperparameters.mean_slope * self.observed.macs

    @property
    def scaled(self) -> Array:
        """`n`: the values less the prior's centre, in units of its scale."""
        out: Array = (self.values - self.hyperparameters.centre) / self.hyperparameters.scale
        return out

    def _parts(self, one: ScaledInputs, other: ScaledInputs) -> dict[str, Array]:
        kernels = self.kernels(one, other)
        return {
            n: variance * kernels[n] for n, variance in self.hyperparameters.parts.items() if n in kernels
        }

    def kernels(self, one: ScaledInputs, other: ScaledInputs) -> dict[str, Array]:
        """The covariances of each part at variance 1, judges by their reliability."""
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
) -> GaussianProcess:
    """The likeliest model of some trained networks, with the judges that add something.

    Judges are dropped one at a time, the least useful first, while leaving one out costs less
    likelihood than `min_gain`. The order of the networks and the units
    of values, features and scores change nothing; the same arguments give the same model.

    Args:
        keys: of `n` different networks, at least one.
        features: `n x p`, `log_macs` among the columns.
        names: of the columns, `p`.
        values: `n`, higher is better (accuracy, or minus the loss), the mean over the trainings.
        n_seeds: of each network, at least 1.
        noise: deviation of one training, in the unit of the values; found with the rest if None.
        proxies: by name.
    Raises:
        ScorerError: a judge has no score of a trained network.
        ValueError: lengths that differ, a repeated key, a value that is not finite.
    """
    _check(keys, features, np.asarray(values), np.asarray(n_seeds))
    order = np.argsort(np.asarray(keys))  # sums depend on the order by a rounding
    ordered = [keys[index] for index in order], features[order], names
    y, counts = np.asarray(values, dtype=np.float64)[order], np.asarray(n_seeds)[order]
    all_proxies = dict(proxies or {})
    hyperparameters = _initial_hyperparameters(y, counts, noise)
    model = GaussianProcess.of(hyperparameters, *ordered, y, counts, all_proxies)
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
            f"judge {weakest} adds too little to what MACs, features and other judges tell: "
            f"its log-likelihood ratio is {max(gain, 0.0):.2f}, and {min_gain} is asked for"
        )
        active.remove(weakest)
        fitted_hyperparameters, log_density = without[weakest]
    active_proxies = {name: all_proxies[name] for name in active}
    return GaussianProcess.of(fitted_hyperparameters, *ordered, y, counts, active_proxies, dropped_proxies)


def _initial_hyperparameters(values: Array, n_seeds: Array, noise: float | None) -> Hyperparameters:
    """The values' mean, and the deviation that the networks have of their own."""
    centre, std = float(values.mean()), float(values.std())
    if std <= 1e-9 * abs(centre):
        return Hyperparameters(centre, noise or _MIN_SCALE_FRACTION * abs(centre) or 1.0)
    noise_variance = (noise or 0.0) ** 2 * float((1 / n_seeds).mean())
    return Hyperparameters(centre, math.sqrt(max(std**2 - noise_variance, (_MIN_STD_FRACTION * std) ** 2)))


def _check(keys: Sequence[str], features: Array, values: Array, n_seeds: Array) -> None:
    if not len(keys) == len(features) == len(values) == len(n_seeds) > 0:
        lengths = ", ".join(str(len(each)) for each in (keys, features, values, n_seeds))
        raise ValueError(f"keys, features, values and trainings must be of one length above 0, got {lengths}")
    if len(set(keys)) < len(keys):
        raise ValueError("each network may be there once, with the mean of its trainings")
    if not (np.isfinite(values).all() and np.isfinite(features).all()):
        raise ValueError("values and features must be finite")
    if not (n_seeds >= 1).all():
        raise ValueError(f"a network needs at least 1 training, got {n_seeds.min():g}")


def _proxy_scores(
    keys: Sequence[str], proxies: Mapping[str, ProxyScores], extra_scores: Scores
) -> dict[str, list[float]]:
    """Of the networks by each judge."""
    out = {}
    for name, proxy in proxies.items():
        observed = {**proxy.scores, **extra_scores.get(name, {})}
        if missing := [key for key in keys if key not in observed]:
            raise ScorerError(
                f"judge {name}: has no score of network {missing[0]}; score it, or leave it out"
            )
        out[name] = [observed[key] for key in keys]
    return out
