import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from .agreement import middle_third, partial_spearman, regret, spearman_brown, top_k_overlap

TRUTH = [0.70, 0.72, 0.72, 0.75, 0.81, 0.80, 0.85, 0.90]
JUDGE = [3, 1, 2, 2, 5, 6, 8, 7]


def test_two_halves_of_reliability_a_half_have_two_thirds() -> None:
    assert spearman_brown(0.5, 2) == pytest.approx(2 / 3)
    assert spearman_brown(2 / 3, 0.5) == pytest.approx(0.5)


def test_the_partial_correlation_is_that_of_the_residuals_of_ranks() -> None:
    rng = np.random.default_rng(3)
    macs = rng.uniform(1e5, 1e6, 40)
    proxy, truth = np.log(macs) + rng.standard_normal(40), np.log(macs) + rng.standard_normal(40)
    ranks = [stats.rankdata(each) for each in (proxy, truth, macs)]
    left = [each - np.polyval(np.polyfit(ranks[2], each, 1), ranks[2]) for each in ranks[:2]]
    assert partial_spearman(proxy, truth, macs) == pytest.approx(np.corrcoef(*left)[0, 1])


def test_macs_themselves_know_nothing_beyond_macs() -> None:
    assert math.isnan(partial_spearman([1, 2, 3, 4], [1, 3, 2, 4], [10, 20, 30, 40]))


@pytest.mark.parametrize(
    ("macs", "positions"),
    [
        ([1, 2, 3, 4, 5, 6], [2, 3]),
        ([6, 1, 5, 2, 4, 3], [4, 5]),
        ([1, 2, 3, 4, 5, 6, 7], [2, 3, 4]),
        ([1, 2, 3, 4, 5, 6, 7, 8], [2, 3, 4, 5]),
    ],
)
def test_the_middle_third_by_macs(macs: list[float], positions: list[int]) -> None:
    assert middle_third(macs).tolist() == positions


def test_the_overlap_of_the_best() -> None:
    # the best three are 4, 6, 7 by the truth and 5, 6, 7 by the judge
    assert top_k_overlap(JUDGE, TRUTH, 3) == pytest.approx(2 / 3)
    assert top_k_overlap(TRUTH, TRUTH) == 1
    assert top_k_overlap([1, 2, 3], [3, 2, 1], 5) == 1  # of three networks all are among the best five


def test_equals_overlap_as_a_random_choice_among_them_does_on_average() -> None:
    proxy, truth = [1, 2, 2, 2, 3], [5, 1, 4, 3, 2]
    overlaps = []
    for order in permutations(range(5)):
        best = sorted(range(5), key=lambda each: (-proxy[each], order[each]))[:2]
        overlaps.append(len({0, 2} & set(best)) / 2)
    assert top_k_overlap(proxy, truth, 2) == pytest.approx(float(np.mean(overlaps)))


def test_what_a_choice_loses() -> None:
    assert regret(JUDGE, TRUTH) == pytest.approx(0.05)
    assert regret(TRUTH, TRUTH) == 0
    # the judge's first are 0.85 and 0.90, by chance one or the other
    assert regret([0, 0, 0, 0, 0, 0, 1, 1], TRUTH) == pytest.approx(0.025)
