"""Rank correlations of judges, against scipy and hand calculation."""

import math

import numpy as np
import pytest
from scipy import stats

from bneck.evaluate.statistics.rank_correlation import (
    bootstrap_ci95,
    kendall,
    mean_over_seed_pairs,
    spearman,
    spearman_difference,
)

TRUTH = [0.70, 0.72, 0.72, 0.75, 0.81, 0.80, 0.85, 0.90]
JUDGE = [3, 1, 2, 2, 5, 6, 8, 7]


def test_rank_correlations_with_equals_are_scipys() -> None:
    assert spearman(JUDGE, TRUTH) == pytest.approx(stats.spearmanr(JUDGE, TRUTH).statistic)
    assert kendall(JUDGE, TRUTH) == pytest.approx(stats.kendalltau(JUDGE, TRUTH).statistic)


def test_a_judge_who_says_the_same_of_all_has_no_correlation() -> None:
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert math.isnan(kendall([1, 2, 3], [1, 1, 1]))


def test_the_agreement_of_seeds_is_the_mean_over_their_pairs() -> None:
    # pairs of the columns 123, 132, 321: 0.5, -1 and -0.5 by 1 - 6 sum(d^2) / (n^3 - n)
    table = np.array([[1.0, 1, 3], [2, 3, 2], [3, 2, 1]])
    assert mean_over_seed_pairs(table) == pytest.approx((0.5 - 1 - 0.5) / 3)
    # concordant less discordant of three pairs: 1/3, -1, -1/3
    assert mean_over_seed_pairs(table, kendall) == pytest.approx(-1 / 3)


def test_the_bootstrap_of_a_mean_is_as_wide_as_its_normal_interval() -> None:
    values = np.random.default_rng(1).standard_normal(200)
    low, high = bootstrap_ci95(lambda rows: float(values[rows].mean()), 200, np.random.default_rng(2), 4000)
    half = 1.96 * values.std() / math.sqrt(200)
    assert (low, high) == (
        pytest.approx(values.mean() - half, abs=0.012),
        pytest.approx(values.mean() + half, abs=0.012),
    )


def test_the_bootstrap_leaves_out_draws_without_an_answer() -> None:
    def mostly(rows: np.typing.NDArray[np.intp]) -> float:
        return math.nan if rows[0] == 0 else float(rows[0])

    assert bootstrap_ci95(mostly, 3, np.random.default_rng(0), 500) == (1, 2)
    assert all(map(math.isnan, bootstrap_ci95(lambda _: math.nan, 3, np.random.default_rng(0), 5)))


def test_the_same_generator_gives_the_same_interval() -> None:
    values = np.array(TRUTH)
    one, again, other = (
        bootstrap_ci95(lambda rows: float(values[rows].mean()), 8, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert one == again != other


def test_a_good_judge_is_told_from_a_random_one_and_not_from_its_equal() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(60)
    good, equal = (truth + 0.5 * rng.standard_normal(60) for _ in range(2))
    guess = rng.standard_normal(60)
    apart, low, high = spearman_difference(good, guess, truth, np.random.default_rng(0), 400)
    assert apart == pytest.approx(spearman(good, truth) - spearman(guess, truth))
    assert 0 < low < apart < high
    _, low, high = spearman_difference(good, equal, truth, np.random.default_rng(0), 400)
    assert low < 0 < high
