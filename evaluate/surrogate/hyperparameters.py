"""How much each part of a network's accuracy varies: as given, or the likeliest for what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize  # at once: `single_blas_thread` limits what is loaded by then

from ..statistics.arrays import Array
from .gene_kernels import GENES_LINEAR, GENES_SMOOTH, PART_PREFIX, SIZES_LINEAR, SIZES_SMOOTH
from .kernels import CONSTANT, CURVE, FEATURES, SLOPE, STRUCTURE

NOISE = "noise"
JITTER = 1e-9  # variance, in units of the scale: keeps what is seen without noise solvable

_MAX_ITERATIONS = 60
_LOG_VARIANCE_BOUNDS = (-16.0, 3.0)
_INITIAL_VARIANCE = 0.1
_RESTARTS: tuple[Mapping[str, float], ...] = (
    {FEATURES: 0.02, STRUCTURE: 0.3},
    {FEATURES: 0.5, STRUCTURE: 0.02},
)


@dataclass(frozen=True)
class _HyperPrior:
    """Density of a deviation s before anything was seen: `s ** power * exp(-s**2 / (2 * width**2))`.

    With power 0, nothing is the likeliest. A power keeps a variance that a few networks cannot tell from
    0, so that no interval is too narrow (Chung et al. 2013, doi:10.1007/s11336-013-9328-2).
    """

    width: float
    power: float = 0.0


_HYPERPRIORS = {
    CURVE: _HyperPrior(0.3, 0.5),
    FEATURES: _HyperPrior(0.7, 0.05),
    SIZES_LINEAR: _HyperPrior(0.7, 0.05),
    SIZES_SMOOTH: _HyperPrior(0.7, 0.05),
    GENES_LINEAR: _HyperPrior(0.7, 0.05),
    GENES_SMOOTH: _HyperPrior(0.7, 0.05),
    STRUCTURE: _HyperPrior(0.5, 1.25),
    NOISE: _HyperPrior(0.7, 1.0),
}
_PROXY_HYPERPRIOR = _HyperPrior(0.7)
_PART_HYPERPRIOR = _HyperPrior(0.3, 0.3)
_OPTIMISED = (CURVE, FEATURES, SIZES_LINEAR, SIZES_SMOOTH, GENES_LINEAR, GENES_SMOOTH, STRUCTURE)


@dataclass(frozen=True)
class Hyperparameters:
    """What is believed of any network before it is trained; variances in units of `scale` squared.

    Attributes:
        centre, scale: of the values, in their unit.
        constant: variance of the mean.
        mean_slope: expected slope in scaled log MACs; above 0, for larger networks are mostly better.
        slope: variance of the slope.
        curve: variance of what bends the slope.
        features: variance of what features tell beyond MACs.
        sizes_linear, sizes_smooth: variance of what sizes tell beyond MACs, along straight lines and
            around them.
        genes_linear, genes_smooth: variance of what single genes tell, and of what all of them together do.
        stages: variance of what the genes of each stage tell, and those of stem, head and resolution, by
            `part stage2` and the like.
        structure: variance of what nothing tells but a training of the network itself.
        noise: variance of one training.
        proxies: variance of what each judge tells beyond MACs, were it fully reliable.
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
    """What was seen of `n` trained networks, in units of the prior's scale.

    Attributes:
        values: `n`, less what the prior's rise expects.
        parts: `n x n` covariances at variance 1, by part.
        inverse_n_seeds: `n`, one over the number of trainings.
        noise: variance of one training; None where it is to be found.
    """

    values: Array
    parts: Mapping[str, Array]
    inverse_n_seeds: Array
    noise: float | None


def fit_hyperparameters(
    observations: Observations, hyperparameters: Hyperparameters, proxies: Sequence[str]
) -> tuple[Hyperparameters, float]:
    """The variances of the greatest posterior density, with its logarithm up to a constant.

    Args:
        hyperparameters: tells all but the variances that are sought.
        proxies: those that may count.
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
