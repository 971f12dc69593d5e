"""The expected growth of the hypervolume against draws, quadrature, closed forms and single networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, qmc

from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.multi_objective import NondominatedBoxes, hypervolume, is_dominated
from bneck.search.samplers.expected_hypervolume import LossDistribution, expected_hypervolume_improvement

MEANS, DEVIATIONS = np.array([-0.7, 0.1, 0.4, 2.0]), np.array([0.02, 0.3, 1.0, 0.5])


def certain(values: Array) -> LossDistribution:
    return LossDistribution(values, np.zeros(len(values)))


def improvement(predicted_losses: Sequence[LossDistribution], front: Array, reference_point: Array) -> Array:
    return expected_hypervolume_improvement(predicted_losses, NondominatedBoxes.of(front, reference_point))


def grown(front: Array, network: Array, reference_point: Array) -> float:
    """The growth by a network whose losses are known."""
    before, bounds = front.tolist(), reference_point.tolist()
    return hypervolume([*before, network.tolist()], bounds) - hypervolume(before, bounds)


def some_front(dimensions: int, rng: np.random.Generator, most: int = 6) -> Array:
    """Of losses between 0 and 1, that no other one dominates."""
    rows = rng.random((40, dimensions))
    return rows[~is_dominated(rows)][:most]


# One objective of one network


def test_what_is_expected_below_a_bound_is_the_integral_of_the_chance_to_be_below() -> None:
    found, bounds = LossDistribution(MEANS, DEVIATIONS), np.array([-1.0, 0.0, 0.5, 3.0])
    expected = [
        [quad(norm(*at).cdf, -np.inf, bound)[0] for bound in bounds]
        for at in zip(MEANS, DEVIATIONS, strict=True)
    ]
    assert found.expected_improvement(bounds) == pytest.approx(np.array(expected), abs=1e-7)
    assert found.probability_of_improvement(0.3) == pytest.approx(norm(MEANS, DEVIATIONS).cdf(0.3))


def test_a_known_loss_improves_a_bound_by_the_difference_and_infinity_by_nothing() -> None:
    found = certain(np.array([0.2, 0.7])).expected_improvement(np.array([-np.inf, 0.5, 1.0]))
    assert found == pytest.approx(np.array([[0, 0.3, 0.8], [0, 0, 0.3]]))


def test_the_improvement_of_a_standard_normal_over_its_mean_is_known() -> None:
    # 1 / sqrt(2 pi), of one that is three deviations better some more than 3, of one three worse hardly any
    found = LossDistribution(np.array([0.0, -3.0, 3.0]), np.ones(3)).expected_improvement(np.zeros(1))
    assert found[:, 0] == pytest.approx([0.3989423, 3.0003822, 0.0003822], abs=1e-7)


# All objectives


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_the_expected_growth_is_the_mean_over_what_may_be_true(dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    front, reference_point = 0.4 + 0.6 * some_front(dimensions, rng, 4), np.full(dimensions, 1.1)
    count = 2
    # the third objective is certain
    means = rng.uniform(0.3, 0.7, (dimensions, count))
    deviations = rng.uniform(0.1, 0.5, (dimensions, count))
    deviations[2:3] = 0
    predicted_losses = [LossDistribution(mean, std) for mean, std in zip(means, deviations, strict=True)]
    normal = norm.ppf(qmc.Sobol(dimensions, seed=0).random_base2(9))
    draws = [
        each.mean[:, None] + each.std[:, None] * z for each, z in zip(predicted_losses, normal.T, strict=True)
    ]
    expected = [
        np.mean([grown(front, row, reference_point) for row in rows]) for rows in np.stack(draws, axis=-1)
    ]
    assert improvement(predicted_losses, front, reference_point) == pytest.approx(expected, rel=0.02)


def test_with_one_objective_it_is_the_expected_improvement() -> None:
    # Jones et al. 1998: deviation * (z * Phi(z) + phi(z)) over the best so far
    z = (0.3 - MEANS) / DEVIATIONS
    expected = DEVIATIONS * (z * norm.cdf(z) + norm.pdf(z))
    found = improvement([LossDistribution(MEANS, DEVIATIONS)], np.array([[0.3]]), np.array([0.9]))
    assert found == pytest.approx(expected)


def test_where_nothing_is_known_it_is_the_product_of_what_is_below_the_worst() -> None:
    one, other = (
        LossDistribution(MEANS, DEVIATIONS),
        LossDistribution(MEANS[::-1], DEVIATIONS),
    )
    found = improvement([one, other], np.zeros((0, 2)), np.array([0.5, 2.0]))
    assert found == pytest.approx(
        (one.expected_improvement(np.array([0.5])) * other.expected_improvement(np.array([2.0])))[:, 0]
    )


@given(st.integers(1, 4), st.integers(0, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_of_a_network_that_is_certain_it_is_its_own_growth(dimensions: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    front, reference_point = some_front(dimensions, rng, most), np.full(dimensions, 0.9)
    networks = rng.random((5, dimensions))
    predicted_losses = [certain(column) for column in networks.T]
    expected = [grown(front, network, reference_point) for network in networks]
    assert improvement(predicted_losses, front, reference_point) == pytest.approx(expected, abs=1e-7)


def test_a_network_that_is_surely_beaten_gains_nothing() -> None:
    # by the second row; on it; beyond the worst of one objective
    front = np.array([[0.2, 0.8], [0.5, 0.3]])
    networks = np.array([[0.6, 0.4], [0.5, 0.3], [0.1, 1.2]])
    found = improvement([certain(column) for column in networks.T], front, np.ones(2))
    assert found == pytest.approx([0, 0, 0], abs=1e-9)


def test_more_doubt_is_worth_more() -> None:
    doubt = np.array([0.01, 0.1, 0.3])
    beaten = [LossDistribution(np.full(3, 0.6), doubt), LossDistribution(np.full(3, 0.4), doubt)]
    found = improvement(beaten, np.array([[0.5, 0.3]]), np.ones(2))
    assert 0 <= found[0] < found[1] < found[2]


def test_rows_beyond_the_worst_change_nothing() -> None:
    predicted_losses: list[Any] = [
        LossDistribution(MEANS, DEVIATIONS),
        LossDistribution(MEANS[::-1], DEVIATIONS),
    ]
    front = np.array([[0.2, 0.8], [0.5, 0.3]])
    more = np.vstack([front, [[0.1, 1.0], [0.1, 3.0], [1.5, 0.1]]])
    reference_point = np.ones(2)
    assert improvement(predicted_losses, more, reference_point) == pytest.approx(
        improvement(predicted_losses, front, reference_point)
    )
