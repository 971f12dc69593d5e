import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from bneck.evaluate import Goals, parse_goals
from bneck.evaluate.statistics.outcomes import pack_outcomes
from bneck.results import Record
from bneck.results.analysis import front_posterior
from bneck.results.analysis.front_posterior import FrontPosterior, contenders, front_posterior_of

from ..example_run import Row, accuracy, latency, record

ACCURACY, TWO = parse_goals("accuracy", {}), parse_goals("accuracy,latency", {})


def trained(number: int, *top1: float, ratio: float = 0.3) -> Record:
    """A network with these accuracies, by seeds 0, 1, ..."""
    first, *more = (replace(accuracy(each), seed=seed) for seed, each in enumerate(top1))
    return replace(record(number, Row("complete", 0.5, ratio)), accuracy=first, replicates=tuple(more))


def believed(records: Sequence[Record], goals: Goals = TWO) -> FrontPosterior:
    found = front_posterior_of(records, goals)
    assert found is not None
    return found


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


def exactly(record: Record) -> Record:
    """With a latency that is known exactly."""
    assert record.latency
    ratio = record.latency.ratio
    return replace(record, latency=replace(record.latency, ratio_low=ratio, ratio_high=ratio))


def test_of_two_that_cost_the_same_one_is_on_the_front() -> None:
    records = [trained(0, 0.80, 0.82), trained(1, 0.82, 0.80), trained(2, 0.1, ratio=0.5)]
    sure = believed([exactly(each) for each in records])
    assert sure.pareto_probabilities.tolist() == pytest.approx([0.5, 0.5, 0], abs=0.04)
    # each may be the faster one too: on the front with one half and, if it is not, with one half of that
    unsure = believed(records)
    assert unsure.pareto_probabilities.tolist() == pytest.approx([0.75, 0.75, 0], abs=0.04)


def test_a_less_accurate_network_is_on_the_front_if_it_is_the_faster_one() -> None:
    worse, better = trained(0, 0.50, 0.51, ratio=0.30), trained(1, 0.90, 0.91, ratio=0.31)
    # intervals from 0.9 to 1.2 times the ratio: log-normal with a deviation of log(4/3) / 3.92
    deviation = math.log(4 / 3) / (2 * 1.96)
    faster = NormalDist().cdf(math.log(0.31 / 0.30) / (2**0.5 * deviation))
    assert believed([worse, better]).pareto_probability(worse) == pytest.approx(faster, abs=0.03)
    assert believed([exactly(worse), exactly(better)]).pareto_probability(worse) == 1


def with_outcomes(record: Record, *rights: NDArray[np.bool_]) -> Record:
    """The record with trainings of these outcomes."""
    first, *more = (
        replace(accuracy(float(right.mean()), len(right)), outcomes=pack_outcomes(right), seed=seed)
        for seed, right in enumerate(rights)
    )
    return replace(record, accuracy=first, replicates=tuple(more))


def test_differences_on_the_same_images_are_tighter_than_the_accuracies() -> None:
    # Most images are right or wrong for all; 20 networks of one ability and little noise.
    rng = np.random.default_rng(0)
    easy = rng.random(400) < 0.8
    records = [
        with_outcomes(
            trained(number, 0.5, ratio=0.3 + number / 100),
            *(np.where(rng.random(400) < 0.05, rng.random(400) < 0.8, easy) for _ in range(2)),
        )
        for number in range(20)
    ]
    sure = believed(records, ACCURACY)
    assert sure.image_sampling.between == pytest.approx(0.95**2, abs=0.04)
    low, high = sure.interval(records[0])
    # the images alone: 0.8 within 1.96 * sqrt(0.16 / 400)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.02, rel=0.2)
    advantage = sure.accuracy_advantage(records[0], records[1])
    assert advantage.high - advantage.low < 0.4 * (high - low)


def test_training_again_does_not_remove_what_these_images_do_to_a_network() -> None:
    # Trainings of one network agree, networks do not: nothing is noise, and differences are uncertain by
    # independent images.
    rng = np.random.default_rng(0)
    records = []
    for number in range(20):
        right = rng.random(400) < 0.8
        records.append(with_outcomes(trained(number, 0.5, ratio=0.3 + number / 100), right, right))
    sure = believed(records, ACCURACY)
    assert (sure.image_sampling.between, sure.image_sampling.within) == (pytest.approx(0, abs=0.02), 1)
    assert sure.seed_std(records[0]) < 0.002
    assert sure.least_significant_difference(100) == pytest.approx(1.96 * (2 * 0.16 / 400) ** 0.5, rel=0.2)
    # 20 accuracies that differ by the images alone are all alike
    advantage = sure.accuracy_advantage(*sorted(records, key=lambda each: each.top1)[:: len(records) - 1])
    assert advantage.low < 0 < advantage.high


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
    assert 0.29 / 400 <= sure.noise.std < 0.0015
    assert max(sure.pareto_probabilities) < 0.95


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
    monkeypatch.setattr(front_posterior, "MAX_NETWORKS", 12)
    some = believed(many)
    # a tenth of 12
    largest = max(many, key=lambda each: each.cost.macs)
    assert {each.trial for each in some.records} == {*range(11), largest.trial}
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
