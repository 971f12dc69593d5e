"""Trainings with other seeds: which network, which seed, and what is kept of them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate import Accuracy, Epoch, parse_goals
from bneck.results import Record, Run, pareto_front
from bneck.search.parallel.deadline import Deadline
from bneck.search.runner import worker
from bneck.search.runner.loop import run_trials
from bneck.search.runner.replication import (
    REPLICATE_EVERY,
    ReplicationScheduler,
    next_to_replicate,
    replicate_front,
)
from bneck.search_space import Architecture, RunError, ScorerError, cost
from bneck.search_space.errors import NonFiniteLossError

from ...results.example_run import Row, accuracy, record
from ..helpers import SMALL, FakePool, Shown, every_network, fake_accuracy, fake_run, run_on_disk

ACCURACY, TWO = parse_goals("accuracy", {}), parse_goals("accuracy,latency", {})
Again = Callable[[Architecture, int], Accuracy]


def trained(number: int, *top1: float, ratio: float = 0.3) -> Record:
    """A network with these accuracies, by seeds 0, 1, ..."""
    first, *more = (replace(accuracy(each), seed=seed) for seed, each in enumerate(top1))
    return replace(record(number, Row("complete", 0.5, ratio)), accuracy=first, replicates=tuple(more))


def noisy(std: float) -> Again:
    """An accuracy that rises with MACs, and moves with the seed by so much."""

    def again(network: Architecture, seed: int) -> Accuracy:
        chance = random.Random(f"{network.key} {seed}").gauss(0, std)
        return replace(accuracy(0.5 + cost(network).macs / 1e6 + chance), seed=seed)

    return again


def search(run: Run, again: Again, workers: int = 1, limit: Deadline | None = None) -> FakePool:
    def first(network: Architecture) -> Accuracy:
        return again(network, run.settings.training_seed(network.key))

    pool = FakePool(run, workers, accuracy_of=first, again_of=again)
    run_trials(run, pool, Shown(), limit)
    return pool


def asked(pool: FakePool) -> list[tuple[str, int]]:
    """Keys and seeds of the repeats, in order."""
    return [(network.key, seed) for network, seed in pool.asked_for(worker.train_replicate)]


# ---------------------------------------------------------------------------------- which network


def test_the_network_that_may_or_may_not_be_the_best_is_trained_again() -> None:
    # 1 and 2 are level, 1 with more trainings behind it; 0 is far off and 3 farther
    records = [
        trained(0, 0.60, 0.61),
        trained(1, 0.80, 0.81, 0.80, 0.79),
        trained(2, 0.80),
        trained(3, 0.40, 0.41),
    ]
    chosen = next_to_replicate(records, ACCURACY, {})
    assert chosen == records[2]


def test_a_network_that_is_surely_on_the_front_is_left_alone() -> None:
    # 0 is by far the cheapest, 1 by far the most accurate; nothing is open
    records = [trained(0, 0.60, 0.61, ratio=0.1), trained(1, 0.90, 0.91, 0.9), trained(2, 0.5, ratio=0.2)]
    assert next_to_replicate(records, TWO, {}) is None


def test_a_beaten_network_that_may_have_been_unlucky_is_trained_again_too() -> None:
    records = [trained(0, 0.60, 0.61, ratio=0.1), trained(1, 0.80, 0.81, 0.80, 0.81), trained(2, 0.803)]
    assert records[2] not in pareto_front(records, TWO.objectives)
    assert next_to_replicate(records, TWO, {}) == records[2]


def test_of_equals_the_one_with_the_fewest_trainings_under_way_is_next() -> None:
    records = [trained(0, 0.80, 0.82, 0.81), trained(1, 0.82, 0.80, 0.81)]
    first = next_to_replicate(records, ACCURACY, {})
    assert first is not None
    second = next_to_replicate(records, ACCURACY, {first.key: 2})
    assert {first.key, second.key if second else ""} == {each.key for each in records}


def test_while_the_noise_is_unknown_networks_are_replicated_in_the_order_of_trials() -> None:
    records = [trained(2, 0.8), trained(1, 0.9), trained(0, 0.7, ratio=0.1), trained(3, 0.85)]
    order = []
    busy: dict[str, int] = {}
    for _ in range(5):
        chosen = next_to_replicate(records, TWO, busy)
        assert chosen is not None
        order.append(chosen.trial)
        busy[chosen.key] = busy.get(chosen.key, 0) + 1
    assert order == [0, 1, 2, 3, 0]


def test_where_accuracy_is_no_objective_nothing_is_trained_again() -> None:
    goals = parse_goals("latency,macs", {})
    records = [trained(0, 0.8, 0.9), trained(1, 0.85)]
    assert next_to_replicate(records, goals, {}) is None


# ------------------------------------------------------------------------- how many, and when


@pytest.mark.parametrize(("replicates", "expected"), [(0, 0), (2, 1), (6, 3), (100, 24 // REPLICATE_EVERY)])
def test_a_few_are_spent_during_the_search_half_of_all_at_most(
    tmp_path: Path, replicates: int, expected: int
) -> None:
    run = fake_run(tmp_path, n_trials=25, replicates=replicates)
    assert len(asked(search(run, noisy(0.02)))) == expected


@pytest.mark.parametrize("workers", [1, 4])
def test_no_more_are_trained_than_the_run_has_and_none_twice(tmp_path: Path, workers: int) -> None:
    run = fake_run(tmp_path, n_trials=16, replicates=9)
    pool = search(run, noisy(0.05), workers)
    spent = replicate_front(run, pool, Shown())
    found = asked(pool)
    assert len(found) == len(set(found)) == 9
    assert spent == 9 - 1
    assert sum(map(len, run.replicates().values())) == 9


def test_no_two_trainings_share_a_seed_and_another_session_has_the_same(tmp_path: Path) -> None:
    def seeds(folder: Path) -> list[tuple[str, int]]:
        run = fake_run(folder, n_trials=16, replicates=9, seed=7)
        pool = search(run, noisy(0.05))
        replicate_front(run, pool, Shown())
        first = [(record.key, run.settings.training_seed(record.key)) for record in run.completed_records()]
        return sorted(first + asked(pool))

    found = seeds(tmp_path / "one")
    assert len({seed for _, seed in found}) == len(found) == 16 + 9
    assert seeds(tmp_path / "two") == found


def test_repeats_that_are_equal_by_luck_do_not_end_the_search_for_noise() -> None:
    records = [trained(0, 0.80, 0.80), trained(1, 0.70, 0.70), trained(2, 0.79)]
    assert next_to_replicate(records, ACCURACY, {}) == records[2]


def test_a_front_that_is_settled_spends_no_more(tmp_path: Path) -> None:
    # without any noise three repeats show that there is none
    run = fake_run(tmp_path, n_trials=8, replicates=20)
    pool = search(run, noisy(0.0))
    replicate_front(run, pool, Shown())
    assert 3 <= len(asked(pool)) < 7


def test_the_record_and_the_front_follow_the_mean(tmp_path: Path) -> None:
    # the luckiest of the first trainings falls behind once it is trained again
    lucky = next(iter(every_network(SMALL).values()))
    run = fake_run(tmp_path, objectives="accuracy", n_trials=6, replicates=6, seed=7)
    lucky_seed = run.settings.training_seed(lucky.key)

    def again(network: Architecture, seed: int) -> Accuracy:
        top1 = 0.95 if (network == lucky and seed == lucky_seed) else 0.5 if network == lucky else 0.8
        return replace(accuracy(top1), seed=seed)

    run.study.enqueue_trial(SMALL.encode(lucky))
    pool = search(run, again)
    assert run.best().architecture == lucky
    replicate_front(run, pool, Shown())
    assert run.best().architecture != lucky
    found = next(each for each in run.records() if each.architecture == lucky)
    assert found.accuracy is not None
    assert found.accuracy.top1 == 0.95
    assert found.top1 == pytest.approx((0.95 + 0.5 * len(found.replicates)) / len(found.trainings))


def test_the_search_itself_sees_the_mean(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=12, replicates=4)
    shown = Shown()
    pool = FakePool(run, again_of=lambda network, seed: replace(accuracy(0.0), seed=seed))
    run_trials(run, pool, shown)
    assert len(asked(pool)) == 1
    [(key, _)] = asked(pool)
    [told] = [each for each in run.completed_records() if each.key == key]
    assert told.top1 == pytest.approx(fake_accuracy(told.architecture).top1 / 2)
    best = shown.statuses[-1].best
    assert best is not None
    values = [each.estimated_accuracy.value for each in run.completed_records()]
    assert best.estimated_accuracy.value == pytest.approx(max(values))


# ------------------------------------------------------------------- what fails, and going on


@pytest.mark.parametrize("error", [NonFiniteLossError("the loss is nan"), ScorerError("has no row")])
def test_a_repeat_that_fails_is_told_and_not_tried_again(tmp_path: Path, error: Exception) -> None:
    def fails(network: Architecture, seed: int) -> Accuracy:
        raise error

    run = fake_run(tmp_path, n_trials=4, replicates=3)
    run_trials(run, FakePool(run), Shown())
    shown, pool = Shown(), FakePool(run, again_of=fails)
    assert replicate_front(run, pool, shown) == 3
    assert (run.replicates(), len(run.failed_replicates())) == ({}, 3)
    assert set(run.failed_replicates().values()) == {str(error)}
    assert all(line.endswith(f": {error}") for line in shown.lines)
    assert len(shown.lines) == 3
    assert len(set(asked(pool))) == 3
    later = FakePool(run)
    assert replicate_front(run, later, Shown()) == 0
    assert later.asked == []


def test_a_search_that_was_stopped_goes_on_with_the_repeats_that_are_left(tmp_path: Path) -> None:
    class Stopped(FakePool):
        def wait(self, pending: Any) -> Any:
            if len(self.asked) > 3:
                raise KeyboardInterrupt
            return super().wait(pending)

    run = fake_run(tmp_path, n_trials=6, replicates=7)
    search(run, noisy(0.05))
    with pytest.raises(KeyboardInterrupt):
        replicate_front(run, Stopped(run, again_of=noisy(0.05)), Shown())
    completed_records = run.replicates()
    assert sum(map(len, completed_records.values())) == 3
    opened = Run(run.folder, run.settings)
    vars(opened)["study"] = run.study
    pool = FakePool(opened, again_of=noisy(0.05))
    assert replicate_front(opened, pool, Shown()) == 4
    found = opened.replicates()
    assert all(found[key][: len(again)] == again for key, again in completed_records.items())
    assert sum(map(len, found.values())) == 7


def test_a_repeat_comes_back_from_the_study_as_it_was(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    again = [replace(accuracy(0.7), seed=seed, curve=(Epoch(1.5, 1.4, 0.6),)) for seed in (8, 10)]
    for each in reversed(again):
        run.store_replicate("abc", each.seed, each)
    run.store_replicate("abc", 9, "the loss is nan")
    opened = Run.open(run.folder)
    assert opened.replicates() == {"abc": tuple(again)}
    assert opened.failed_replicates() == {("abc", 9): "the loss is nan"}
    assert ReplicationScheduler(opened).n_started == 3


def test_a_record_has_the_repeats_of_its_own_network(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=3)
    run_trials(run, FakePool(run), Shown())
    first, *others = run.completed_records()
    run.store_replicate(first.key, 8, replace(accuracy(0.7), seed=8))
    found = {each.key: each.trainings for each in run.completed_records()}
    assert found[first.key] == (first.accuracy, replace(accuracy(0.7), seed=8))
    assert [found[each.key] for each in others] == [(each.accuracy,) for each in others]


def test_workers_train_different_repeats(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=6, replicates=5)
    run_trials(run, FakePool(run), Shown())
    replicates = ReplicationScheduler(run)
    found: Sequence[Any] = [replicates.next_after_search() for _ in range(6)]
    assert found[-1] is None
    assert len({(each.record.key, each.seed) for each in found[:-1]}) == 5
    assert str(found[0]).endswith(f"trial {found[0].record.trial}, seed {found[0].seed}")


# ------------------------------------------------------------------------------ the minutes


class Clock:
    """A minute passes each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 60
        return self.now


