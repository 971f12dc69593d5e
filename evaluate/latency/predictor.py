"""Latency predicted from a network's structure, learned from some networks that were measured.

A linear model: every term of `latency_features` costs so much. It is fitted by ridge regression to
the least relative error; vector width, terms and the ridge are those that predict best what is
left out. Intervals are conformal: they are as wide as the errors on networks left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...search_space import Architecture
from .measurement import Latency
from .predictor_features import DETAILED_TERMS, TERMS, VECTOR_WIDTHS, features
from .setup import LatencySetup

COVERAGE = 0.9
RIDGE_PENALTIES = 10.0 ** np.arange(-7, 2)
MIN_NETWORKS = 20
MIN_NETWORKS_FOR_DETAILED_TERMS = 60
EXTRAPOLATION_FLOOR = 0.1


@dataclass(frozen=True)
class MeasuredRatio:
    """A network that a model was fitted to or judged by; its ratio is to the panel's unit."""

    key: str
    ratio: float


@dataclass(frozen=True)
class PredictionMetrics:
    """How well a model predicts networks that it was not fitted to.

    Attributes:
        spearman: rank correlation with what was measured; None where it is not defined.
        mape: mean absolute error, as a share of what was measured.
        within_5, within_10: share of networks whose error is at most 5% or 10%.
        coverage: share of networks inside the 90% interval.
    """

    networks: int
    spearman: float | None
    mape: float
    within_5: float
    within_10: float
    coverage: float


@dataclass(frozen=True)
class LatencyPredictor:
    """A latency for every network of a space, without measuring it.

    Attributes:
        space: the name of the space that the networks were drawn from.
        setup: where they were measured.
        vector_width: channels that count together.
        ridge: the penalty that predicted best.
        terms: what each costs, as a ratio to the panel's unit.
        errors: relative, each of a network left out of the fit; in rising order.
        training_networks: the networks it was fitted to.
        held_out: how well it does on others; None where none were measured.
    """

    space: str
    setup: LatencySetup
    vector_width: int
    ridge: float
    terms: Mapping[str, float]
    errors: tuple[float, ...]
    training_networks: tuple[MeasuredRatio, ...]
    held_out: PredictionMetrics | None = None

    @property
    def relative_error_std(self) -> float:
        """Standard deviation of the relative error."""
        return math.sqrt(sum(error**2 for error in self.errors) / len(self.errors))

    @property
    def conformal_margin(self) -> float:
        """The relative error that 90% of the networks keep under.

        Source: the jackknife+ of Barber et al. 2021, doi:10.1214/20-AOS1965, in its simpler form.
        """
        rank = math.ceil(COVERAGE * (len(self.errors) + 1))
        return min(self.errors[min(rank, len(self.errors)) - 1], 0.99)

    def predict(self, architecture: Architecture) -> Latency:
        """The latency with its 90% interval."""
        term_values = features(architecture, self.vector_width)
        total = sum(cost * term_values[term] for term, cost in self.terms.items())
        ratio = max(total, EXTRAPOLATION_FLOOR * min(each.ratio for each in self.training_networks))
        return Latency(
            ratio=ratio,
            ratio_low=ratio / (1 + self.conformal_margin),
            ratio_high=ratio / (1 - self.conformal_margin),
            latency_ms=ratio * self.setup.reference_ms,
            status="ok",
            device=self.setup.device.key,
            source="predicted",
        )

    def within_two_std(self, ratio: float, limit: float) -> bool:
        """Whether a predicted ratio is too near to a limit to tell which side of it is true."""
        return abs(ratio / limit - 1) <= 2 * self.relative_error_std


def fit(
    space: str, setup: LatencySetup, networks: Sequence[Architecture], ratios: Sequence[float]
) -> LatencyPredictor:
    """The model that predicts best what is left out, one network at a time.

    Args:
        ratios: as measured, one a network.
    Raises:
        ValueError: fewer networks than `MIN_NETWORKS`.
    """
    from sklearn.linear_model import RidgeCV

    if len(networks) < MIN_NETWORKS:
        raise ValueError(f"a latency model needs {MIN_NETWORKS} networks, got {len(networks)}")
    best: LatencyPredictor | None = None
    lowest_error = math.inf
    for width in VECTOR_WIDTHS:
        term_values = [features(network, width) for network in networks]
        for terms in (
            (TERMS, DETAILED_TERMS) if len(networks) >= MIN_NETWORKS_FOR_DETAILED_TERMS else (TERMS,)
        ):
            table = np.array([[each[term] for term in terms] for each in term_values])
            nonzero = [column.any() for column in table.T]
            relative_terms = table[:, nonzero] / np.asarray(ratios)[:, None]
            norms = np.linalg.norm(relative_terms, axis=0)
            ridge = RidgeCV(RIDGE_PENALTIES, fit_intercept=False, store_cv_results=True)
            ridge.fit(relative_terms / norms, np.ones(len(ratios)))
            squared_errors = ridge.cv_results_[:, list(RIDGE_PENALTIES).index(ridge.alpha_)]
            if squared_errors.mean() < lowest_error:
                lowest_error = squared_errors.mean()
                names = [term for term, is_nonzero in zip(terms, nonzero, strict=True) if is_nonzero]
                best = LatencyPredictor(
                    space=space,
                    setup=setup,
                    vector_width=width,
                    ridge=float(ridge.alpha_),
                    terms={name: float(c) for name, c in zip(names, ridge.coef_ / norms, strict=True)},
                    errors=tuple(sorted(float(error) for error in np.sqrt(squared_errors))),
                    training_networks=tuple(
                        MeasuredRatio(network.key, float(ratio))
                        for network, ratio in zip(networks, ratios, strict=True)
                    ),
                )
    assert best is not None
    return best


def evaluate_predictor(
    model: LatencyPredictor, networks: Sequence[Architecture], ratios: Sequence[float]
) -> PredictionMetrics:
    """How well a model predicts networks that it was not fitted to."""
    from scipy.stats import spearmanr

    predicted = [model.predict(network) for network in networks]
    predicted_ratios, measured_ratios = np.array([each.ratio for each in predicted]), np.asarray(ratios)
    errors = np.abs(predicted_ratios / measured_ratios - 1)
    covered = [
        each.ratio_low <= ratio <= each.ratio_high for each, ratio in zip(predicted, ratios, strict=True)
    ]
    return PredictionMetrics(
        networks=len(networks),
        spearman=float(spearmanr(predicted_ratios, measured_ratios).statistic),
        mape=float(errors.mean()),
        within_5=float((errors <= 0.05).mean()),
        within_10=float((errors <= 0.10).mean()),
        coverage=float(np.mean(covered)),
    )
