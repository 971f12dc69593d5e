import signal
from collections import Counter
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from rich.console import Console

from bneck.evaluate import Accuracy
from bneck.evaluate.train import TrainingFailedError
from bneck.results import Baseline, Run
from bneck.search import proposals, worker
from bneck.search.loop import Pool, check_front, judge_baselines, judge_trials, result_of
from bneck.search.progress import PlainProgress
from bneck.search_space import (
    Architecture,
    BneckError,
    NoFeasibleNetworkError,
    RunError,
    cost,
    load_space,
)

from ..results.example_run import BASELINE
from .helpers import FOUR, FakePool, Shown, fake_accuracy, fake_latency, fake_run

LIMITS = {"macs": "25K", "latency": "0.4x"}


def keys(run: Run, state: str) -> list[str]:
    return [record.key for record in run.records() if record.state == state]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_exactly_the_wanted_number_of_networks_is_judged(tmp_path: Path, workers: int) -> None:
    run = fake_run(tmp_path, limits=LIMITS, trials=7)
    pool = FakePool(run, workers)
    judge_trials(run, pool, Shown())
    judged = keys(run, "judged")
    assert len(set(judged)) == len(judged) == 7
    assert sorted(network.key for network in pool.asked_for(worker.train_network)) == sorted(judged)
    assert {trial.state for trial in run.study.trials} <= {TrialState.COMPLETE, TrialState.FAIL}


def test_no_more_networks_are_under_way_than_there_are_workers_or_networks_wanted(tmp_path: Path) -> None:
    run = fake_run(tmp_path, trials=5)
    shown = Shown()
    judge_trials(run, FakePool(run, 3), shown)
    assert max(len(status.doing) for status in shown.statuses) == 3
    assert all(len(status.doing) <= 5 - status.done for status in shown.statuses)


def test_a_network_that_breaks_a_limit_is_never_trained_and_over_the_macs_not_even_measured(
    tmp_path: Path,
) -> None:
    run = fake_run(tmp_path, limits=LIMITS, trials=7)
    pool = FakePool(run, 2)
    judge_trials(run, pool, Shown())
    measured, trained = pool.asked_for(worker.measure), pool.asked_for(worker.train_network)
    assert max(cost(network).macs for network in measured) <= 25_000
    assert max(fake_latency(network).ratio for network in trained) <= 0.4
    assert len(measured) > len(trained)
    assert len(keys(run, "infeasible")) > len(measured) - len(trained)


def test_what_was_measured_and_trained_is_what_is_kept(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits=LIMITS, trials=4)
    judge_trials(run, FakePool(run, 2), Shown())
    for record in run.records():
        if record.state == "judged":
            assert record.accuracy == fake_accuracy(record.architecture)
            assert record.latency == fake_latency(record.architecture)


def test_a_search_that_goes_on_judges_only_what_is_missing(tmp_path: Path) -> None:
    run = fake_run(tmp_path, trials=3)
    judge_trials(run, FakePool(run, 2), Shown())
    first = keys(run, "judged")
    longer = fake_run(tmp_path, trials=8)
    vars(longer)["study"] = run.study
    pool = FakePool(longer, 2)
    judge_trials(longer, pool, Shown())
    assert len(pool.asked_for(worker.train_network)) == 5
    assert keys(longer, "judged")[:3] == first
    assert len(set(keys(longer, "judged"))) == 8
    pool = FakePool(longer, 2)
    judge_trials(longer, pool, Shown())
    assert pool.asked == []


def test_a_training_that_fails_is_noted_and_does_not_count(tmp_path: Path) -> None:
    failing: set[str] = set()

    def every_third_fails(architecture: Architecture) -> Accuracy:
        if int(architecture.key, 16) % 3 == 0:
            failing.add(architecture.key)
            raise TrainingFailedError("the loss of epoch 2 is nan")
        return fake_accuracy(architecture)

    run = fake_run(tmp_path, trials=12)
    shown = Shown()
    judge_trials(run, FakePool(run, 2, accuracy_of=every_third_fails), shown)
    failed = [record for record in run.records() if record.state == "failed"]
    assert {record.key for record in failed} == failing
    assert {record.error for record in failed} == {"the loss of epoch 2 is nan"}
    assert len(keys(run, "judged")) == 12
    assert shown.statuses[-1].failed == len(failed) > 0
    states = {trial.state for trial in run.study.trials if trial.user_attrs["state"] == "failed"}
    assert states == {TrialState.FAIL}


