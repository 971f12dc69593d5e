"""Hyperparameters of the Gaussian process, and their maximum a posteriori fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize  # at once: `single_blas_thread` limits what is loaded by then

from ..statistics.arrays import Array
from .gene_kernels import GENES_LINEAR, GENES_SMOOTH, PART_PREFIX, SIZES_LINEAR, SIZES_SMOOTH
from .kernels import CONSTANT, CURVE, FEATURES, SLOPE, STRUCTURE

NOISE = "noise"
JITTER = 1e-9  # variance in units of the scale; keeps noiseless covariances positive definite

_MAX_ITERATIONS = 60
_LOG_VARIANCE_BOUNDS = (-16.0, 3.0)
_INITIAL_VARIANCE = 0.1
_RESTARTS: tuple[Mapping[str, float], ...] = (
    {FEATURES: 0.02, STRUCTURE: 0.3},
    {FEATURES: 0.5, STRUCTURE: 0.02},
)


@dataclass(frozen=True)
class _HyperPrior:
    """Prior density of a standard deviation s: `s ** power * exp(-s**2 / (2 * width**2))`.

    With power 0 the mode is 0. A positive power keeps a variance that few networks cannot distinguish from 0
    above it, so that intervals are not too narrow (Chung et al. 2013, doi:10.1007/s11336-013-9328-2).
    """

    width: float
    power: float = 0.0


_HYPERPRIORS = {
    CURVE: _HyperPrior(0.3, 0.5),
    FEATURES: _HyperPrior(0.4, 0.5),
    SIZES_LINEAR: _HyperPrior(0.4, 1.0),
    SIZES_SMOOTH: _HyperPrior(0.4, 1.0),
    GENES_LINEAR: _HyperPrior(0.4, 1.0),
    GENES_SMOOTH: _HyperPrior(0.4, 1.0),
    STRUCTURE: _HyperPrior(0.5, 1.25),
    NOISE: _HyperPrior(0.7, 1.0),
}
_PROXY_HYPERPRIOR = _HyperPrior(0.7)
_PART_HYPERPRIOR = _HyperPrior(0.2, 1.0)
_OPTIMISED = (CURVE, FEATURES, SIZES_LINEAR, SIZES_SMOOTH, GENES_LINEAR, GENES_SMOOTH, STRUCTURE)


@dataclass(frozen=True)
class Hyperparameters:
    """Prior of the accuracy of networks; variances in units of `scale` squared.

    Attributes:
        centre, scale: centre and scale of the values, in their unit.
        constant: variance of the mean.
        mean_slope: expected slope in scaled log MACs; positive, because larger networks are mostly better.
        slope: variance of the slope.
        curve: variance of a smooth deviation from the linear trend.
        features: variance of feature effects given MACs.
        sizes_linear, sizes_smooth: variance of linear and smooth effects of sizes given MACs.
        genes_linear, genes_smooth: variance of the effects of single genes, and of all genes jointly.
        stages: variance of the joint effect of the genes of each part, by name such as `part stage2`.
        structure: variance of the residual of each network.
        noise: variance of one training.
        proxies: variance of the effect of each proxy given MACs, at reliability 1.
    """

    centre: float = 0.0
    scale: float = 1.0
    constant: float = 1.0
    mean_slope: float = 0.7
    slope: float = 0.16
    curve: float = 0.0
    features: float = 0.0
    sizes_linear: float = 0.0
    sizes_smooth: float = 0.0
    genes_linear: float = 0.0
    genes_smooth: float = 0.0
    structure: float = 0.0
    noise: float = 0.0
    stages: Mapping[str, float] = field(default_factory=dict)
    proxies: Mapping[str, float] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, float]:
        """The variances by the names of `kernel_components`."""
        own = {
            CONSTANT: self.constant,
            SLOPE: self.slope,
            CURVE: self.curve,
            FEATURES: self.features,
            SIZES_LINEAR: self.sizes_linear,
            SIZES_SMOOTH: self.sizes_smooth,
            GENES_LINEAR: self.genes_linear,
            GENES_SMOOTH: self.genes_smooth,
            STRUCTURE: self.structure,
        }
        return own | dict(self.stages) | dict(self.proxies)


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations of `n` trained networks, in units of the prior's scale.

    Attributes:
        values: `n`, minus the expected trend.
        parts: `n x n` covariances at variance 1, by component.
        inverse_n_seeds: `n`, one over the number of trainings.
        noise: variance of one training; estimated if None.
    """

    values: Array
    parts: Mapping[str, Array]
    inverse_n_seeds: Array
    noise: float | None


def fit_hyperparameters(
    observations: Observations, hyperparameters: Hyperparameters, proxies: Sequence[str]
) -> tuple[Hyperparameters, float]:
    """Variances with the greatest posterior density, and its logarithm up to a constant.

    Args:
        hyperparameters: fixed hyperparameters; variances are replaced.
        proxies: proxies to include.
    """
    names = [name for name in _OPTIMISED if name in observations.parts and observations.parts[name].any()]
    names += (stages := [name for name in observations.parts if name.startswith(PART_PREFIX)])
    kernels = [observations.parts[name] for name in (*names, *proxies)]
    names += proxies
    fixed = (
        hyperparameters.constant * observations.parts[CONSTANT]
        + hyperparameters.slope * observations.parts[SLOPE]
    )
    fixed = fixed + np.diag((observations.noise or 0.0) * observations.inverse_n_seeds + JITTER)
    if observations.noise is None:
        names, kernels = [*names, NOISE], [*kernels, np.diag(observations.inverse_n_seeds)]
    hyperpriors = [
        _PART_HYPERPRIOR if name in stages else _HYPERPRIORS.get(name, _PROXY_HYPERPRIOR) for name in names
    ]
    power = np.array([each.power for each in hyperpriors]) / 2
    shrinkage = np.array([each.width**-2 for each in hyperpriors]) / 2
    stack = np.array(kernels)

    def negative_log_density(logs: Array) -> tuple[float, Array]:
        variances = np.exp(logs)
        cholesky = np.linalg.cholesky(fixed + np.tensordot(variances, stack, 1))
        inverse_cholesky = np.linalg.inv(cholesky)
        inverse = inverse_cholesky.T @ inverse_cholesky
        weights = inverse @ observations.values
        log_density = -0.5 * float(observations.values @ weights) - float(np.log(np.diag(cholesky)).sum())
        gradient = np.tensordot(stack, np.outer(weights, weights) - inverse, 2) / 2 * variances
        log_density += float((power * logs - shrinkage * variances).sum())
        return -log_density, -(gradient + power - shrinkage * variances)

    optima = [
        minimize(
            negative_log_density,
            np.log([start.get(name, _INITIAL_VARIANCE) for name in names]),
            jac=True,
            method="L-BFGS-B",
            bounds=[_LOG_VARIANCE_BOUNDS] * len(names),
            options={"maxiter": _MAX_ITERATIONS},
        )
        for start in _RESTARTS
    ]
    best = min(optima, key=lambda each: round(float(each.fun), 6))  # the first of equal ones, on any machine
    variances = dict(zip(names, np.exp(best.x).tolist(), strict=True))
    fitted_hyperparameters = replace(
        hyperparameters,
        **{name: variances.get(name, 0.0) for name in _OPTIMISED},
        noise=variances.get(NOISE, observations.noise or 0.0),
        stages={name: variances[name] for name in stages},
        proxies={name: variances[name] for name in proxies},
    )
    return fitted_hyperparameters, -float(best.fun)
