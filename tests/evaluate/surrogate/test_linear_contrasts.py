"""Sums of what is believed with a term of its own: the same written out in full, and a known truth."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.surrogate.architecture_features import MACS
from bneck.evaluate.surrogate.gaussian_process import GaussianProcess, fit
from bneck.evaluate.surrogate.hyperparameters import JITTER, Hyperparameters
from bneck.evaluate.surrogate.linear_contrasts import LinearContrasts

NAMES = (MACS, "one")
KEYS = [f"net{number}" for number in range(8)]
RNG = np.random.default_rng(5)
FEATURES = np.column_stack([np.linspace(14, 16, 8), RNG.standard_normal(8)])
VALUES = 0.9 + 0.02 * RNG.standard_normal(8)
TERM = np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
KNOWN = dict(zip(KEYS, TERM.tolist(), strict=True))
WEIGHTS = np.array([[-1.0, 1.0, 0.0], [0.5, 0.5, -1.0]])
NEW = (["a", "b", "c"], np.array([[14.5, 0.2], [14.6, 0.2], [15.5, -1.0]]))
NEW_TERM = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def model() -> GaussianProcess:
    hyperparameters = Hyperparameters(0.9, 0.02, features=0.3, structure=0.2, noise=0.1)
    return GaussianProcess.of(hyperparameters, KEYS, FEATURES, NAMES, VALUES, [1] * 8)


def covariance(
    model: GaussianProcess, keys: list[str], features: Array, term: Array, variance: float
) -> Array:
    """Of the trained networks and then the others, with the term as one more straight line."""
    places = model.scaler.places([*KEYS, *keys], np.vstack([FEATURES, features]), {})
    kernels = model.kernels(places, places)
    even = (np.concatenate([TERM, term]) - TERM.mean()) / TERM.std()
    parts = [model.hyperparameters.parts[name] * kernel for name, kernel in kernels.items()]
    found: Array = np.sum(parts, axis=0) + variance * np.outer(even, even)
    return found


def test_a_term_of_its_own_is_one_more_straight_line_of_unknown_variance(model: GaussianProcess) -> None:
    keys, features = NEW
    deviations = np.linspace(0.0, 2.0, 21)
    means, squares, chances = [], [], []
    macs = model.scaler.places(keys, features, {}).macs
    for std in deviations:
        whole = covariance(model, keys, features, NEW_TERM, std**2)
        seen = whole[:8, :8] + (0.1 + JITTER) * np.eye(8)
        gain = whole[8:, :8] @ np.linalg.inv(seen)
        mean = 0.7 * macs + gain @ model.residuals
        means.append(WEIGHTS @ mean)
        squares.append(WEIGHTS @ (whole[8:, 8:] - gain @ whole[:8, 8:]) @ WEIGHTS.T)
        density = multivariate_normal(np.zeros(8), seen).pdf(model.residuals)
        chances.append(density * np.exp(-((std / 0.7) ** 2) / 2))
    chance = np.array(chances) / np.sum(chances)
    expected = chance @ np.array(means)
    apart = np.array(means) - expected
    spread = np.einsum("d,dij->ij", chance, np.array(squares) + apart[:, :, None] * apart[:, None, :])
    found = LinearContrasts(model).contrast_posterior(WEIGHTS, keys, features, NEW_TERM, KNOWN)
    # Weights that do not add up to 0 would bring in the centre too; these do.
    assert found.mean == pytest.approx(0.02 * expected, rel=1e-6)
    assert found.covariance == pytest.approx(0.02**2 * spread, rel=1e-5)


def test_a_term_that_never_differed_leaves_what_the_predictor_believes(model: GaussianProcess) -> None:
    keys, features = NEW
    found = LinearContrasts(model).contrast_posterior(
        WEIGHTS, keys, features, NEW_TERM, dict.fromkeys(KEYS, 1.0)
    )
    believed = model.posterior(keys, features)
    assert found.mean == pytest.approx(WEIGHTS @ believed.mean)
    assert found.covariance == pytest.approx(WEIGHTS @ believed.covariance @ WEIGHTS.T)


def test_one_strong_effect_among_many_that_are_none_is_not_taken_for_smaller() -> None:
    rng = np.random.default_rng(3)
    count, truth = 40, 0.03
    on = rng.integers(0, 2, (count, 10)).astype(float)
    features = np.column_stack([rng.uniform(14, 16, count), on])
    values = 0.9 + truth * on[:, 0] + 0.003 * rng.standard_normal(count)
    keys, names = [f"net{number:02}" for number in range(count)], (MACS, *(f"f{n}" for n in range(10)))
    model = fit(keys, features, names, values, [1] * count, 0.003)
    pair = np.vstack([features[0], features[0]])
    pair[:, 1] = (0.0, 1.0)
    weights = np.array([[-1.0, 1.0]])
    observed = dict(zip(keys, on[:, 0].tolist(), strict=True))
    found = LinearContrasts(model).contrast_posterior(
        weights, ["off", "on"], pair, np.array([0.0, 1.0]), observed
    )
    alone = float((weights @ model.posterior(["off", "on"], pair).mean)[0])
    assert abs(found.mean[0] - truth) < 0.1 * truth
    assert abs(found.mean[0] - truth) < abs(alone - truth)
