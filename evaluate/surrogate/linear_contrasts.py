"""Linear contrasts of network values with an extra coefficient for one term.

A surrogate with many small effects shrinks the effect of a single term, more so with few networks. Here
the term of interest has an additional coefficient: normal around 0, with a half-normal prior on its standard
deviation, averaged over a grid by marginal likelihood. Nothing else is refitted.

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

# In the scale of the surrogate, for a term with standard deviation 1.
_STD_PRIOR_SCALE = 0.7
_STD_GRID = np.linspace(0.0, 2.0, 21)


@dataclass(frozen=True, eq=False)
class LinearContrasts:
    """Contrasts of a fitted surrogate; one object serves many terms."""

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
        """Normal approximation of the posterior of `k` contrasts.

        Args:
            weights: `k x m` weights.
            keys, features: inputs of `m` networks, as in `GaussianProcess.posterior`.
            term: `m`, value of the term.
            observed: value of the term of each trained network, by key; ignored if constant.
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
        """Posterior mean and variance of the coefficient, in the scale of the surrogate."""
        weight = float(term @ self._precision @ term)
        projection = float(term @ self._precision @ self.model.residuals)
        variances = _STD_GRID**2
        posterior_variances = variances / (1 + variances * weight)
        logs = (
            posterior_variances * projection**2
            - np.log1p(variances * weight)
            - (_STD_GRID / _STD_PRIOR_SCALE) ** 2
        ) / 2
        likelihoods = np.exp(logs - logs.max())
        probabilities = likelihoods / likelihoods.sum()
        value = float(probabilities @ (posterior_variances * projection))
        return value, float(
            probabilities @ (posterior_variances + (posterior_variances * projection - value) ** 2)
        )

    @cached_property
    def _precision(self) -> Array:
        """`n x n` precision of the observations."""
        noise = self.model.hyperparameters.noise / self.model.n_seeds + JITTER
        covariance = self._covariance(self.model.observed)
        covariance += np.diag(noise)
        inverse_cholesky = np.linalg.inv(np.linalg.cholesky(covariance))
        precision: Array = inverse_cholesky.T @ inverse_cholesky
        return precision

    def _covariance(self, query: ScaledInputs) -> Array:
        """`n x m` covariances between trained and other networks."""
        return self.model.covariance(self.model.observed, query)
