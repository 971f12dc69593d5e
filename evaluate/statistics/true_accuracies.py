"""Posterior of the true accuracies of evaluated networks: their expectations over seeds.

Networks are replicated because they looked good, so that their first trainings were lucky on average. A
likelihood of all trainings of all networks accounts for that; statistics of the replicated ones alone do not.

    training = trend in log MACs + structure of the network + noise

Trend (polynomial, flat prior), structure and noise are normal. The deviations of structure (flat prior) and
noise (flat prior of its logarithm) are integrated over a grid, weighted by their marginal likelihood.

Source: Gelman et al. 2013, Bayesian Data Analysis, 3rd edition, sections 5.4, 8.1 (selection that depends on
observed data is ignorable) and 14.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Values
from .macs_trend import polynomial_basis
from .seed_noise import SeedNoise

N_POSTERIOR_DRAWS = 2000
_N_NOISE_GRID, _N_STRUCTURE_GRID = 16, 20
_NOISE_RANGE = 5.0  # factor below and above the pooled deviation within networks


@dataclass(frozen=True, eq=False)
class TrueAccuracies:
    """Posterior of the true accuracies of `n` networks.

    Attributes:
        fits: one for each pair of deviations of noise and structure.
        weights: posterior probability of each fit.
        degrees_of_freedom: trainings beyond the first of each network.
    """

    fits: tuple["ConditionalPosterior", ...]
    weights: Array
    degrees_of_freedom: int

    @classmethod
    def of(cls, trainings: Sequence[Values], macs: Values, min_std: float = 1e-9) -> "TrueAccuracies | None":
        """The posterior; None if no network has two trainings, since the noise is then unknown.

        Args:
            trainings: accuracies of each network, one per seed, at least one.
            macs: `n`.
            min_std: lower bound of the noise deviation, since accuracies are quantized.
        """
        counts = np.array([len(each) for each in trainings], dtype=np.float64)
        degrees_of_freedom = int(counts.sum()) - len(counts)
        if degrees_of_freedom < 1:
            return None
        means = np.array([np.mean(each) for each in trainings])
        within = sum(float(np.sum((np.asarray(each) - np.mean(each)) ** 2)) for each in trainings)
        pooled = max(np.sqrt(within / degrees_of_freedom), min_std)
        noise_grid = pooled * np.geomspace(1 / _NOISE_RANGE, _NOISE_RANGE, _N_NOISE_GRID)
        noise_grid = np.unique(np.maximum(noise_grid, min_std))
        # Midpoints: with a deviation of 0, networks of equal MACs would tie.
        fractions = (np.arange(_N_STRUCTURE_GRID) + 0.5) / _N_STRUCTURE_GRID
        structure_grid = fractions * max(float(np.ptp(means)), min_std)
        design = polynomial_basis(macs)
        fits = tuple(
            ConditionalPosterior.of(means, counts, design, noise, structure)
            for noise in noise_grid
            for structure in structure_grid
        )
        logs = np.array(
            [
                fit.log_likelihood - degrees_of_freedom * np.log(fit.noise) - within / (2 * fit.noise**2)
                for fit in fits
            ]
        )
        weights = np.exp(logs - logs.max())
        return cls(fits, weights / weights.sum(), degrees_of_freedom)

    @cached_property
    def noise(self) -> SeedNoise:
        """Posterior median of the noise deviation."""
        deviations = np.array([fit.noise for fit in self.fits])
        levels = np.unique(deviations)
        shares = np.array([self.weights[deviations == level].sum() for level in levels])
        median = np.exp(np.interp(0.5, shares.cumsum() - shares / 2, np.log(levels)))
        return SeedNoise(float(median), self.degrees_of_freedom)

    def draw(self, count: int = N_POSTERIOR_DRAWS, places: "slice | NDArray[np.intp]" = slice(None)) -> Array:
        """`count` draws of the true accuracies of the networks at `places`; always the same."""
        rng = np.random.default_rng(0)
        numbers = rng.multinomial(count, self.weights)
        return np.concatenate(
            [fit.draw(rng, number, places) for fit, number in zip(self.fits, numbers, strict=True) if number]
        )


@dataclass(frozen=True, eq=False)
class ConditionalPosterior:
    """Posterior given the deviations of noise and structure.

    Attributes:
        shrinkage: `n` fractions of the residuals from the trend attributed to the networks.
        conditional_std: `n` deviations of the true accuracies given the trend.
        trend, trend_cholesky: coefficients and the Cholesky factor of their covariance.
        log_likelihood: of the means, marginal over the trend, up to a constant.
    """

    noise: float
    means: Array
    design: Array
    shrinkage: Array
    conditional_std: Array
    trend: Array
    trend_cholesky: Array
    log_likelihood: float

    @classmethod
    def of(
        cls, means: Array, counts: Array, design: Array, noise: float, structure: float
    ) -> "ConditionalPosterior":
        noise_variance = noise**2 / counts
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
        conditional_std = np.sqrt(shrinkage * noise_variance)
        root = np.linalg.cholesky(covariance)
        return cls(noise, means, design, shrinkage, conditional_std, trend, root, log_likelihood)

    def draw(
        self, rng: np.random.Generator, count: int, places: "slice | NDArray[np.intp]" = slice(None)
    ) -> Array:
        """`count` draws of the networks at `places`."""
        means, shrinkage = self.means[places], self.shrinkage[places]
        normal = rng.standard_normal((count, len(self.trend)))
        trend_draws = (self.trend + normal @ self.trend_cholesky.T) @ self.design[places].T
        own = self.conditional_std[places] * rng.standard_normal((count, len(means)))
        samples: Array = trend_draws + shrinkage * (means - trend_draws) + own
        return samples
