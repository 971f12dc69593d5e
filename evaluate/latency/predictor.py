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
RIDGES = 10.0 ** np.arange(-7, 2)
LEAST_NETWORKS = 20
MANY_NETWORKS = 60
TRUST_BELOW = 0.1


@dataclass(frozen=True)
class Measured:
    """A network that a model was fitted to or judged by; its ratio is to the panel's unit."""

    key: str
    ratio: float


@dataclass(frozen=True)
class Scores:
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
class LatencyModel:
    """A latency for every network of a space, without measuring it.

    Attributes:
        space: the name of the space that the networks were drawn from.
        setup: where they were measured.
        vector_width: channels that count together.
        ridge: the penalty that predicted best.
        terms: what each costs, as a ratio to the panel's unit.
        errors: relative, each of a network left out of the fit; in rising order.
        fitted: the networks it was fitted to.
        held_out: how well it does on others; None where none were measured.
    """

    space: str
    setup: LatencySetup
    vector_width: int
    ridge: float
    terms: Mapping[str, float]
    errors: tuple[float, ...]
    fitted: tuple[Measured, ...]
    held_out: Scores | None = None

    @property
    def spread(self) -> float:
        """Standard deviation of the relative error."""
        return math.sqrt(sum(error**2 for error in self.errors) / len(self.errors))

    @property
    def margin(self) -> float:
        """The relative error that 90% of the networks keep under.

        Source: the jackknife+ of Barber et al. 2021, doi:10.1214/20-AOS1965, in its simpler form.
        """
        rank = math.ceil(COVERAGE * (len(self.errors) + 1))
        return min(self.errors[min(rank, len(self.errors)) - 1], 0.99)

    def predict(self, architecture: Architecture) -> Latency:
        """The latency with its 90% interval."""
        known = features(architecture, self.vector_width)
        total = sum(cost * known[term] for term, cost in self.terms.items())
        ratio = max(total, TRUST_BELOW * min(each.ratio for each in self.fitted))
        return Latency(
            ratio=ratio,
            ratio_low=ratio / (1 + self.margin),
            ratio_high=ratio / (1 - self.margin),
            latency_ms=ratio * self.setup.reference_ms,
            status="ok",
            device=self.setup.device.key,
            source="predicted",
        )

    def within_two_deviations(self, ratio: float, limit: float) -> bool:
        """Whether a predicted ratio is too near to a limit to tell which side of it is true."""
        return abs(ratio / limit - 1) <= 2 * self.spread


def fit(
    space: str, setup: LatencySetup, networks: Sequence[Architecture], ratios: Sequence[float]
) -> LatencyModel:
    """The model that predicts best what is left out, one network at a time.

    Args:
        ratios: as measured, one a network.
    Raises:
        ValueError: fewer networks than `LEAST_NETWORKS`.
    """
    from sklearn.linear_model import RidgeCV

    if len(networks) < LEAST_NETWORKS:
        raise ValueError(f"a latency model needs {LEAST_NETWORKS} networks, got {len(networks)}")
    best: LatencyModel | None = None
    least = math.inf
    for width in VECTOR_WIDTHS:
        known = [features(network, width) for network in networks]
        for terms in (TERMS, DETAILED_TERMS) if len(networks) >= MANY_NETWORKS else (TERMS,):
            table = np.array([[each[term] for term in terms] for each in known])
            used = [column.any() for column in table.T]
            shares = table[:, used] / np.asarray(ratios)[:, None]
            sizes = np.linalg.norm(shares, axis=0)
            ridge = RidgeCV(RIDGES, fit_intercept=False, store_cv_results=True)
            ridge.fit(shares / sizes, np.ones(len(ratios)))
            squares = ridge.cv_results_[:, list(RIDGES).index(ridge.alpha_)]
            if squares.mean() < least:
                least = squares.mean()
                names = [term for term, use in zip(terms, used, strict=True) if use]
                best = LatencyModel(
                    space=space,
                    setup=setup,
                    vector_width=width,
                    ridge=float(ridge.alpha_),
                    terms={name: float(c) for name, c in zip(names, ridge.coef_ / sizes, strict=True)},
                    errors=tuple(sorted(float(error) for error in np.sqrt(squares))),
                    fitted=tuple(
                        Measured(network.key, float(ratio))
                        for network, ratio in zip(networks, ratios, strict=True)
                    ),
                )
    assert best is not None
    return best


def score(model: LatencyModel, networks: Sequence[Architecture], ratios: Sequence[float]) -> Scores:
    """How well a model predicts networks that it was not fitted to."""
    from scipy.stats import spearmanr

    predicted = [model.predict(network) for network in networks]
    told, true = np.array([each.ratio for each in predicted]), np.asarray(ratios)
    errors = np.abs(told / true - 1)
    inside = [
        each.ratio_low <= ratio <= each.ratio_high for each, ratio in zip(predicted, ratios, strict=True)
    ]
    return Scores(
        networks=len(networks),
        spearman=float(spearmanr(told, true).statistic),
        mape=float(errors.mean()),
        within_5=float((errors <= 0.05).mean()),
        within_10=float((errors <= 0.10).mean()),
        coverage=float(np.mean(inside)),
    )