def test_when_the_minutes_are_gone_nothing_new_begins_and_what_runs_ends(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=40, replicates=8)
    limit = Deadline(10, Clock())
    pool = search(run, noisy(0.05), 2, limit)
    judged = len(run.completed_records())
    # nine times it was asked before the tenth minute was over, once for each network or repeat
    assert judged + len(asked(pool)) == 9
    assert limit.work_was_skipped
    assert replicate_front(run, pool, Shown(), limit) == 0
    assert len(run.completed_records()) == judged
    assert "running" not in {each.state for each in run.records()}


def test_a_search_that_is_done_in_time_holds_nothing_back(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=3, replicates=2)
    limit = Deadline(60, Clock())
    pool = search(run, noisy(0.05), 1, limit)
    assert replicate_front(run, pool, Shown(), limit) == 2
    late = Deadline(1, Clock())
    assert replicate_front(run, pool, Shown(), late) == 0  # none is left to hold back
    assert not limit.work_was_skipped
    assert not late.work_was_skipped


def test_minutes_too_few_for_one_network_are_told(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=3)
    with pytest.raises(RunError, match=f"1 minutes.*{run.folder} --resume"):
        search(run, noisy(0.05), 1, Deadline(1, Clock()))


def test_without_minutes_there_is_no_limit() -> None:
    assert not Deadline(None, Clock()).blocks_new_work()
