import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bneck.evaluate import Goals, parse_goals
from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.seed_noise import SeedNoise
from bneck.results import Record
from bneck.results.analysis import front_posterior
from bneck.results.analysis.front_posterior import (
    ConditionalPosterior,
    FrontPosterior,
    contenders,
    front_posterior_of,
    true_accuracies,
)

from ..example_run import Row, accuracy, latency, record

ACCURACY, TWO = parse_goals("accuracy", {}), parse_goals("accuracy,latency", {})
FLAT = np.ones((4, 1))


def trained(number: int, *top1: float, ratio: float = 0.3) -> Record:
    """A network with these accuracies, by seeds 0, 1, ..."""
    first, *more = (replace(accuracy(each), seed=seed) for seed, each in enumerate(top1))
    return replace(record(number, Row("complete", 0.5, ratio)), accuracy=first, replicates=tuple(more))


def expected(fit: ConditionalPosterior) -> Array:
    """Expected true accuracies: the trend, and the share of the residual that is the network's own."""
    trend = fit.design @ fit.trend
    return trend + fit.shrinkage * (fit.means - trend)


def believed(records: Sequence[Record], goals: Goals = TWO) -> FrontPosterior:
    found = front_posterior_of(records, goals)
    assert found is not None
    return found


# ---------------------------------------------------------------------- the posterior, by hand


def test_a_mean_is_drawn_half_way_to_the_trend_where_noise_and_structure_are_alike() -> None:
    # a flat trend through 0, 0, 0 and 4 is 1; each is believed in by half
    fit = ConditionalPosterior.of(np.array([0.0, 0, 0, 4]), np.ones(4, dtype=int), FLAT, noise=1, structure=1)
    assert expected(fit).tolist() == pytest.approx([0.5, 0.5, 0.5, 2.5])


def test_three_trainings_are_believed_more_than_one() -> None:
    # variances 2, 2, 2 and 1 + 1/3: the trend is 4 x .75 / (1.5 + .75) = 4/3, the last is believed by 3/4
    fit = ConditionalPosterior.of(
        np.array([0.0, 0, 0, 4]), np.array([1, 1, 1, 3]), FLAT, noise=1, structure=1
    )
    assert expected(fit)[3] == pytest.approx(4 / 3 + 0.75 * (4 - 4 / 3))


def test_the_draws_have_the_spread_of_a_network_around_the_trend_and_that_of_the_trend() -> None:
    fit = ConditionalPosterior.of(np.array([0.0, 0, 0, 4]), np.ones(4, dtype=int), FLAT, noise=1, structure=1)
    draws = fit.draw(np.random.default_rng(0), 20_000)
    # 1/2 around the trend; half of the trend's own 2/4
    assert draws.var(0).tolist() == pytest.approx([0.5 + 0.25 * 0.5] * 4, rel=0.05)
    assert draws.mean(0).tolist() == pytest.approx(expected(fit).tolist(), abs=0.03)


@pytest.mark.parametrize("apart", [0.0, 1.0, 5.0])
def test_the_likelihood_of_two_networks_is_that_of_their_difference(apart: float) -> None:
    # the difference is normal with variance 2 (noise^2 + structure^2)
    def expected(variance: float) -> float:
        return -0.5 * math.log(variance) - apart**2 / (2 * 2 * variance)

    means, once = np.array([0.0, apart]), np.ones(2, dtype=int)
    found = [ConditionalPosterior.of(means, once, FLAT[:2], 1, each).log_likelihood for each in (0.5, 2)]
    assert found[0] - found[1] == pytest.approx(expected(1.25) - expected(5))


# ------------------------------------------------------------------------ what comes of it


def test_well_separated_networks_are_surely_on_the_front_or_surely_not() -> None:
    records = [trained(number, top1, top1 + 0.001) for number, top1 in enumerate((0.5, 0.7, 0.9))]
    sure = believed(records, ACCURACY)
    assert sure.pareto_probabilities.tolist() == [0, 0, 1]
    assert sure.undecided == []


