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

from ..statistics.reliability import Array
from .gaussian_process import Predictor
from .hyperparameters import JITTER
from .kernels import Places
from .posterior import Posterior, one_thread

# In the predictor's scale, for a term that is even to deviation 1.
_WIDTH = 0.7
_DEVIATIONS = np.linspace(0.0, 2.0, 21)


@dataclass(frozen=True, eq=False)
class Contrasts:
    """What a predictor tells of sums; made once for many terms."""

    model: Predictor

    @one_thread()
    def sums(
        self,
        weights: Array,
        keys: Sequence[str],
        features: Array,
        term: Array,
        known: Mapping[str, float],
    ) -> Posterior:
        """What is believed of `k` sums: their means and covariance, as if they were normal.

        Args:
            weights: `k x m`.
            keys, features: of `m` networks, as the predictor takes them.
            term: of each.
            known: the term of each trained network, by key; where it never differs it counts for nothing.
        """
        model = self.model
        believed = model.posterior(keys, features)
        mean, covariance = weights @ believed.mean, weights @ believed.covariance @ weights.T
        trained = np.array([known[key] for key in model.known.keys])
        spread = float(trained.std())
        if spread == 0:
            return Posterior(mean, covariance)
        own, asked = (trained - trained.mean()) / spread, (term - trained.mean()) / spread
        across = self._covariance(model.scaling.places(keys, features, {}))
        left = model.prior.scale * (weights @ (asked - across.T @ (self._inverse @ own)))
        value, variance = self._coefficient(own)
        return Posterior(mean + value * left, covariance + variance * np.outer(left, left))

    def _coefficient(self, term: Array) -> tuple[float, float]:
        """Mean and variance of what the term counts, in the predictor's scale."""
        weight = float(term @ self._inverse @ term)
        found = float(term @ self._inverse @ self.model.beyond_rise)
        variances = _DEVIATIONS**2
        shrunk = variances / (1 + variances * weight)
        logs = (shrunk * found**2 - np.log1p(variances * weight) - (_DEVIATIONS / _WIDTH) ** 2) / 2
        likely = np.exp(logs - logs.max())
        chances = likely / likely.sum()
        value = float(chances @ (shrunk * found))
        return value, float(chances @ (shrunk + (shrunk * found - value) ** 2))

    @cached_property
    def _inverse(self) -> Array:
        """`n x n`, of the covariance of what was seen."""
        noise = self.model.prior.noise / self.model.trainings + JITTER
        seen = self._covariance(self.model.known)
        seen += np.diag(noise)
        root = np.linalg.inv(np.linalg.cholesky(seen))
        found: Array = root.T @ root
        return found

    def _covariance(self, asked: Places) -> Array:
        """`n x m`, between the trained networks and others."""
        kernels = self.model.kernels(self.model.known, asked)
        parts = self.model.prior.parts
        found: Array = np.sum([parts[name] * kernel for name, kernel in kernels.items()], axis=0)
        return found
