"""Draws, against the mean and covariance they are drawn from."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bneck.evaluate.surrogate.posterior import Posterior, single_blas_thread

RNG = np.random.default_rng


def test_draws_have_the_mean_and_the_covariance() -> None:
    covariance = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, 0.5], [0.0, 0.5, 9.0]])
    drawn = Posterior(np.array([1.0, 2.0, 3.0]), covariance).sample(RNG(0), 40_000)
    assert drawn.shape == (40_000, 3)
    assert drawn.mean(0) == pytest.approx([1, 2, 3], abs=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.2)


def test_a_network_asked_about_twice_is_drawn_alike_twice() -> None:
    drawn = Posterior(np.zeros(3), np.ones((3, 3))).sample(RNG(1), 200)
    np.testing.assert_allclose(drawn, drawn[:, [0]].repeat(3, 1), atol=1e-4)
    assert drawn[:, 0].std() == pytest.approx(1, abs=0.15)


def test_three_hundred_nearly_singular_networks_can_be_drawn_in_any_unit() -> None:
    few = RNG(2).standard_normal((300, 3))
    for unit in (1e-8, 1.0, 1e8):
        covariance = unit**2 * (few @ few.T - 1e-13 * np.eye(300))
        drawn = Posterior(np.zeros(300), covariance).sample(RNG(3), 2000)
        np.testing.assert_allclose(drawn.std(0) / unit, np.sqrt((few**2).sum(1)), rtol=0.1)


def test_what_is_certain_is_drawn_as_it_is() -> None:
    certain = Posterior(np.array([1.0, 2.0]), np.zeros((2, 2)))
    assert certain.sample(RNG(0), 3).tolist() == [[1.0, 2.0]] * 3
    assert certain.std.tolist() == [0, 0]


def test_a_variance_below_zero_by_rounding_is_no_deviation() -> None:
    assert Posterior(np.zeros(2), np.diag([4.0, -1e-18])).std.tolist() == [2, 0]


def test_the_same_seed_draws_the_same() -> None:
    believed = Posterior(np.zeros(2), np.eye(2))
    assert (believed.sample(RNG(5), 4) == believed.sample(RNG(5), 4)).all()
    assert (believed.sample(RNG(5), 4) != believed.sample(RNG(6), 4)).all()


def test_a_matrix_that_is_no_covariance_is_refused() -> None:
    with pytest.raises(ValueError, match="negative eigenvalue"):
        Posterior(np.zeros(2), np.array([[1.0, 3.0], [3.0, 1.0]])).sample(RNG(0), 1)


def test_one_thread_holds_while_inside_and_no_longer() -> None:
    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    with threadpool_limits(2, "blas"):
        with single_blas_thread():
            assert threads() == {1}
        assert threads() == {2}
