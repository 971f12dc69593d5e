"""The Hodges-Lehmann estimate and its interval, compared with enumeration, published tables and scipy."""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement, product

import pytest
from scipy import stats

from bneck.evaluate.latency.hodges_lehmann import MIN_VALUES, confidence_interval, pseudomedian

SEVEN = [3.0, -1.0, 4.0, 10.0, 5.0, 9.0, 2.5]

DRAWS: dict[str, Callable[[random.Random], float]] = {
    "normal": lambda rng: rng.gauss(0, 1),
    "Laplace": lambda rng: rng.expovariate(1) * rng.choice((-1, 1)),
    "Cauchy": lambda rng: math.tan(math.pi * (rng.random() - 0.5)),
}


def pair_means(values: Sequence[float]) -> list[float]:
    return sorted((a + b) / 2 for a, b in combinations_with_replacement(values, 2))


def apart(count: int) -> list[float]:
    """Values of which no two pairs have the same mean: sums of two powers of two differ."""
    values = [float(2**number) for number in range(count)]
    random.Random(count).shuffle(values)
    return values


def cut_off(count: int, tail: float) -> int:
    """The greatest sum k of signed ranks with P(sum <= k) <= tail, over all 2^count signs; -1 if none."""
    sums = sorted(
        sum(rank for rank, positive in enumerate(signs, start=1) if positive)
        for signs in product((False, True), repeat=count)
    )
    allowed = [total for total in set(sums) if sum(each <= total for each in sums) <= tail * len(sums)]
    return max(allowed, default=-1)


def upper_bound(values: Sequence[float], confidence: float = 0.95) -> float:
    """A bound of one side is an end of two whose confidence leaves twice as much out."""
    return confidence_interval(values, 2 * confidence - 1)[1]


def test_the_centre_is_the_median_of_all_pair_means_and_neither_median_nor_mean() -> None:
    # of 1, 2 and 6: 1, 1.5, 2, 3.5, 4 and 6
    assert pseudomedian([6, 1, 2]) == (2 + 3.5) / 2
    # of 1 and 4: 1, 2.5 and 4
    assert pseudomedian([4, 1]) == 2.5
    assert pseudomedian([7]) == 7


def test_the_order_of_the_values_does_not_matter() -> None:
    backwards, mixed = SEVEN[::-1], random.Random(1).sample(SEVEN, len(SEVEN))
    assert pseudomedian(SEVEN) == pseudomedian(backwards) == pseudomedian(mixed)
    assert confidence_interval(SEVEN) == confidence_interval(backwards) == confidence_interval(mixed)
    assert upper_bound(SEVEN) == upper_bound(backwards) == upper_bound(mixed)


def test_values_that_occur_twice_count_twice() -> None:
    # of 0, 0 and 3: 0, 0, 0, 1.5, 1.5 and 3
    assert pseudomedian([0, 3, 0]) == 0.75
    # of 0 once: 0, 1.5 and 3
    assert pseudomedian([0, 3]) == 1.5
    # 11 ones and a nine: 12 of 78 means are above 1, and 13 may be cut off at each end
    assert confidence_interval([1.0] * 11 + [9.0]) == (1, 1)
    assert confidence_interval([1.0] * 8 + [9.0]) == (1, 5)  # 9 are above 1, and only 5 may be cut off
    assert confidence_interval([2.5] * 9) == (2.5, 2.5)


def test_a_shift_and_a_scale_pass_through() -> None:
    moved = [8 - 2 * value for value in SEVEN]
    assert pseudomedian(moved) == 8 - 2 * pseudomedian(SEVEN)
    low, high = confidence_interval(SEVEN)
    assert confidence_interval(moved) == (8 - 2 * high, 8 - 2 * low)


def test_a_quarter_of_the_values_may_be_anything_but_not_30_percent() -> None:
    # 15 of 20 make 15 * 16 / 2 = 120 of 210 pairs, more than half; 14 make 105, and half is not enough
    near = [float(value) for value in range(15)]
    assert 0 <= pseudomedian([*near, *[1e9] * 5]) <= 14
    assert 0 <= pseudomedian([*near, *[-1e9] * 5]) <= 14
    assert pseudomedian([*near[:14], *[1e9] * 6]) > 1e8


def test_at_normal_noise_the_center_is_nearly_as_efficient_as_the_mean() -> None:
    rng = random.Random(3)
    samples = [[rng.gauss(0, 1) for _ in range(20)] for _ in range(2000)]
    of_centre, of_mean, of_median = (
        statistics.pvariance([estimate(sample) for sample in samples])
        for estimate in (pseudomedian, statistics.fmean, statistics.median)
    )
    # 3 / pi = 0.955 and 2 / pi = 0.637 of infinitely many values; three standard deviations are 0.02 and 0.05
    assert of_mean / of_centre == pytest.approx(0.955, abs=0.03)
    assert of_mean / of_median == pytest.approx(0.66, abs=0.06)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("count", range(1, 13))
