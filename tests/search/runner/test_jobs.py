"""Jobs of a phase, by pools that answer at once, and the attempts that are counted for them."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import optuna
import pytest

from bneck.evaluate import Accuracy
from bneck.results import Run
from bneck.search.console.progress import Status
from bneck.search.runner import worker
from bneck.search.runner.attempts import ATTRIBUTE, EXHAUSTED, Attempts
from bneck.search.runner.jobs import Job, run_jobs
from bneck.search.runner.loop import run_trials
from bneck.search.runner.replication import replicate_front
from bneck.search.runner.session import resume
from bneck.search.runner.verification import evaluate_baselines
from bneck.search_space import Architecture
from bneck.search_space.errors import NonFiniteLossError, WorkerFailedError

from ...results.example_run import BASELINE
from ..helpers import SMALL, FakePool, Shown, every_network, fake_accuracy, fake_run, run_on_disk


class Killed(BaseException):
    """Stands in for SIGKILL: nothing of the process runs afterwards."""


class CallingPool(FakePool):
    """Calls any function that it is given."""

    def submit(self, step: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(step(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study()


def fails(_: object) -> None:
    raise NonFiniteLossError("the loss of epoch 2 is nan")


def dies(_: object) -> None:
    raise WorkerFailedError("its worker process was killed by SIGKILL, 2 times")


def jobs_of(pool: FakePool, kept: list[Any], *steps: Any) -> list[Job]:
    return [Job(pool, step, -3, f"{number}", kept.append) for number, step in enumerate(steps)]


def test_all_jobs_are_done_by_their_pools_and_counted(study: optuna.Study) -> None:
    kept: list[Any] = []
    shown = Shown()
    first, second = CallingPool(None), CallingPool(None)
    run_jobs(
        [*jobs_of(first, kept, abs, str), *jobs_of(second, kept, float)],
        first,
        shown,
        "looking",
        Attempts(study),
    )
    assert sorted(map(str, kept)) == ["-3", "-3.0", "3"]
    assert shown.statuses[0] == Status("looking", 0, 3)
    assert shown.statuses[-1] == Status("looking", 3, 3)
    assert shown.lines == []
    assert study.user_attrs.get(ATTRIBUTE, {}) == {}


def test_without_jobs_nothing_is_shown(study: optuna.Study) -> None:
    shown = Shown()
    run_jobs([], CallingPool(None), shown, "looking", Attempts(study))
    assert shown.statuses == []


def test_a_job_that_fails_costs_a_line_and_one_that_kills_its_worker_is_never_run_again(
    study: optuna.Study,
) -> None:
    for calls in (3, 2):
        kept: list[Any] = []
        shown = Shown()
        jobs = jobs_of(CallingPool(None), kept, fails, dies, abs)
        run_jobs(jobs, jobs[0].pool, shown, "", Attempts(study))
        assert kept == [3]
        killed = "its worker process was killed by SIGKILL, 2 times" if calls == 3 else EXHAUSTED
        assert shown.lines == ["0: the loss of epoch 2 is nan", f"1: {killed}"]


def test_what_else_a_job_raises_is_passed_on(study: optuna.Study) -> None:
    pool = CallingPool(None)
    with pytest.raises(ZeroDivisionError):
        run_jobs([Job(pool, lambda _: 1 // 0, 0, "x", print)], pool, Shown(), "", Attempts(study))


# ------------------------------------------------------------------------------------------ attempts


def test_work_that_ended_the_process_twice_fails_at_the_third_attempt(study: optuna.Study) -> None:
    for count in (1, 2):
        assert Attempts(study).submit("trial a", CallingPool(None), abs, -3).result() == 3
        assert study.user_attrs[ATTRIBUTE] == {
            "trial a": count
        }  # nothing ended or left: the process was killed
    attempts = Attempts(study)
    with pytest.raises(WorkerFailedError):
        attempts.submit("trial a", CallingPool(None), abs, -3).result()
    assert attempts.submit("trial b", CallingPool(None), abs, -3).result() == 3


def test_several_steps_of_one_work_are_one_attempt(study: optuna.Study) -> None:
    attempts = Attempts(study)
    for _ in range(5):
        attempts.submit("trial a", CallingPool(None), abs, -3).result()
    assert study.user_attrs[ATTRIBUTE] == {"trial a": 1}


def test_an_orderly_stop_is_no_attempt(study: optuna.Study) -> None:
    Attempts(study).submit("trial a", CallingPool(None), abs, -3)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt), Attempts(study) as attempts:
            attempts.submit("trial a", CallingPool(None), abs, -3)
            attempts.submit("trial b", CallingPool(None), abs, -3)
            raise KeyboardInterrupt
        assert study.user_attrs[ATTRIBUTE] == {"trial a": 1}


def deadly_trial(folder: Path) -> tuple[Run, Architecture]:
    """A run on disk whose first trial kills the process."""
    run = run_on_disk(folder, n_trials=3)
    deadly = next(iter(every_network(SMALL).values()))
    run.study.enqueue_trial(SMALL.encode(deadly))
    return run, deadly


def test_a_trial_that_kills_the_process_twice_is_failed_and_the_search_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, deadly = deadly_trial(tmp_path / "run")
    calls = 0

    def accuracy_of(network: Architecture) -> Accuracy:
        nonlocal calls
        if network == deadly:
            calls += 1
            raise Killed
        return fake_accuracy(network)

    with monkeypatch.context() as patch:
        patch.setattr(Attempts, "__exit__", lambda *_: None)
        for _ in range(2):
            resumed = resume(run.folder)
            with pytest.raises(Killed):
                run_trials(resumed, FakePool(resumed, accuracy_of=accuracy_of), Shown())
    resumed = resume(run.folder)
    run_trials(resumed, FakePool(resumed, accuracy_of=accuracy_of), Shown())
    [failed] = [record for record in resumed.records() if record.state == "failed"]
    assert (failed.key, failed.error, calls) == (deadly.key, EXHAUSTED, 2)
    assert len(resumed.completed_records()) == 3
    assert resumed.study.user_attrs.get(ATTRIBUTE) == {}


def test_a_trial_whose_worker_died_is_failed_with_the_reason(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=12)

    def every_third_dies(network: Architecture) -> Accuracy:
        if int(network.key, 16) % 3 == 0:
            dies(network)
        return fake_accuracy(network)

    run_trials(run, FakePool(run, 2, accuracy_of=every_third_dies), Shown())
    failed = [record for record in run.records() if record.state == "failed"]
    assert failed
    assert {record.error for record in failed} == {"its worker process was killed by SIGKILL, 2 times"}
    assert len(run.completed_records()) == 12


def test_replicates_and_baselines_that_kill_the_process_are_left_out(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=6, replicates=2, baselines=(BASELINE, "mobilenet_v2@0.35"))
    run_trials(run, FakePool(run), Shown())
    pool = FakePool(run)
    works = [
        f"replicate {record.key} {run.settings.training_seed(record.key, number)}"
        for record in run.records()
        for number in (1, 2)
    ]
    run.study.set_user_attr(ATTRIBUTE, dict.fromkeys([*works, BASELINE], 2))
    replicate_front(run, pool, Shown())
    assert set(run.failed_replicates().values()) == {EXHAUSTED}
    shown = Shown()
    evaluate_baselines(run, pool, shown)
    assert [baseline.name for baseline in run.baselines()] == ["mobilenet_v2@0.35"]
    assert shown.lines == [f"{BASELINE}: {EXHAUSTED}"]
    assert pool.asked_for(worker.train_replicate) == []
