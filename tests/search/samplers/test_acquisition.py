"""What is believed in the terms of a search's goals: worth, front and limits, on a made-up landscape."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from bneck.evaluate import Constraint, Goals, Objective, parse_goals
from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.surrogate.encoder import Candidate, Encoder, Observation
from bneck.evaluate.surrogate.factory import Surrogate, SurrogateFactory
from bneck.search.samplers.acquisition import (
    MIN_FEASIBILITY,
    Acquisition,
    LogLatency,
    PredictedLatency,
    select_observations,
)
from bneck.search_space import cost

from ...results.example_run import REFERENCE_MS
from ..example_landscape import known_of, latency_ms, some, truth
from ..helpers import SMALL, fake_model

NETWORKS = some(SMALL, 40)
JUDGED, NEW = NETWORKS[:15], NETWORKS[15:]
ACCURACY = Objective("accuracy")
LEARNER = SurrogateFactory(Encoder(SMALL))


def accuracy_of(known: Sequence[Observation], noise: float = 0.0) -> Surrogate:
    values = [each.accuracy for each in known if each.accuracy is not None]
    return LEARNER.fit_surrogate("accuracy", known, values, noise, range(len(known)))


class SureLatency:
    """Of the landscape, with a deviation that is chosen."""

    def __init__(self, std: float = 0.01) -> None:
        self.std = std
        self.asked: list[Candidate] = []

    def predict(self, networks: Sequence[Candidate]) -> tuple[Array, Array]:
        self.asked += networks
        found = [latency_ms(each.architecture) for each in networks]
        return np.log(found), np.full(len(found), self.std)


def beliefs(
    objectives: str,
    latency: LogLatency | None = None,
    known: Sequence[Observation] | None = None,
    /,
    **limits: str,
) -> Acquisition:
    known = known_of(JUDGED) if known is None else known
    return Acquisition(parse_goals(objectives, limits), accuracy_of(known), latency, REFERENCE_MS)


def macs(each: Candidate) -> float:
    return float(cost(each.architecture).macs)


# The front in hand


def test_the_front_is_of_the_networks_that_no_other_beats() -> None:
    found = beliefs("accuracy,macs")
    pairs = [(-truth(each.architecture), macs(each)) for each in JUDGED]
    unbeaten = [
        (each, pair)
        for each, pair in zip(JUDGED, pairs, strict=True)
        if not any(a <= pair[0] and m <= pair[1] and (a, m) != pair for a, m in pairs)
    ]
    assert 2 < len(unbeaten) < len(JUDGED)
    assert found.best == [each for each, _ in unbeaten]
    logs = [(accuracy_loss, np.log(count)) for _, (accuracy_loss, count) in unbeaten]
    np.testing.assert_allclose(found.front, logs, rtol=1e-4)


def test_a_network_that_was_lucky_once_is_on_the_front_by_what_is_expected_of_it() -> None:
    known = known_of(JUDGED, trainings=50)
    worst = min(range(15), key=lambda place: truth(JUDGED[place].architecture))
    known[worst] = Observation(
        known[worst].candidate, max(truth(each.architecture) for each in JUDGED) + 0.01
    )
    told = Acquisition(Goals((ACCURACY,)), accuracy_of(known)).best
    expected = Acquisition(Goals((ACCURACY,)), accuracy_of(known, noise=0.1)).best
    assert told == [JUDGED[worst]]
    assert expected != told


def test_measured_latencies_count_as_they_are_and_others_as_they_are_predicted() -> None:
    known = [
        replace(each, latency_ms=None if place % 2 else 7.0) for place, each in enumerate(known_of(JUDGED))
    ]
    latency = SureLatency()
    found = np.exp(beliefs("accuracy,latency", latency, known).front[:, 1])
    assert latency.asked == JUDGED[1::2]
    assert set(found.round(9)) <= {7.0, *(round(latency_ms(each.architecture), 9) for each in JUDGED[1::2])}


# The worst that counts


def test_limits_are_the_reference_point_as_logarithms_of_milliseconds_or_counts() -> None:
    found = beliefs("accuracy,latency,macs,params", SureLatency(), latency="0.25x", macs="40K", params="3K")
    # 0.25 times 2 ms
    assert np.exp(found.reference_point[1:]) == pytest.approx([0.5, 40_000, 3_000])
    bound = beliefs("accuracy,latency", SureLatency(), latency="0.3ms").reference_point[1]
    assert np.exp(bound) == pytest.approx(0.3)


def test_networks_beyond_both_ends_of_the_front_improve_it_without_a_limit() -> None:
    found = beliefs("accuracy,macs", None, known_of(sorted(JUDGED, key=macs)[2:-4]))
    counts = np.array([macs(each) for each in found.best])
    gains = {macs(each): gain for each, gain in zip(NETWORKS, found(NETWORKS), strict=True)}
    assert max(gain for count, gain in gains.items() if count < counts.min()) > 1e-6
    assert max(gain for count, gain in gains.items() if count > counts.max()) > 1e-6


# What others are worth


def test_a_network_is_worth_most_that_widens_the_front_most() -> None:
    found = beliefs("accuracy,macs", macs="40K")
    best = NEW[int(np.argmax(found(NEW)))]
    beaten = [
        any(truth(o.architecture) >= truth(each.architecture) and macs(o) <= macs(each) for o in found.best)
        for each in NEW
    ]
    assert not beaten[NEW.index(best)]
    assert macs(best) < 40_000
    assert found(NEW)[[macs(each) > 40_000 for each in NEW]] == pytest.approx(0, abs=1e-6)


def test_with_one_objective_worth_is_the_expected_improvement() -> None:
    found = beliefs("accuracy")
    mean, std = found.accuracy.predict(NEW)
    z = (mean - found.accuracy.fitted_means.max()) / std
    assert found(NEW) == pytest.approx(std * (z * norm.cdf(z) + norm.pdf(z)), rel=1e-6, abs=1e-12)


def test_only_networks_that_probably_keep_the_limit_on_latency_have_a_gain() -> None:
    # some far below and far above the limit, and one on it
    latencies = np.array([latency_ms(each.architecture) for each in NEW])
    limit = float(np.median(latencies))
    ratios = latencies / limit
    chances = norm.cdf(-np.log(ratios) / 0.05)
    assert (chances[ratios > 1.3] < 1e-6).all() and (chances[ratios < 0.8] > 0.9999).all()
    assert (ratios > 1.3).any() and (ratios < 0.8).any()
    few = known_of(JUDGED[:3])  # so that any may be the best
    free = beliefs("accuracy", SureLatency(0.05), few)(NEW)
    bound = beliefs("accuracy", SureLatency(0.05), few, latency=f"{limit:.12f}ms")(NEW)
    believed = chances >= MIN_FEASIBILITY
    assert bound[believed] == pytest.approx((free * chances)[believed], rel=1e-6)
    # the others are ranked by their chance, behind those
    assert bound[~believed] == pytest.approx(chances[~believed] - 1, abs=1e-6)
    assert free[ratios > 1.3].max() > 0.001


def test_a_limit_on_a_latency_that_is_an_objective_counts_once() -> None:
    # a limit one deviation above the median prediction: its chance is 0.84, and no factor of the gain
    few, std = known_of(JUDGED[:3]), 0.05
    median = float(np.median([latency_ms(each.architecture) for each in NEW]))
    place = next(n for n, each in enumerate(NEW) if latency_ms(each.architecture) == median)
    limit = median * np.exp(std)
    found = beliefs("accuracy,latency", SureLatency(std), few, latency=f"{limit:.12f}ms")
    front, (reference_accuracy, _) = found.front, found.reference_point
    mean, accuracy_std = (part[place] for part in found.accuracy.predict(NEW))
    draws = np.random.default_rng(0).standard_normal((200_000, 2))
    rows = np.column_stack([-mean + accuracy_std * draws[:, 0], np.log(median) + std * draws[:, 1]])
    assert (front[:, 1] < np.log(median) - 5 * std).all() or (front[:, 1] > np.log(median)).any()
    expected = np.mean([found.boxes.improvement(row) for row in rows[:8000]])
    assert reference_accuracy < 0
    assert found(NEW)[place] == pytest.approx(expected, rel=0.05)


def test_a_limit_of_which_nothing_is_known_yet_changes_nothing() -> None:
    assert beliefs("accuracy", None, latency="1ms")(NEW) == pytest.approx(beliefs("accuracy")(NEW))


def test_a_latency_model_predicts_with_the_spread_of_its_errors() -> None:
    # 0.3 of the reference's 2 ms, and 5%
    mean, std = PredictedLatency(fake_model({"network": 0.3})).predict(NEW)
    assert mean == pytest.approx(np.full(25, np.log(0.6)))
    assert std == pytest.approx(np.full(25, 0.05))


def test_a_latency_that_is_learned_is_nearly_as_good_as_one_that_is_known() -> None:
    logs = np.log([latency_ms(each.architecture) for each in JUDGED])
    model = LEARNER.fit_surrogate("latency", known_of(JUDGED), logs.tolist(), None, range(15))
    found, sure = (beliefs("accuracy,latency", each, latency="0.4ms") for each in (model, SureLatency()))
    worth = sure(NEW)
    assert worth[np.argmax(found(NEW))] > 0.7 * worth.max()


# The reward


@pytest.mark.parametrize("target", [Constraint("macs", 30_000), Constraint("latency", 0.1, "x")])
def test_the_reward_is_believed_as_the_accuracy_times_what_the_cost_is_worth(target: Constraint) -> None:
    goals = Goals((Objective("reward", target),))
    found = Acquisition(goals, accuracy_of(known_of(JUDGED)), SureLatency(1e-6), REFERENCE_MS)

    def factor(each: Candidate) -> float:
        # 0.1x of 2 ms
        share = macs(each) / 30_000 if target.quantity == "macs" else latency_ms(each.architecture) / 0.2
        return float(share**-0.07)

    rewards = [truth(each.architecture) * factor(each) for each in JUDGED]
    assert found.front == pytest.approx(np.array([[-max(rewards)]]), rel=1e-4)
    mean, std = (part * [factor(each) for each in NEW] for part in found.accuracy.predict(NEW))
    z = (mean - max(rewards)) / std
    assert found(NEW) == pytest.approx(std * (z * norm.cdf(z) + norm.pdf(z)), rel=0.02, abs=1e-6)


def test_a_reward_has_its_limits_too() -> None:
    limits = (Constraint("latency", 0.01, "ms"),)
    goals = Goals((Objective("reward", Constraint("macs", 30_000)),), limits)
    assert (Acquisition(goals, accuracy_of(known_of(JUDGED)), SureLatency())(NEW) < 0).all()


# Networks under way


def test_a_network_under_way_is_worth_little_and_those_like_it_less_than_before() -> None:
    known = known_of(JUDGED)
    before = Acquisition(parse_goals("accuracy,macs", {}), accuracy_of(known))
    worth = before(NEW)
    best = int(np.argmax(worth))
    after = replace(before, accuracy=before.accuracy.fantasize([Observation(NEW[best])]))
    then = after(NEW)
    assert then[best] < 0.2 * worth[best]
    alike = [
        sum(a != b for a, b in zip(each.genes.values(), NEW[best].genes.values(), strict=True))
        for each in NEW
    ]
    near = np.array(alike) == 1
    assert near.any() and then[near].sum() < worth[near].sum()


# Which of many are looked at


def test_of_many_the_front_and_the_latest_tell_most() -> None:
    # the third is the best; the smallest beats in its own way
    smallest = min(range(40), key=lambda place: macs(NETWORKS[place]))
    known = [Observation(each, 0.9 if place == 2 else 0.5) for place, each in enumerate(NETWORKS)]
    front = {2, smallest} - ({smallest} if macs(NETWORKS[2]) <= macs(NETWORKS[smallest]) else set())
    assert max(front) < 28
    for most in (12, 20):
        kept = select_observations(known, parse_goals("accuracy,macs", {}), most)
        assert kept == sorted(front | set(range(40 - most + len(front), 40)))


def test_few_are_all_looked_at() -> None:
    known = known_of(JUDGED)
    assert select_observations(known, parse_goals("accuracy", {}), 15) == list(range(15))


@pytest.mark.parametrize("objectives", ["accuracy", "accuracy,latency,params", "reward:30K", "reward:0.2x"])
def test_whatever_the_objectives_the_front_comes_first(objectives: str) -> None:
    # the third is the best of all, at the least cost
    least = min(NETWORKS, key=macs)
    rest = [each for each in NETWORKS if each is not least]
    networks = [*rest[:2], least, *rest[2:]]
    known = [
        Observation(each, 0.9 if each is least else 0.5, 1, latency_ms(each.architecture))
        for each in networks
    ]
    assert select_observations(known, parse_goals(objectives, {}), 12) == [2, *range(29, 40)]