def test_the_ends_are_the_pair_means_that_all_signs_leave(count: int, confidence: float) -> None:
    values, means = apart(count), pair_means(apart(count))
    assert len(set(means)) == count * (count + 1) / 2
    two_sided = max(0, cut_off(count, (1 - confidence) / 2))
    assert confidence_interval(values, confidence) == (means[two_sided], means[-1 - two_sided])
    assert upper_bound(values, confidence) == means[-1 - max(0, cut_off(count, 1 - confidence))]


# By the number of values, the greatest sum that is significant at 5%, of both sides (University of York,
# maths/tables/wilcoxon.htm) and of one (Harvey, Chemometrics Using R, appendix 12.6; the last from York)
TABLE = {
    6: (0, 2),
    7: (2, 3),
    8: (3, 5),
    9: (5, 8),
    10: (8, 10),
    11: (10, 13),
    12: (13, 17),
    13: (17, 21),
    14: (21, 25),
    15: (25, 30),
    16: (29, 35),
    20: (52, 60),
    25: (89, 100),
}


@pytest.mark.parametrize("count", TABLE)
def test_the_ends_are_those_of_the_published_tables(count: int) -> None:
    both, one = TABLE[count]
    means = pair_means(apart(count))
    assert confidence_interval(apart(count)) == (means[both], means[-1 - both])
    assert upper_bound(apart(count)) == means[-1 - one]


@pytest.mark.parametrize("count", [6, 9, 14, 21, 40])
def test_the_ends_are_where_scipys_signed_rank_test_turns(count: int) -> None:
    rng = random.Random(count)
    values = [rng.gauss(5, 2) for _ in range(count)]

    def p_value(shift: float, alternative: str) -> float:
        shifted = [value - shift for value in values]
        return float(stats.wilcoxon(shifted, alternative=alternative, method="exact").pvalue)

    low, high = confidence_interval(values)
    for end, inwards in ((low, 1e-6), (high, -1e-6)):
        assert p_value(end + inwards, "two-sided") > 0.05 >= p_value(end - inwards, "two-sided")
    bound = upper_bound(values)
    assert p_value(bound - 1e-6, "less") > 0.05 >= p_value(bound + 1e-6, "less")


@pytest.mark.parametrize("count", range(1, MIN_VALUES + 1))
def test_few_values_leave_an_interval_from_the_least_to_the_greatest(count: int) -> None:
    assert confidence_interval(apart(count)) == (1, 2 ** (count - 1))
    # of 6 values the sum is at most 0 with 1/64, of 5 with 1/32 = 3.1%, which is more than 2.5%
    assert (cut_off(count, 0.025) >= 0) == (count == MIN_VALUES)


def test_from_seven_values_on_the_interval_is_narrower_than_the_sample() -> None:
    # of 7 values 2 means at an end may go, sums 0, 1 and 2 have 3/128 = 2.3%: 1 and 1.5, 64 and 48
    assert confidence_interval(apart(7)) == (2, (64 + 16) / 2)


def test_a_bound_of_one_side_is_lower_than_the_end_of_two() -> None:
    # of 10 values 10 and not 8 means go
    means = pair_means(apart(10))
    assert upper_bound(apart(10)) == means[-11] < means[-9] == confidence_interval(apart(10))[1]
    assert upper_bound(apart(10), 0.975) == confidence_interval(apart(10), 0.95)[1]


def test_a_tail_that_is_met_exactly_is_allowed() -> None:
    # two values: sums 0, 1, 2, 3 with a quarter each; at most 1 with a half: of 0, 1 and 2 one goes
    assert upper_bound([0, 2], confidence=0.5) == 1
    # at most 0 with a quarter
    assert upper_bound([0, 2], confidence=0.75) == 2


def test_no_confidence_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"below 1, got 1\.0"):
        upper_bound([1, 2, 3], confidence=0)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(
    ("count", "both", "one"),
    [
        # 2 * 1/64 is outside of two ends, P(sum <= 2) = 3/64 above one
        (6, 1 - 2 / 64, 1 - 3 / 64),
        # 25 and 43 of 1024 signs have sums of at most 8 and 10
        (10, 1 - 2 * 25 / 1024, 1 - 43 / 1024),
    ],
)
def test_the_interval_holds_the_centre_of_a_symmetric_distribution_as_often_as_it_says(
    name: str, count: int, both: float, one: float
) -> None:
    rng = random.Random(7)
    held = bounded = 0
    for _ in range(2000):
        values = [3 + DRAWS[name](rng) for _ in range(count)]
        low, high = confidence_interval(values)
        held += low <= 3 <= high
        bounded += upper_bound(values) >= 3
    # three standard deviations
    assert held / 2000 == pytest.approx(both, abs=3 * math.sqrt(both * (1 - both) / 2000))
    assert bounded / 2000 == pytest.approx(one, abs=3 * math.sqrt(one * (1 - one) / 2000))
