"""What a cascading search does next, from records made by hand."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from bneck.evaluate import Accuracy, Latency, parse_goals
from bneck.results import Record
from bneck.search import cascade as cascade_module
from bneck.search.cascade import FIRST, MOST_TRAININGS, Again, Cascade, New
from bneck.search.loop import judge_trials
from bneck.search.repeating import Repeat
from bneck.search_space import Architecture, GoalError, cost, load_space

from .helpers import FakePool, Shown, fake_run

SPACE = load_space("tiny").for_data(1, 10)
GOALS = parse_goals("accuracy,macs", {"macs": "1M"})


@pytest.fixture(autouse=True)
def few_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade_module, "SIGHT", 24)
    monkeypatch.setattr(cascade_module, "NEAR", 12)


def no_latency(architecture: Architecture) -> Latency:
    raise AssertionError(f"no goal asks for the latency of {architecture.key}")


def cascade(seed: int = 0) -> Cascade:
    return Cascade(SPACE, GOALS, no_latency, random.Random(seed))


def training(top1: float, seed: int = 0) -> Accuracy:
    return Accuracy(top1, 1 - top1, images=1000, seen=1000, seed=seed, seconds=1.0, curve=())


def judged(networks: list[Architecture], tops: list[list[float]]) -> list[Record]:
    """A record a network, with a training for each accuracy."""
    records = []
    for number, (network, own) in enumerate(zip(networks, tops, strict=True)):
        first, *again = (training(top1, seed) for seed, top1 in enumerate(own))
        record = Record(number, "cascade", "judged", network, cost(network), accuracy=first)
        records.append(replace(record, repeats=tuple(again)))
    return records


def test_the_first_networks_are_spread_by_macs_and_keep_the_limit() -> None:
    search = cascade()
    macs = sorted(cost(network).macs for network in search.first)
    assert len(macs) == FIRST
    assert macs[-1] <= 1_000_000
    assert macs[-1] > 5 * macs[0]


def test_the_first_networks_come_before_any_other() -> None:
    search = cascade()
    known = judged(list(search.first)[:-1], [[0.5 + 0.01 * place] for place in range(FIRST - 1)])
    action = search.next(known)
    assert isinstance(action, New)
    assert SPACE.decode(action.genes) == list(search.first)[-1]


def test_a_network_that_broke_a_limit_is_not_proposed_again() -> None:
    search = cascade()
    networks = list(search.first)
    known = judged(networks[1:], [[0.5 + 0.01 * place] for place in range(FIRST - 1)])
    for _ in range(5):
        action = search.next(known, seen={network.key for network in networks})
        if isinstance(action, New):
            assert SPACE.decode(action.genes) != networks[0]


def test_proposals_keep_the_limit_and_are_new() -> None:
    search = cascade()
    networks = list(search.first)
    known = judged(networks, [[0.8 + 0.01 * place] for place in range(FIRST)])
    for _ in range(10):
        action = search.next(known)
        if isinstance(action, New):
            network = SPACE.decode(action.genes)
            assert cost(network).macs <= 1_000_000
            assert network not in networks


def test_the_same_seed_does_the_same() -> None:
    first, second = cascade(3), cascade(3)
    known = judged(list(first.first), [[0.7 + 0.02 * place] for place in range(FIRST)])
    assert [first.next(known) for _ in range(3)] == [second.next(known) for _ in range(3)]


def test_no_network_is_trained_more_often_than_it_tells() -> None:
    search = cascade()
    tops = [[0.7 + 0.02 * place] * MOST_TRAININGS for place in range(FIRST)]
    known = judged(list(search.first), tops)
    assert not any(isinstance(search.next(known), Again) for _ in range(10))


def test_it_ends_where_the_front_in_hand_lacks_less_than_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    search = cascade()
    known = judged(list(search.first), [[0.7 + 0.02 * place] for place in range(FIRST)])
    assert search.next(known) is not None
    monkeypatch.setattr(cascade_module, "TOLERANCE", 1.0)
    assert search.next(known) is None
    assert search.settled
    assert "settled" in search.ending()


def test_with_one_network_judged_and_the_rest_running_it_waits() -> None:
    search = cascade()
    known = judged(list(search.first), [[0.8]] * FIRST)
    running = [Repeat(record, 1) for record in known[1:]]
    assert search.next(known[:1], running=running) is None
    assert not search.settled


def test_a_latency_limit_keeps_slow_networks_out_of_sight() -> None:
    def latency_of(architecture: Architecture) -> Latency:
        milliseconds = cost(architecture).macs / 1e6
        return Latency(milliseconds, milliseconds, milliseconds, milliseconds, "ok", "device")

    goals = parse_goals("accuracy,latency", {"latency": "0.5ms"})
    search = Cascade(SPACE, goals, latency_of, random.Random(0))
    assert search.spread
    assert max(cost(network).macs for network in search.spread) <= 500_000


@pytest.mark.parametrize("tops", [[[0.9]], []])
def test_less_than_two_networks_tell_nothing(tops: list[list[float]]) -> None:
    search = cascade()
    networks = list(search.first)
    known = judged(networks[: len(tops)], tops)
    refused = {network.key for network in networks}
    assert search.next(known, seen=refused) is None


def test_a_cascading_search_repeats_itself_judges_nothing_twice_and_ends_at_its_total(
    tmp_path: Path,
) -> None:
    found = []
    for _ in range(2):
        run = fake_run(tmp_path, objectives="accuracy,macs", trials=18, repeats=0, sampler="cascade")
        judge_trials(run, FakePool(run, 1), Shown())
        records = run.records()
        keys = [record.key for record in records if record.state == "judged"]
        assert len(set(keys)) == len(keys) <= 18
        assert {record.state for record in records} == {"judged"}
        assert {record.source for record in records} == {"cascade"}
        found.append([(record.key, len(record.trainings)) for record in records])
    assert found[0] == found[1]


def test_a_cascade_without_predicted_latencies_is_refused(tmp_path: Path) -> None:
    run = fake_run(tmp_path, objectives="accuracy,latency", sampler="cascade", latency_from="measurements")
    with pytest.raises(GoalError, match="--sampler cascade needs predicted latencies"):
        judge_trials(run, FakePool(run, 1), Shown())


def test_a_cascade_for_a_reward_believes_less_of_slow_networks() -> None:
    def latency_of(architecture: Architecture) -> Latency:
        raise AssertionError(f"{architecture.key} was measured")

    search = Cascade(SPACE, parse_goals("reward:0.1ms", {}), latency_of, random.Random(0))
    networks = list(search.first)[:2]
    known = {}
    for record, milliseconds in zip(judged(networks, [[0.8], [0.8]]), (0.4, 0.1), strict=True):
        measured = Latency(milliseconds, milliseconds, milliseconds, milliseconds, "ok", "device")
        known[record.key] = replace(record, latency=measured)
    outlook = search._outlook(networks, known)
    assert outlook.costs.shape == (2, 0)
    # four times the target, and the target; both accuracies are believed to be 0.8
    assert outlook.mean[0] / outlook.mean[1] == pytest.approx(4**-0.07, rel=0.01)
    assert outlook.draws.mean(0) == pytest.approx(outlook.mean, rel=0.05)
