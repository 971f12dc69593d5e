"""Surrogates of accuracy and latency, fitted to the observations of a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..statistics.arrays import Array, Indices
from .calibration import widening
from .encoder import Candidate, Encoder, Observation
from .gaussian_process import GaussianProcess, ProxyScores, fit
from .hyperparameters import Hyperparameters
from .kernels import ScaledInputs, covariances

TRANSFER_KEY = "transfer"
MIN_LOG_LIKELIHOOD_GAIN = 0.0  # an earlier search of the same space is kept if it adds anything
REFIT_GROWTH = 1.1
MAX_FITTED = 200


@dataclass(frozen=True, eq=False)
class TransferPrior:
    """Surrogate of an earlier search of the same space, used as a proxy."""

    surrogate_model: GaussianProcess

    def scores(self, networks: Sequence[Candidate]) -> list[float]:
        """Its posterior means."""
        keys = [each.architecture.key for each in networks]
        means: list[float] = self.surrogate_model.marginals(keys, _features(networks))[0].tolist()
        return means

    @cached_property
    def fitted_by_key(self) -> Mapping[str, float]:
        """Fitted values of the earlier search's networks."""
        return dict(
            zip(self.surrogate_model.observed.keys, self.surrogate_model.fitted_values.tolist(), strict=True)
        )


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Surrogate of one quantity.

    Attributes:
        known: the `n` observations it is conditioned on, with their `values`.
        transfer_prior: surrogate of an earlier search, if it is useful here.
        std_factor: of the predicted standard deviations, see `calibration`.
    """

    hyperparameters: Hyperparameters
    encoder: Encoder
    known: Sequence[Observation]
    values: Array
    transfer_prior: TransferPrior | None = None
    std_factor: float = 1.0

    def predict(self, networks: Sequence[Candidate]) -> tuple[Array, Array]:
        """Posterior means and standard deviations of candidates."""
        keys = [f"new {place}" for place in range(len(networks))]
        transfer_prior = (
            dict(zip(keys, self.transfer_prior.scores(networks), strict=True)) if self.transfer_prior else {}
        )
        scores = {TRANSFER_KEY: transfer_prior}
        mean, std = self.gaussian_process.marginals(keys, _features(networks), scores)
        return mean, self.std_factor * std

    @property
    def fitted_means(self) -> Array:
        """Posterior means of the observed networks, without noise."""
        return self.gaussian_process.fitted_values

    def fantasize(self, pending: Sequence[Observation]) -> "Surrogate":
        """Condition on the expected values of pending candidates (kriging believer).

        Source: Ginsbourger et al. 2010, doi:10.1007/978-3-642-10701-6_6.
        """
        if not pending:
            return self
        values = np.append(self.values, self.predict([each.candidate for each in pending])[0])
        return replace(self, known=[*self.known, *pending], values=values)

    @cached_property
    def gaussian_process(self) -> GaussianProcess:
        keys = [each.key for each in self.known]
        networks = [each.candidate for each in self.known]
        trainings = [each.trainings for each in self.known]
        proxies = proxies_from(self.transfer_prior, self.known)
        return GaussianProcess.of(
            self.hyperparameters,
            keys,
            _features(networks),
            self.encoder.names,
            self.values,
            trainings,
            proxies,
            columns=self.encoder.columns,
        )


@dataclass(frozen=True, eq=False)
class JointSurrogate:
    """Surrogates of several quantities of a space, without a transfer prior.

    Their covariances are sums of the same components, which are computed once.
    """

    surrogates: Sequence[Surrogate]

    def predict(self, networks: Sequence[Candidate]) -> list[tuple[Array, Array]]:
        """What `predict` of each surrogate gives."""
        inputs, rows = self._observed
        keys = [f"new {place}" for place in range(len(networks))]
        query = self.surrogates[0].encoder.columns.places(keys, _features(networks))
        models = [each.gaussian_process for each in self.surrogates]
        priors = covariances(inputs, query, [model.variances for model in models])
        predicted = [
            model.marginals_given(query, prior[own])
            for model, prior, own in zip(models, priors, rows, strict=True)
        ]
        return [
            (mean, each.std_factor * std)
            for each, (mean, std) in zip(self.surrogates, predicted, strict=True)
        ]

    @cached_property
    def _observed(self) -> tuple[ScaledInputs, list[Indices]]:
        """Inputs of the networks that any of the surrogates is conditioned on, and the rows of each."""
        networks = {each.key: each.candidate for own in self.surrogates for each in own.known}
        row = {key: place for place, key in enumerate(networks)}
        inputs = self.surrogates[0].encoder.columns.places(list(networks), _features(list(networks.values())))
        return inputs, [np.array([row[each.key] for each in own.known]) for own in self.surrogates]


@dataclass
class SurrogateFactory:
    """Creates surrogates; hyperparameters are refitted when the number of observations has grown by a tenth.

    So most proposals need no refit, and proposals depend on the observations alone.

    Attributes:
        encoder: of the observations.
    """

    encoder: Encoder
    transfer_prior: TransferPrior | None = None
    _fitted: dict[str, tuple[object, GaussianProcess, float]] = field(default_factory=dict)

    def fit_surrogate(
        self,
        quantity: str,
        known: Sequence[Observation],
        values: Sequence[float],
        noise: float | None,
        selected: Sequence[int],
    ) -> Surrogate:
        """The surrogate of a quantity.

        Args:
            known: observations in trial order, at least one.
            noise: standard deviation of the value of one training; estimated if None.
            selected: indices of the observations to condition on.
        """
        size = _refit_size(len(known))
        places = np.unique(np.linspace(0, size - 1, min(size, MAX_FITTED)).round().astype(int))
        first = [known[place] for place in places]
        targets = [values[place] for place in places]
        fit_inputs = ([each.key for each in first], targets, [each.trainings for each in first], noise)
        if quantity not in self._fitted or self._fitted[quantity][0] != fit_inputs:
            proxies = proxies_from(self.transfer_prior, first) if quantity == "accuracy" else {}
            keys, _, trainings, _ = fit_inputs
            features = _features([each.candidate for each in first])
            names, columns = self.encoder.names, self.encoder.columns
            model = fit(
                keys, features, names, targets, trainings, noise, proxies, MIN_LOG_LIKELIHOOD_GAIN, columns
            )
            std_factor = widening(keys, features, names, targets, trainings, noise, columns)
            self._fitted[quantity] = fit_inputs, model, std_factor
        _, model, std_factor = self._fitted[quantity]
        transfer_prior = self.transfer_prior if TRANSFER_KEY in model.proxies else None
        selected_observations = [known[place] for place in selected]
        targets = [values[place] for place in selected]
        return Surrogate(
            model.hyperparameters,
            self.encoder,
            selected_observations,
            np.array(targets),
            transfer_prior,
            std_factor,
        )


def proxies_from(
    transfer_prior: TransferPrior | None, known: Sequence[Observation]
) -> Mapping[str, ProxyScores]:
    """The earlier search as a proxy, with scores for its own networks and the observed ones."""
    if transfer_prior is None:
        return {}
    scores = transfer_prior.scores([each.candidate for each in known])
    return {
        TRANSFER_KEY: ProxyScores(
            {**transfer_prior.fitted_by_key, **dict(zip([each.key for each in known], scores, strict=True))}
        )
    }


def _refit_size(count: int) -> int:
    """Largest step of a geometric sequence with ratio `REFIT_GROWTH` up to `count`."""
    step = 1
    while (following := max(step + 1, round(step * REFIT_GROWTH))) <= count:
        step = following
    return step


def _features(networks: Sequence[Candidate]) -> Array:
    return np.array([each.features for each in networks])