def test_two_equal_networks_are_the_best_with_one_half_each() -> None:
    records = [trained(0, 0.80, 0.82), trained(1, 0.82, 0.80)]
    sure = believed(records, ACCURACY)
    assert sure.pareto_probabilities.tolist() == pytest.approx([0.5, 0.5], abs=0.04)
    assert sure.pareto_probabilities.sum() == pytest.approx(1)
    assert sure.undecided == records
    assert sure.indistinguishable(records[0], records) == [records[1]]


def test_of_two_objectives_the_cheapest_is_always_on_the_front() -> None:
    records = [trained(0, 0.6, 0.6, ratio=0.2), trained(1, 0.7, 0.71, ratio=0.3), trained(2, 0.5, ratio=0.4)]
    sure = believed(records)
    assert [sure.pareto_probability(each) for each in records] == [1, 1, 0]


def test_of_two_that_cost_the_same_one_is_on_the_front() -> None:
    sure = believed([trained(0, 0.80, 0.82), trained(1, 0.82, 0.80), trained(2, 0.1, ratio=0.5)])
    assert sure.pareto_probabilities.tolist() == pytest.approx([0.5, 0.5, 0], abs=0.04)


def test_a_network_may_be_replaced_by_what_costs_no_more_and_is_not_told_to_be_worse() -> None:
    cheap, same, worse, dear = (
        trained(0, 0.81, 0.80, ratio=0.2),
        trained(1, 0.80, 0.82, ratio=0.3),
        trained(2, 0.50, 0.51, ratio=0.1),
        trained(3, 0.81, 0.82, ratio=0.4),
    )
    sure = believed([cheap, same, worse, dear])
    assert sure.replacements(same) == [cheap]
    assert sure.replacements(cheap) == []
    assert sure.replacements(dear) == [cheap, same]


REWARD = parse_goals("reward:0.1x", {})


def fast_and_slow() -> tuple[Record, Record]:
    """0.80 at the target and 0.82 at four times that, which is worth 0.82 * 4 ** -0.07 = 0.744."""
    return trained(0, 0.800, 0.801, ratio=0.1), trained(1, 0.820, 0.821, ratio=0.4)


def test_the_best_by_reward_is_the_fast_one_and_not_the_most_accurate() -> None:
    fast, slow = fast_and_slow()
    sure = believed([fast, slow], REWARD)
    assert [sure.pareto_probability(each) for each in (fast, slow)] == [1, 0]
    # 0.8005 and 0.8205 * 0.907519 = 0.744619 are 0.0559 apart
    assert sure.accuracy_advantage(fast, slow).value == pytest.approx(0.0559, abs=0.002)
    assert float(np.mean(sure.interval(slow))) == pytest.approx(0.8205, abs=0.002)  # an accuracy all the same
    assert sure.replacements(fast) == []
    assert sure.replacements(slow) == [fast]
    assert sure.indistinguishable(fast, [fast, slow]) == []
    assert believed([fast, slow], ACCURACY).pareto_probability(slow) == 1


def test_without_a_repeat_nothing_is_believed() -> None:
    assert front_posterior_of([trained(0, 0.8), trained(1, 0.9)], TWO) is None
    assert front_posterior_of([], TWO) is None


def test_where_accuracy_is_no_objective_the_front_needs_no_belief() -> None:
    assert front_posterior_of([trained(0, 0.8, 0.9)], parse_goals("latency,macs", {})) is None


def test_the_same_records_give_the_same_draws() -> None:
    records = [trained(number, 0.8, 0.8 + number / 50) for number in range(5)]
    assert (believed(records).draws == believed(records).draws).all()


def test_equal_trainings_are_no_proof_of_no_noise() -> None:
    # 400 images: an accuracy comes in steps of a quarter of a point
    sure = believed([trained(0, 0.8, 0.8), trained(1, 0.8, 0.8), trained(2, 0.801)], ACCURACY)
    assert sure.noise.std == 0
    assert max(sure.pareto_probabilities) < 0.95


