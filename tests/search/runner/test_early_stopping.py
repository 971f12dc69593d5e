"""Searches with rungs at 1, 2 and 4 epochs, whose accuracies are made up."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from bneck.evaluate import Accuracy, Recipe
from bneck.results import Run
from bneck.results.store.fidelities import EpochsSpent, Rungs
from bneck.search.console.front_table import epochs_spent_message, print_front, start_message, timeout_message
from bneck.search.console.progress import PlainProgress, Status, TimeEstimator, trial_summary
from bneck.search.parallel.deadline import Deadline
from bneck.search.runner import worker
from bneck.search.runner.loop import run_trials
from bneck.search.runner.partial_training import PartialTrainingResult
from bneck.search.runner.replication import replicate_front
from bneck.search.runner.session import resume
from bneck.search_space import Architecture, RunError
from bneck.search_space.errors import NonFiniteLossError

from ...results.example_run import accuracy
from ..helpers import FakePool, Shown, fake_accuracy, fake_run, give_model, run_on_disk

RUNGS = Rungs((1, 2, 4))
MEANS: dict[str, Any] = {"rungs": RUNGS, "recipe": Recipe(epochs=4)}
RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def run_of(folder: Path, objectives: str = "accuracy", **changes: Any) -> Run:
    return fake_run(folder, objectives=objectives, **{**MEANS, **changes})


@dataclass
class Trained:
    """Accuracies in the order in which networks are begun; each rung adds a hundredth.

    Attributes:
        order: number of the network and its epochs, for every training.
    """

    accuracies: Sequence[float]

    def __post_init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.order: list[tuple[int, int]] = []

    def first(self, architecture: Architecture) -> Accuracy:
        number = self.numbers.setdefault(architecture.key, len(self.numbers))
        self.order.append((number, 1))
        return accuracy(self.accuracies[number])

    def on(self, architecture: Architecture, epochs: int) -> PartialTrainingResult:
        number = self.numbers[architecture.key]
        self.order.append((number, epochs))
        return PartialTrainingResult(accuracy(self.accuracies[number] + 0.01 * epochs))

    def pool(self, run: Run, workers: int = 1) -> FakePool:
        return FakePool(run, workers, accuracy_of=self.first, rung_of=self.on)


def networks_by_rung(run: Run) -> dict[int, int]:
    epochs_spent = run.epochs_spent()
    assert epochs_spent
    return dict(epochs_spent.networks_by_rung)


def states(run: Run) -> Counter[tuple[str, int]]:
    return Counter((each.state, each.epochs) for each in run.records() if each.is_evaluated)


def test_where_each_network_is_better_than_all_before_it_goes_on_at_once(tmp_path: Path) -> None:
    run, trained = run_of(tmp_path, n_trials=4), Trained(RISING)
    run_trials(run, trained.pool(run), Shown())
    # Of 2 networks the better goes on, of 3 one may, of 4 two; of 2 at the second rung one, and of 3 one.
    expected = [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 4), (3, 1), (3, 2), (3, 4)]
    assert trained.order == expected
    assert run.epochs_spent() == EpochsSpent({1: 4, 2: 3, 4: 2})
    assert states(run) == {("stopped", 1): 1, ("stopped", 2): 1, ("complete", 4): 2}


def test_where_each_network_is_worse_than_all_before_half_go_on(tmp_path: Path) -> None:
    run, trained = run_of(tmp_path, n_trials=4), Trained(RISING[3::-1])
    run_trials(run, trained.pool(run), Shown())
    assert trained.order == [(0, 1), (1, 1), (0, 2), (2, 1), (3, 1), (1, 2), (0, 4)]
    assert [each.key for each in run.front()] == [run.records()[0].key]


def test_one_network_at_least_is_trained_to_the_end(tmp_path: Path) -> None:
    run, trained = run_of(tmp_path, n_trials=1), Trained(RISING)
    run_trials(run, trained.pool(run, workers=3), Shown())
    assert trained.order == [(0, 1), (0, 2), (0, 4)]
    [record] = run.front()
    assert (record.state, record.top1) == ("complete", pytest.approx(0.14))


@pytest.mark.parametrize("workers", [2, 5])
def test_no_worker_trains_a_network_to_the_same_rung_twice(tmp_path: Path, workers: int) -> None:
    run = run_of(tmp_path, "accuracy,latency", n_trials=16)
    pool = FakePool(run, workers)
    run_trials(run, pool, Shown())
    further = pool.asked_for(worker.train_to_rung)
    assert len(further) == len(set(further))
    assert len(pool.asked_for(worker.train_network)) == 16
    assert networks_by_rung(run)[1] == 16
    assert networks_by_rung(run)[2] >= 8
    assert networks_by_rung(run)[4] >= 4
    assert all(each.state == "complete" for each in run.front())


def test_the_study_is_told_the_lowest_rung_and_the_time_of_all_rungs_is_added_up(tmp_path: Path) -> None:
    run, trained = run_of(tmp_path, n_trials=4), Trained(RISING)
    run_trials(run, trained.pool(run), Shown())
    assert [trial.values for trial in run.study.trials] == [[0.1], [0.2], [0.3], [0.4]]
    # A second each; the last went over three rungs.
    assert [each.accuracy and each.accuracy.seconds for each in run.records()] == [1, 2, 3, 3]


def test_what_breaks_a_limit_is_told_as_bad_as_the_worst_at_the_lowest_rung(tmp_path: Path) -> None:
    run = run_of(tmp_path, "accuracy,latency", n_trials=8, limits={"latency": "0.4x"})
    pool = FakePool(run, rung_of=lambda network, _: PartialTrainingResult(accuracy(0.01)))
    run_trials(run, pool, Shown())
    told = [trial.values[0] for trial in run.study.trials if trial.user_attrs["state"] == "infeasible"]
    assert told
    assert min(told) > 0.01


class KilledError(Exception):
    """As if the process had been killed."""


def test_a_search_that_was_killed_goes_on_from_the_rungs_that_were_reached(tmp_path: Path) -> None:
    run, trained = run_of(tmp_path, n_trials=8), Trained(RISING)

    def killed(architecture: Architecture, epochs: int) -> PartialTrainingResult:
        if len(trained.order) == 7:
            raise KilledError
        return trained.on(architecture, epochs)

    with pytest.raises(KilledError):
        run_trials(run, FakePool(run, accuracy_of=trained.first, rung_of=killed), Shown())
    assert trained.order[-1] == (3, 1)  # killed while trial 3 went on to 2 epochs
    again = run_of(tmp_path, n_trials=8)
    vars(again)["study"] = run.study
    run_trials(again, trained.pool(again), Shown())
    assert len(set(trained.order)) == len(trained.order)
    assert trained.order[7:9] == [(3, 2), (3, 4)]
    spent = again.epochs_spent()
    assert spent and dict(spent.networks_by_rung) == {1: 8, 2: 7, 4: 6}
    # the simulated accuracy grows alike for all
    assert [each.spearman for each in spent.correlations] == [1, 1]


def test_more_trials_train_on_networks_that_were_stopped(tmp_path: Path) -> None:
    run, trained = run_of(tmp_path, n_trials=4), Trained([0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
    run_trials(run, trained.pool(run), Shown())
    assert states(run)["stopped", 1] == 2
    longer = run_of(tmp_path, n_trials=6)
    vars(longer)["study"] = run.study
    trained.order.clear()
    run_trials(longer, trained.pool(longer), Shown())
    assert trained.order == [(4, 1), (5, 1), (2, 2)]  # of 6, three go on; of 3 at the next rung one


def test_a_pause_that_is_gone_is_told_in_a_line(tmp_path: Path) -> None:
    run, shown = run_of(tmp_path, n_trials=1), Shown()
    pool = FakePool(
        run, rung_of=lambda network, _: PartialTrainingResult(fake_accuracy(network), "x: is missing")
    )
    run_trials(run, pool, shown)
    assert shown.lines == ["trial 0 was trained from the start again: x: is missing"] * 2


def test_the_pause_of_a_network_at_the_top_is_removed_and_no_other(tmp_path: Path) -> None:
    run = run_of(tmp_path, n_trials=4)
    (tmp_path / "checkpoints").mkdir()

    def partial_checkpoint(architecture: Architecture) -> Accuracy:
        run.partial_checkpoint(architecture).write_text("5 B  ")
        return fake_accuracy(architecture)

    run_trials(run, FakePool(run, accuracy_of=partial_checkpoint), Shown())
    stopped = [run.partial_checkpoint(each.architecture) for each in run.records() if each.state == "stopped"]
    assert run.partial_checkpoints() == sorted(stopped)
    assert f"{tmp_path / 'checkpoints'}/*.paused ({5 * len(stopped)}B)" in epochs_spent_message(run)


def test_a_training_that_fails_on_the_way_stays_where_it_was_and_is_not_tried_again(tmp_path: Path) -> None:
    run, trained, shown = run_of(tmp_path, n_trials=4), Trained(RISING), Shown()

    def first_fails(architecture: Architecture, epochs: int) -> PartialTrainingResult:
        networks_by_rung = trained.on(architecture, epochs)
        if trained.numbers[architecture.key] == 1:
            raise NonFiniteLossError("the loss of epoch 2 is nan")
        return networks_by_rung

    run_trials(run, FakePool(run, accuracy_of=trained.first, rung_of=first_fails), shown)
    assert trained.order.count((1, 2)) == 1
    second = run.records()[1]
    assert (second.state, second.epochs, second.error) == ("stopped", 1, "the loss of epoch 2 is nan")
    [line] = shown.lines
    assert ("trial 1" in line, "2 epochs" in line, second.error in line) == (True, True, True)


def test_where_every_training_fails_on_the_way_that_is_told(tmp_path: Path) -> None:
    def fails(*_: object) -> PartialTrainingResult:
        raise NonFiniteLossError("the loss of epoch 2 is nan")

    run = run_of(tmp_path, n_trials=3)
    with pytest.raises(RunError, match=r"4 epochs.*the loss of epoch 2 is nan"):
        run_trials(run, FakePool(run, rung_of=fails), Shown())


def clock_of(*seconds: float) -> Callable[[], float]:
    """A clock that shows these, and the last one for ever."""
    times: Iterator[float] = chain(seconds, repeat(seconds[-1]))
    return lambda: next(times)


def test_when_the_time_is_up_nothing_goes_on_but_one_network_to_the_end(tmp_path: Path) -> None:
    run, trained = run_of(tmp_path, n_trials=8), Trained(RISING[::-1])
    # It is set, then asked before each training; that of network 1 on to 2 epochs would be the next.
    limit = Deadline(1, clock_of(0, 1, 2, 3, 4, 5, 61))
    run_trials(run, trained.pool(run), Shown(), limit)
    assert trained.order == [(0, 1), (1, 1), (0, 2), (2, 1), (3, 1), (0, 4)]
    assert limit.work_was_skipped
    assert "4 of 8 networks" in timeout_message(run, 1)


def test_with_rungs_whatever_is_trained_was_measured_before(tmp_path: Path) -> None:
    run = run_of(tmp_path, "accuracy,latency", n_trials=6, limits={"latency": "0.9x"}, latency_policy="both")
    give_model(run, 0.3)
    pool = FakePool(run)
    run_trials(run, pool, Shown())
    begun = [(step, network) for step, network, *epochs in pool.asked if not epochs]
    for (first, measured), (then, trained) in zip(begun[::2], begun[1::2], strict=True):
        assert (first, then, measured) == (worker.measure, worker.train_network, trained)
    assert {each.latency.source for each in run.records() if each.latency} == {"measured"}


def test_repeats_are_of_networks_at_the_top(tmp_path: Path) -> None:
    run = run_of(tmp_path, "accuracy,latency", n_trials=24, replicates=6)
    pool = FakePool(run, 2)
    run_trials(run, pool, Shown())
    replicate_front(run, pool, Shown())
    again = {network.key for network, _ in pool.asked_for(worker.train_replicate)}
    assert again
    assert again <= {each.key for each in run.records() if each.state == "complete"}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_every_sampler_has_its_networks_stopped(tmp_path: Path, sampler: str) -> None:
    run = run_of(tmp_path, "accuracy,macs", n_trials=18, sampler=sampler)
    pool = FakePool(run, 2)
    run_trials(run, pool, Shown())
    assert networks_by_rung(run)[1] == 18
    assert run.front()
    assert pool.asked_for(worker.train_replicate) == []


@pytest.mark.slow
def test_what_was_cut_off_between_the_verdict_and_the_telling_is_told_as_of_the_lowest_rung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_on_disk(tmp_path / "run", objectives="accuracy", n_trials=2, **MEANS)

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(optuna.Study, "tell", killed)
        run_trials(run, FakePool(run), Shown())
    resumed = resume(run.folder, None)
    [record], [trial] = resumed.records(), resumed.study.trials
    assert (record.state, record.epochs) == ("stopped", 1)
    assert trial.values == [fake_accuracy(record.architecture).top1]
    with pytest.raises(RunError, match="must be at least"):
        run_trials(resumed, FakePool(resumed), Shown())
        resume(run.folder, 1)


def test_epochs_under_way_are_still_expected_where_no_more_were_due(tmp_path: Path) -> None:
    run, trained, shown = run_of(tmp_path, n_trials=4), Trained(RISING), Shown()
    run_trials(run, trained.pool(run), shown)
    # 4 networks, 2 and 1 of them on: 4 + 2 + 2; the last training is a second one from 2 to 4.
    assert shown.statuses[0].epochs == (0, 8)
    assert [status.epochs for status in shown.statuses if status.active_jobs][-1] == (9, 11)


def test_the_time_left_is_told_from_the_epochs_still_expected() -> None:
    times = clock_of(100, 110)
    pace = TimeEstimator(times)
    status = Status("evaluating", 4, 8, epochs=(4, 14))
    assert pace.seconds_left(status) is None
    assert pace.seconds_left(replace(status, done=6, epochs=(9, 14))) == 10  # 5 epochs in 10 s, 5 to go


def test_a_plain_line_tells_each_rung(tmp_path: Path) -> None:
    run, trained, printed = run_of(tmp_path, n_trials=2), Trained(RISING), StringIO()
    run_trials(run, trained.pool(run), PlainProgress(Console(file=printed, width=300)))
    lines = [line.split(": ", 1)[-1] for line in printed.getvalue().splitlines()]
    lines = [line for line in lines if line.startswith("trial ")]
    assert lines[0].startswith("trial 0, 1 epoch, 10.0%")
    assert "; 2 at 1 epoch, 1 at 2, 0 at 4; " in lines[2]
    assert lines[3].startswith("trial 1, 4 epochs, 24.0%")
    assert lines[3].endswith("2 at 1 epoch, 1 at 2, 1 at 4; 0 s left")
    assert "epoch" not in trial_summary(replace(run.records()[0], rung_accuracies={}))


def test_the_front_ends_with_what_was_stopped_and_the_opening_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path, n_trials=4)
    assert "1 in 2 promoted after 1 and 2 of 4 epochs" in start_message(run)
    assert epochs_spent_message(run) == ""
    run_trials(run, Trained(RISING).pool(run), Shown())
    print_front(run)
    counts = "4 at 1 epoch, 3 at 2, 2 at 4; 11 epochs instead of 16"  # 4 + 3 + 2 x 2
    assert counts in capsys.readouterr().out