def test_a_space_that_is_exhausted_ends_the_search_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bneck.search.proposals.GIVE_UP_AFTER", 100)
    run = fake_run(tmp_path, FOUR, trials=9)
    shown = Shown()
    judge_trials(run, FakePool(run, 3), shown)
    assert len(keys(run, "judged")) == 4
    assert shown.lines == ["every network of space small has been proposed"]


def test_limits_of_latency_that_nothing_keeps_end_the_search(tmp_path: Path) -> None:
    # 0.15x is the fastest of the space
    run = fake_run(tmp_path, limits={"latency": "0.1x"}, trials=3)
    with pytest.raises(NoFeasibleNetworkError):
        judge_trials(run, FakePool(run, 2), Shown())
    assert keys(run, "judged") == []


def test_a_search_that_finds_nothing_new_ends_with_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # few networks of tiny have the least MACs there are, 41,472, and it has far too many to try them all
    monkeypatch.setattr(proposals, "GIVE_UP_AFTER", 60)
    run = fake_run(tmp_path, load_space("tiny"), {"macs": "41.5K"}, trials=1000)
    shown = Shown()
    judge_trials(run, FakePool(run, 2), shown)
    found = keys(run, "judged")
    assert 1 <= len(found) < 100
    assert keys(run, "running") == []
    assert [line.split(":")[0] for line in shown.lines] == ["no more networks"]
    assert "limits: macs <= 41.5K" in shown.lines[0]


def test_trainings_that_fail_one_after_another_end_the_search(tmp_path: Path) -> None:
    def fails(architecture: Architecture) -> Accuracy:
        raise TrainingFailedError("the loss of epoch 1 is nan")

    run = fake_run(tmp_path, trials=20)
    with pytest.raises(
        RunError, match=r"^10 trainings in a row failed, .* epoch 1 is nan; .*--learning-rate$"
    ):
        judge_trials(run, FakePool(run, 2, accuracy_of=fails), Shown())
    assert len(keys(run, "failed")) == 10


def test_the_status_counts_what_happened(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits=LIMITS, trials=9)
    shown = Shown()
    judge_trials(run, FakePool(run), shown)
    first, last = shown.statuses[0], shown.statuses[-1]
    assert (first.phase, first.done, first.total, first.latest, first.best) == ("judging", 0, 9, None, None)
    assert first.doing == (f"measures trial {first.infeasible + first.repeats}",)
    states = Counter(record.state for record in run.records())
    assert (last.done, last.infeasible, last.repeats) == (9, states["infeasible"], states["repeat"])
    assert last.front == len(run.front())
    judged = [record for record in run.records() if record.state == "judged"]
    assert last.latest is not None
    assert last.latest.trial == judged[-1].trial
    assert last.best is not None
    assert last.best.accuracy == max((fake_accuracy(r.architecture) for r in judged), key=lambda a: a.top1)
    assert last.doing == ()
    assert any("trains trial" in job for status in shown.statuses for job in status.doing)


def plain_lines(run: Run, workers: int) -> list[str]:
    text = StringIO()
    judge_trials(run, FakePool(run, workers), PlainProgress(Console(file=text, width=200)))
    return text.getvalue().splitlines()


def test_a_plain_terminal_gets_a_line_for_every_network_judged(tmp_path: Path) -> None:
    run = fake_run(tmp_path, trials=4)
    lines = plain_lines(run, 1)
    assert [line.split(":")[0].split(";")[0] for line in lines] == [f"judging {n}/4" for n in range(5)]
    assert [f"trial {record.trial}," in line for record, line in zip(run.records(), lines[1:], strict=True)]


def test_networks_that_are_finished_together_have_a_line_each(tmp_path: Path) -> None:
    lines = plain_lines(fake_run(tmp_path, trials=4), 2)
    assert [line.split(":")[0].split(";")[0] for line in lines] == [f"judging {n}/4" for n in range(5)]
