"""Weighted sums of networks' values, where one term may matter more than a model expects of any.

A predictor believes that many things matter a little, so it takes the effect of a single one for smaller
than it is, the more so the fewer networks there are. Here the term that is asked about has a coefficient
of its own beside the predictor's: normal around 0, with a deviation of which small values are likelier
(half-normal, averaged over a grid by how well each explains what was seen). Nothing else is fitted again.

Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, section 2.7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..statistics.arrays import Array
from .gaussian_process import GaussianProcess
from .hyperparameters import JITTER
from .kernels import ScaledInputs
from .posterior import Posterior, single_blas_thread

# In the predictor's scale, for a term that is even to deviation 1.
_STD_PRIOR_SCALE = 0.7
_STD_GRID = np.linspace(0.0, 2.0, 21)


@dataclass(frozen=True, eq=False)
class LinearContrasts:
    """What a predictor tells of sums; made once for many terms."""

    model: GaussianProcess

    @single_blas_thread()
    def contrast_posterior(
        self,
        weights: Array,
        keys: Sequence[str],
        features: Array,
        term: Array,
        observed: Mapping[str, float],
    ) -> Posterior:
        """What is believed of `k` sums: their means and covariance, as if they were normal.

        Args:
            weights: `k x m`.
            keys, features: of `m` networks, as the predictor takes them.
            term: of each.
            observed: the term of each trained network, by key; where it never differs it counts for nothing.
        """
        model = self.model
        posterior = model.posterior(keys, features)
        mean, covariance = weights @ posterior.mean, weights @ posterior.covariance @ weights.T
        observed_term = np.array([observed[key] for key in model.observed.keys])
        std = float(observed_term.std())
        if std == 0:
            return Posterior(mean, covariance)
        scaled_term, query = (observed_term - observed_term.mean()) / std, (term - observed_term.mean()) / std
        cross_covariance = self._covariance(model.scaler.places(keys, features, {}))
        residual = model.hyperparameters.scale * (
            weights @ (query - cross_covariance.T @ (self._precision @ scaled_term))
        )
        value, variance = self._coefficient(scaled_term)
        return Posterior(mean + value * residual, covariance + variance * np.outer(residual, residual))

    def _coefficient(self, term: Array) -> tuple[float, float]:
        """Mean and variance of what the term counts, in the predictor's scale."""
        weight = float(term @ self._precision @ term)
        found = float(term @ self._precision @ self.model.residuals)
        variances = _STD_GRID**2
        posterior_variances = variances / (1 + variances * weight)
        logs = (
            posterior_variances * found**2
            - np.log1p(variances * weight)
            - (_STD_GRID / _STD_PRIOR_SCALE) ** 2
        ) / 2
        likelihoods = np.exp(logs - logs.max())
        probabilities = likelihoods / likelihoods.sum()
        value = float(probabilities @ (posterior_variances * found))
        return value, float(
            probabilities @ (posterior_variances + (posterior_variances * found - value) ** 2)
        )

    @cached_property
    def _precision(self) -> Array:
        """`n x n`, of the covariance of what was seen."""
        noise = self.model.hyperparameters.noise / self.model.n_seeds + JITTER
        covariance = self._covariance(self.model.observed)
        covariance += np.diag(noise)
        inverse_cholesky = np.linalg.inv(np.linalg.cholesky(covariance))
        found: Array = inverse_cholesky.T @ inverse_cholesky
        return found

    def _covariance(self, query: ScaledInputs) -> Array:
        """`n x m`, between the trained networks and others."""
        kernels = self.model.kernels(self.model.observed, query)
        parts = self.model.hyperparameters.parts
        found: Array = np.sum([parts[name] * kernel for name, kernel in kernels.items()], axis=0)
        return found