def test_what_seeds_do_to_all_is_not_held_against_those_that_were_trained_again() -> None:
    # seed 1 costs everyone 10 points; by plain means the first would fall behind the last
    rows = {0: (0.90, 0.80), 1: (0.88, 0.781), 2: (0.86, 0.759), 3: (0.84, 0.741), 4: (0.87,)}
    from bneck.results.store.trial import with_replicates

    plain = [trained(number, *top1) for number, top1 in rows.items()]
    records = with_replicates(plain, {each.key: each.replicates for each in plain})
    assert records[0].top1 == pytest.approx(0.90, abs=0.002)
    assert records[4].top1 == 0.87
    assert believed(records, ACCURACY).pareto_probability(records[0]) > 0.9


def test_the_best_of_many_equal_networks_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    seems, expected = [], []
    for _ in range(4):
        means = 0.9 + rng.normal(0, 0.01, 60)
        draws = true_accuracies(means, np.ones(60, dtype=int), rng.uniform(1e5, 1e6, 60), SeedNoise(0.01, 20))
        best = int(means.argmax())
        seems.append(means[best] - 0.9)
        expected.append(draws[:, best].mean() - 0.9)
    # the highest of 60 normal values lies 2.3 deviations up
    assert np.mean(seems) == pytest.approx(0.023, abs=0.004)
    assert abs(np.mean(expected)) < 0.007


def test_19_of_20_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    held = []
    for structure in (0.0, 0.005, 0.01, 0.02):
        macs, trainings = np.exp(rng.uniform(12, 14, 40)), np.where(rng.random(40) < 0.2, 3, 1)
        truth = 0.8 + 0.02 * np.log(macs / 4e5) + rng.normal(0, structure, 40)
        means = truth + rng.normal(0, 0.01, 40) / np.sqrt(trainings)
        noise = SeedNoise(0.01 * math.sqrt(rng.chisquare(12) / 12), 12)
        low, high = np.quantile(true_accuracies(means, trainings, macs, noise), (0.025, 0.975), axis=0)
        held += ((low <= truth) & (truth <= high)).tolist()
    # of 160, which share four noises
    assert 0.89 <= np.mean(held) <= 0.99


# ---------------------------------------------------------------------- large runs


def test_of_many_networks_the_best_ranks_and_the_largest_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    # costs and accuracies grow together: the front is trials 0 to 3, the next rank 4 to 7, and so on
    many = [
        trained(number, *(0.5 + 0.1 * (number % 4) - 0.01 * (number // 4) + extra for extra in (0, 0.002)))
        for number in range(40)
    ]
    many = [
        replace(each, latency=latency(0.1 * (number % 4 + 1) + 0.01 * (number // 4)))
        for number, each in enumerate(many)
    ]
    whole = believed(many)
    assert (len(whole.records), whole.networks) == (40, 40)
    monkeypatch.setattr(front_posterior, "MAX_NETWORKS", 9)
    some = believed(many)
    largest = max(many, key=lambda each: each.cost.macs)
    assert {each.trial for each in some.records} == {*range(8), largest.trial}
    assert (some.networks, some.replicates, some.noise) == (40, 40, whole.noise)
    assert some.draws.shape == (whole.draws.shape[0], len(some.records))
    # they follow the same distribution, fitted to all 40
    places = [whole.records.index(each) for each in some.records]
    assert some.draws.mean(0) == pytest.approx(whole.draws[:, places].mean(0), abs=1e-3)
    assert many[20] not in some
    assert many[0] in some
    assert some.indistinguishable(many[3], many) == [
        each for each in whole.indistinguishable(many[3], many) if each in some
    ]


def test_a_front_that_is_larger_than_the_sample_is_drawn_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_posterior, "MAX_NETWORKS", 3)
    front = [trained(number, 0.5 + 0.05 * number, ratio=0.1 * (number + 1)) for number in range(6)]
    assert contenders(front, TWO, 3) == list(range(6))
