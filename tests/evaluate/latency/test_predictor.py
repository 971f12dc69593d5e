"""Latency predictors fitted to synthetic networks with known costs."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from numpy.typing import NDArray

from bneck.evaluate.latency import predictor_fit
from bneck.evaluate.latency.predictor import (
    MIN_NETWORKS,
    MIN_NETWORKS_FOR_DETAILED_TERMS,
    LatencyPredictor,
    MeasuredRatio,
    PredictionMetrics,
)
from bneck.evaluate.latency.predictor_features import DETAILED_TERMS, TERMS, VECTOR_WIDTHS, features
from bneck.evaluate.latency.predictor_fit import RIDGE_PENALTIES, select_fit, term_tables
from bneck.search_space import Architecture

from ...search_space.helpers import TOY
from ..example_setup import SETUP, crooked_networks, ratios_of

NETWORKS = crooked_networks(400)


def model(
    terms: dict[str, float], errors: Sequence[float] = (0.25,), least_ratio: float = 0.001
) -> LatencyPredictor:
    """A model that nothing was fitted to."""
    networks = (MeasuredRatio("a", 7.0), MeasuredRatio("b", least_ratio), MeasuredRatio("c", 5.0))
    return LatencyPredictor("synthetic", SETUP, 1, 0.1, terms, tuple(errors), networks)


def fitted(
    networks: Sequence[Architecture], ratios: Sequence[float], space: str = "synthetic"
) -> LatencyPredictor:
    return LatencyPredictor.fit(networks, ratios, setup=SETUP, space=space)


# Fitting


@pytest.mark.parametrize("width", VECTOR_WIDTHS)
@pytest.mark.parametrize("count", [30, 80])
def test_costs_without_noise_are_recovered_with_their_vector_width(width: int, count: int) -> None:
    ratios = ratios_of(NETWORKS, width)
    predictor = fitted(NETWORKS[:count], ratios[:count])
    assert predictor.vector_width == width
    assert set(predictor.terms) == set(TERMS)
    predictions = [predictor.predict(network).ratio for network in NETWORKS]
    np.testing.assert_allclose(predictions, ratios, rtol=1e-6)
    assert predictor.conformal_margin < 1e-6


@pytest.mark.parametrize("width", VECTOR_WIDTHS)
def test_the_vector_width_is_recovered_from_noisy_latencies(width: int) -> None:
    networks = NETWORKS[:MIN_NETWORKS_FOR_DETAILED_TERMS]
    assert fitted(networks, ratios_of(networks, width, noise=0.01)).vector_width == width


def test_detailed_terms_are_fitted_only_to_many_networks() -> None:
    ratios = ratios_of(NETWORKS, terms=DETAILED_TERMS)

    count = MIN_NETWORKS_FOR_DETAILED_TERMS
    many, few = (fitted(NETWORKS[:n], ratios[:n]) for n in (count, count - 1))
    assert set(many.terms) == set(DETAILED_TERMS)
    np.testing.assert_allclose([many.predict(n).ratio for n in NETWORKS], ratios, rtol=1e-4)
    assert set(few.terms) == set(TERMS)
    assert few.conformal_margin > 0.01


def test_details_that_do_not_help_are_left_out() -> None:
    networks = NETWORKS[: MIN_NETWORKS_FOR_DETAILED_TERMS + 20]
    assert set(fitted(networks, ratios_of(networks, noise=0.02)).terms) == set(TERMS)


def test_a_term_that_no_network_has_costs_nothing() -> None:
    relu = [
        replace(
            network,
            stem=replace(network.stem, activation="relu"),
            blocks=tuple(replace(block, activation="relu") for block in network.blocks),
            head=replace(network.head, activation="relu"),
        )
        for network in NETWORKS[:30]
    ]
    predictor = fitted(relu, ratios_of(relu))
    assert set(predictor.terms) == set(TERMS) - {"hardswish_elements", "silu_elements"}


def shares(networks: Sequence[Architecture], ratios: Sequence[float], width: int) -> NDArray[np.float64]:
    """What each term has to add up to 1 of, scaled as the fit scales it."""
    table = np.array([[features(n, width)[term] for term in TERMS] for n in networks])
    table = table / np.array(ratios)[:, None]
    scaled: NDArray[np.float64] = table / np.sqrt((table**2).sum(axis=0))
    return scaled


def error_left_out(
    networks: Sequence[Architecture], ratios: Sequence[float], left_out: int, ridge: float
) -> float:
    """The error on a network of a fit to the others, by the normal equations."""
    others = [place for place in range(len(networks)) if place != left_out]
    table = np.array([[features(n, 4)[term] for term in TERMS] for n in networks])
    table = table / np.array(ratios)[:, None]
    table /= np.sqrt((table[others] ** 2).sum(axis=0))
    squares = table[others].T @ table[others] + ridge * np.eye(table.shape[1])
    error: float = table[left_out] @ np.linalg.solve(squares, table[others].sum(axis=0)) - 1
    return abs(error)


def test_the_errors_are_those_of_models_selected_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_fit, "VECTOR_WIDTHS", (4,))
    networks = NETWORKS[:MIN_NETWORKS]
    ratios = ratios_of(networks, noise=0.03)
    expected = []
    for left_out in range(MIN_NETWORKS):
        # the ridge is that of the others, each of which is left out of a fit to the rest
        others = [each for place, each in enumerate(networks) if place != left_out]
        known = [each for place, each in enumerate(ratios) if place != left_out]
        table = shares(others, known, 4)
        by_ridge = {
            ridge: fmean(e**2 for e in scaled_errors(table, ridge)) for ridge in RIDGE_PENALTIES.tolist()
        }
        ridge = min(by_ridge, key=by_ridge.__getitem__)
        expected.append(error_left_out(networks, ratios, left_out, ridge))
    predictor = fitted(networks, ratios)
    assert list(predictor.errors) == pytest.approx(sorted(expected), rel=1e-5)


def scaled_errors(table: NDArray[np.float64], ridge: float) -> list[float]:
    """The error on each network of a fit to the others in the scale of all of them."""
    result = []
    for left_out, row in enumerate(table):
        others = np.delete(table, left_out, axis=0)
        squares = others.T @ others + ridge * np.eye(others.shape[1])
        result.append(float(row @ np.linalg.solve(squares, others.sum(axis=0)) - 1))
    return result


def test_the_costs_are_those_of_a_fit_to_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_fit, "VECTOR_WIDTHS", (4,))
    networks = NETWORKS[:35]
    ratios = ratios_of(networks, noise=0.03)
    predictor = fitted(networks, ratios)
    table = shares(networks, ratios, 4)
    weights = np.linalg.solve(table.T @ table + predictor.ridge * np.eye(len(TERMS)), table.sum(axis=0))
    predictions = [predictor.predict(n).ratio / ratio for n, ratio in zip(networks, ratios, strict=True)]
    np.testing.assert_allclose(predictions, table @ weights, rtol=1e-6)


def test_the_vector_width_of_the_least_error_left_out_is_selected() -> None:
    networks = NETWORKS[:35]
    ratios = ratios_of(networks, width=16, noise=0.03)
    tables, every = term_tables(networks), np.arange(35)
    least = {
        width: select_fit({width: table}, ratios, every, detailed=False).loss
        for width, table in tables.items()
    }
    assert fitted(networks, ratios).vector_width == min(least, key=least.__getitem__)


def test_a_predictor_stores_its_training_networks() -> None:
    networks, ratios = NETWORKS[:MIN_NETWORKS], ratios_of(NETWORKS[:MIN_NETWORKS])
    predictor = fitted(networks, ratios, space="the space")
    assert (predictor.space, predictor.setup, predictor.held_out) == ("the space", SETUP, None)
    assert predictor.training_networks == tuple(
        MeasuredRatio(network.key, ratio) for network, ratio in zip(networks, ratios, strict=True)
    )
    assert list(predictor.errors) == sorted(predictor.errors)
    assert len(predictor.errors) == MIN_NETWORKS


def test_fewer_networks_than_twenty_are_refused() -> None:
    with pytest.raises(ValueError, match="20 networks, got 19"):
        fitted(NETWORKS[:19], ratios_of(NETWORKS[:19]))
    assert fitted(NETWORKS[:20], ratios_of(NETWORKS[:20])).training_networks


def test_a_second_fit_to_the_same_networks_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first.json", "second.json"):
        networks = crooked_networks(MIN_NETWORKS_FOR_DETAILED_TERMS)
        fitted(networks, ratios_of(networks, noise=0.05, seed=3)).save(tmp_path / name)
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


# Predicting


def test_a_prediction_is_the_sum_of_its_terms_times_their_costs() -> None:
    # the toy has 8 layers and 1,360 pointwise MACs: 0.8 + 1.36
    prediction = model({"layers": 0.1, "pointwise_macs": 0.001}).predict(TOY)
    assert prediction.ratio == pytest.approx(2.16)
    # the error stays under 25% of the truth: 2.16 / 1.25 and 2.16 / 0.75
    assert (prediction.ratio_low, prediction.ratio_high) == pytest.approx((1.728, 2.88))
    # the reference takes 8 ms
    assert prediction.latency_ms == pytest.approx(17.28)
    assert (prediction.status, prediction.source, prediction.device) == ("ok", "predicted", SETUP.device.key)
    assert (prediction.pairs, prediction.seconds, prediction.error) == (0, 0, "")


def test_a_prediction_rounds_channels_up_as_the_model_was_fitted() -> None:
    # the toy's pointwise MACs where 4 to 10 channels count as 16
    wide = replace(model({"pointwise_macs": 0.001}), vector_width=16)
    assert wide.predict(TOY).ratio == pytest.approx(10.24)


@pytest.mark.parametrize(("cost", "ratio"), [(0.1, 0.8), (0.01, 0.08), (0.004, 0.05), (0, 0.05), (-1, 0.05)])
def test_a_prediction_is_at_least_a_tenth_of_the_fastest_measurement(cost: float, ratio: float) -> None:
    prediction = model({"layers": cost}, least_ratio=0.5).predict(TOY)
    assert prediction.ratio == pytest.approx(ratio)
    assert (prediction.ratio_low, prediction.ratio_high) == pytest.approx((ratio / 1.25, ratio / 0.75))
    assert prediction.latency_ms == pytest.approx(8 * ratio)


@pytest.mark.parametrize(
    ("count", "rank"),
    # 90% of one more than there are, rounded up: 0.9 * 21 = 18.9, 0.9 * 30 = 27, 0.9 * 31 = 27.9
    [(20, 19), (29, 27), (30, 28), (60, 55), (99, 90), (9, 9)],
)
def test_nine_of_ten_errors_are_below_the_margin(count: int, rank: int) -> None:
    errors = [number / 1000 for number in range(1, count + 1)]
    assert model({}, errors).conformal_margin == rank / 1000


def test_with_few_errors_the_margin_is_the_maximum() -> None:
    assert model({}, [0.1, 0.2, 0.3]).conformal_margin == 0.3


def test_errors_above_one_give_a_finite_upper_bound() -> None:
    prediction = model({"layers": 1}, [3.0]).predict(TOY)
    assert prediction.ratio_high == pytest.approx(800)
    assert prediction.ratio_low == pytest.approx(8 / 1.99)


def test_the_standard_deviation_is_the_root_mean_square() -> None:
    # sqrt((0.01 + 0.49) / 2)
    assert model({}, [0.1, 0.7]).relative_error_std == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("ratio", "limit", "near"),
    [
        (0.89, 1.0, False),
        (0.91, 1.0, True),
        (1.0, 1.0, True),
        (1.09, 1.0, True),
        (1.11, 1.0, False),
        (3.57, 4.0, False),
        (3.63, 4.0, True),
        (4.37, 4.0, True),
        (4.43, 4.0, False),
    ],
)
def test_two_standard_deviations_are_relative_to_the_limit(ratio: float, limit: float, near: bool) -> None:
    # errors of 1% and 7%: a deviation of sqrt((1 + 49) / 2) = 5%
    assert model({}, [0.01, 0.07]).within_two_std(ratio, limit) is near


# Evaluation


def with_classes(count: int) -> Architecture:
    """The toy has 10 features, so its head takes 10 MACs a class."""
    return replace(TOY, classes=count)


def test_scores_of_four_networks_worked_out_by_hand() -> None:
    # predicted 1, 2, 3 and 4; the margin of 25% makes the intervals 0.8 to 1.33, 1.6 to 2.67, 2.4 to 4
    # and 3.2 to 5.33
    networks = [with_classes(count) for count in (10, 20, 30, 40)]
    metrics = model({"head_macs": 0.01}).evaluate(networks, [1.0, 1.92, 3.3, 2.5])
    assert metrics.networks == 4
    # errors: 0, 0.08 / 1.92 = 4.17%, 0.3 / 3.3 = 9.09% and 1.5 / 2.5 = 60%
    assert metrics.mape == pytest.approx((0 + 1 / 24 + 1 / 11 + 0.6) / 4)
    assert (metrics.within_5, metrics.within_10) == (0.5, 0.75)
    assert metrics.coverage == 0.75
    # ranks 1 2 3 4 and 1 2 4 3: 1 - 6 * (1 + 1) / (4 * 15)
    assert metrics.spearman == pytest.approx(0.8)


def test_errors_are_relative_to_the_measurement_on_either_side() -> None:
    networks = [with_classes(count) for count in (10, 20)]
    # predicted 1 and 2: of 0.8 a quarter too much, of 4 half too little
    metrics = model({"head_macs": 0.01}).evaluate(networks, [0.8, 4.0])
    assert metrics.mape == pytest.approx((0.25 + 0.5) / 2)
    assert (metrics.within_5, metrics.within_10) == (0, 0)


@pytest.mark.parametrize(("measured", "coverage"), [(0.81, 1), (0.79, 0), (1.33, 1), (1.34, 0)])
def test_a_measurement_is_covered_if_it_is_within_the_interval(measured: float, coverage: float) -> None:
    # predicted 1 with a margin of 25%: from 0.8 to 1.333
    networks = [with_classes(10), with_classes(20)]
    metrics = model({"head_macs": 0.01}).evaluate(networks, [measured, 2.0])
    assert metrics.coverage == (coverage + 1) / 2


def test_the_rank_correlation_is_that_of_the_ranks() -> None:
    networks, rng = NETWORKS[:40], random.Random(1)
    measured = [rng.uniform(0.5, 2) * features(network)["layers"] for network in networks]
    by_macs = model({"pointwise_macs": 1e-5})

    def ranks(values: Sequence[float]) -> NDArray[np.float64]:
        return np.argsort(np.argsort(values)).astype(np.float64)

    predictions = [by_macs.predict(network).ratio for network in networks]
    expected = np.corrcoef(ranks(predictions), ranks(measured))[0, 1]
    assert 0.1 < expected < 0.9
    assert by_macs.evaluate(networks, measured).spearman == pytest.approx(expected)


@pytest.mark.parametrize(("count", "noise"), [(30, 0.03), (60, 0.03), (30, 0.1)])
def test_the_interval_holds_nine_of_ten_networks_that_the_model_has_not_seen(
    count: int, noise: float
) -> None:
    scores: list[PredictionMetrics] = []
    for seed in range(6):
        networks = crooked_networks(count, seed=100 + seed)
        metrics = fitted(networks, ratios_of(networks, noise=noise, seed=seed))
        fresh = NETWORKS[60 * seed : 60 * seed + 60]
        scores.append(metrics.evaluate(fresh, ratios_of(fresh, noise=noise, seed=50 + seed)))
    assert 0.85 <= fmean(each.coverage for each in scores) <= 0.95
    # of normal noise the mean absolute size is sqrt(2 / pi) = 0.8 deviations; the fit adds some
    assert 0.8 * noise < fmean(each.mape for each in scores) < 1.1 * noise
