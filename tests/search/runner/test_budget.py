"""A search within a time limit, by a fake clock that its workers advance."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from optuna.trial import TrialState

from bneck.evaluate import Accuracy, Latency, Recipe
from bneck.evaluate.training.step_timing import StepTiming
from bneck.results import Run
from bneck.results.store.fidelities import Rungs
from bneck.results.store.trial import BASELINE_SOURCE
from bneck.search.console.front_table import timeout_message
from bneck.search.parallel.deadline import Deadline
from bneck.search.runner import session, worker
from bneck.search.runner.attempts import ATTRIBUTE
from bneck.search.runner.budget import (
    TimeEstimate,
    baseline_seconds,
    mean_epochs,
    report_seconds,
    verification_seconds,
)
from bneck.search.runner.latency_policy import fit_latency_model, likely_networks
from bneck.search.runner.loop import run_trials
from bneck.search.runner.session import estimate_time, run_session
from bneck.search.runner.verification import evaluate_baselines, verify_front
from bneck.search.samplers.training_time import TrainingTime
from bneck.search_space import (
    Architecture,
    CandidateSpace,
    GoalError,
    Parent,
    RunError,
    SearchSpace,
    cost,
    load_space,
    training_macs,
)
from bneck.search_space.pretrained_space import pretrained_space

from ...results import example_run
from ...results.example_run import BASELINE
from ...search_space.helpers import TOY
from ..helpers import (
    SMALL,
    FakePool,
    FreshPools,
    Shown,
    every_network,
    fake_accuracy,
    fake_latency,
    fake_run,
    fake_settings,
    fresh_pools,
    give_model,
    run_on_disk,
)

PHOTOS = pretrained_space(
    [Parent("toy", replace(TOY, resolution_px=160), (127.0,) * 3, (128.0,) * 3)], dropped_blocks=(0, 1)
).for_data(3, 2)
MEAN_MACS = fmean(map(training_macs, PHOTOS.candidates))
TRAIN_S, MEASURE_S, BASELINE_S = 100.0, 10.0, 400.0


@dataclass
class FakeClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class TimedPool(FakePool):
    """Every step takes its time on the clock, one after the other.

    Attributes:
        stuck: steps for which no result comes.
    """

    clock: FakeClock
    stuck: Callable[[Any], bool]

    @classmethod
    def of(cls, run: Run, clock: FakeClock, stuck: Callable[[Any], bool] = lambda _: False) -> "TimedPool":
        pool = cls(run, 1, latency_of=slow_latency, accuracy_of=slow_accuracy)
        pool.clock, pool.stuck = clock, stuck
        return pool

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        seconds = {worker.measure: MEASURE_S, worker.baseline: BASELINE_S, worker.train_network: TRAIN_S}
        if self.stuck(step):
            self.asked.append((step, *arguments))
            return Future()
        self.clock.now += seconds.get(step, MEASURE_S)
        return super().submit(step, *arguments)

    def wait(self, pending: Any) -> set[Future[Any]]:
        finished = {future for future in pending if future.done()}
        if not finished:
            self.clock.now += 5
        return finished


@dataclass
class UnequalPool(TimedPool):
    """Trainings of 10 s and 20 s for the mean network; measurements take no time.

    Attributes:
        spent: seconds of all trainings.
    """

    spent: float = 0.0

    def seconds(self, network: Architecture) -> float:
        return 10 + 20 * training_macs(network) / MEAN_MACS

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future = FakePool.submit(self, step, *arguments)
        if step is worker.train_network:
            seconds = self.seconds(arguments[0])
            self.clock.now += seconds
            self.spent += seconds
            accuracy = replace(future.result(), seconds=seconds)
            future = Future()
            future.set_result(accuracy)
        return future


def slow_latency(network: Architecture) -> Latency:
    return replace(fake_latency(network), seconds=MEASURE_S)


def slow_accuracy(network: Architecture) -> Accuracy:
    return replace(fake_accuracy(network), seconds=TRAIN_S)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> FreshPools:
    return fresh_pools(monkeypatch)


def trained(folder: Path, clock: FakeClock, minutes: float, **settings: Any) -> tuple[Run, Deadline]:
    """A run whose trials had this long."""
    run = fake_run(folder, **{"n_trials": 40, **settings})
    deadline = Deadline(minutes, clock)
    run_trials(run, TimedPool.of(run, clock), Shown(), deadline)
    return run, deadline


@pytest.mark.parametrize("minutes", [float("nan"), float("inf"), -float("inf"), -1.0, 0.0])
def test_a_limit_that_is_no_positive_time_is_refused(minutes: float) -> None:
    with pytest.raises(GoalError, match=r"--timeout .* got -?[\dni]"):
        Deadline(minutes)


def test_no_trial_starts_that_would_end_after_the_limit(tmp_path: Path, clock: FakeClock) -> None:
    run, deadline = trained(tmp_path, clock, 30)
    n_trials = len(run.completed_records())
    reserve = report_seconds(1800) + verification_seconds(run, run.completed_records(), 1)
    assert clock.now == n_trials * (TRAIN_S + MEASURE_S)
    assert clock.now <= 1800 - reserve < clock.now + TRAIN_S + MEASURE_S
    assert deadline.work_was_skipped
    assert "running" not in {record.state for record in run.records()}


def test_the_whole_search_ends_within_the_limit_and_names_what_it_skipped(
    tmp_path: Path, clock: FakeClock, pools: FreshPools, monkeypatch: pytest.MonkeyPatch
) -> None:
    # at its multiple of the MACs of the largest network the baseline does not fit into 30 minutes
    run = run_on_disk(tmp_path / "run", n_trials=40, replicates=8, baselines=("mobilenet_v3_large",))
    monkeypatch.setattr(session, "open_pool", lambda *_: TimedPool.of(run, clock))
    monkeypatch.setattr("bneck.results.outputs.write_search_results", lambda run: None)
    deadline = Deadline(30, clock)
    run_session(run, 1, Shown(), deadline)
    assert clock.now <= 1800
    assert deadline.skipped == ["baseline mobilenet_v3_large"]
    assert set(run.verifications()) == {record.key for record in run.front()}
    message = timeout_message(run, 30, deadline.skipped)
    assert "baseline mobilenet_v3_large" in message
    assert message.endswith(f"bneck search {run.folder} --resume")


@pytest.mark.parametrize(
    ("sampler", "space"), [("ehvi", PHOTOS), ("random", PHOTOS), ("tpe", PHOTOS), ("ehvi", SMALL)]
)
def test_what_is_left_of_the_time_is_spent_on_smaller_networks(
    tmp_path: Path, clock: FakeClock, sampler: str, space: CandidateSpace
) -> None:
    run = fake_run(tmp_path, space, sampler=sampler, n_trials=60)
    pool = UnequalPool(run, 1, latency_of=fake_latency, accuracy_of=fake_accuracy)
    pool.clock = clock
    networks = (
        list(every_network(space).values()) if isinstance(space, SearchSpace) else list(PHOTOS.candidates)
    )
    small, *_, large = sorted(networks, key=training_macs)
    exact = TrainingTime.fit({each: pool.seconds(each) for each in (small, large)})
    deadline = Deadline(5, clock)
    run_trials(run, pool, Shown(), deadline, training_time=exact)
    assert all(exact.seconds(each) == pytest.approx(pool.seconds(each)) for each in networks)
    tuned = {record.key for record in run.completed_records()}
    left = deadline.seconds_left()
    assert deadline.work_was_skipped
    assert left >= 0
    assert all(pool.seconds(each) > left for each in networks if each.key not in tuned)
    assert "running" not in {record.state for record in run.records()}


def test_a_baseline_without_time_is_left_for_a_resume_and_smaller_networks_are_trained(
    tmp_path: Path, clock: FakeClock
) -> None:
    run = fake_run(tmp_path, PHOTOS, n_trials=30)
    small, *_, large = sorted(PHOTOS.candidates, key=training_macs)
    run.study.enqueue_trial(PHOTOS.encode(large), user_attrs={"source": BASELINE_SOURCE})
    pool = UnequalPool(run, 1)
    pool.clock = clock
    time = TrainingTime.fit({each: pool.seconds(each) for each in (small, large)})
    run_trials(run, pool, Shown(), Deadline(1, clock), training_time=time)
    assert pool.seconds(large) > 60 >= clock.now
    assert run.completed_records()
    run_trials(run, pool, Shown(), training_time=time)
    (baseline,) = (each for each in run.completed_records() if each.source == BASELINE_SOURCE)
    assert baseline.architecture == large


@pytest.mark.parametrize(("share_of_limit", "is_trained"), [(0.48, True), (0.52, False)])
def test_the_first_baseline_fits_in_half_of_the_time_by_the_timed_steps(
    tmp_path: Path, clock: FakeClock, share_of_limit: float, is_trained: bool
) -> None:
    run = fake_run(tmp_path, PHOTOS, n_trials=3)
    small, *_, large = sorted(PHOTOS.candidates, key=training_macs)
    run.study.enqueue_trial(PHOTOS.encode(large), user_attrs={"source": BASELINE_SOURCE})
    pool = UnequalPool(run, 1)
    pool.clock = clock
    time = TrainingTime.fit({each: pool.seconds(each) for each in (small, large)})
    run_trials(
        run, pool, Shown(), Deadline(pool.seconds(large) / share_of_limit / 60, clock), training_time=time
    )
    complete = run.completed_records()
    assert complete
    assert any(each.source == BASELINE_SOURCE for each in complete) == is_trained


def test_baselines_after_the_first_fit_in_a_quarter_of_the_time_by_the_pace_of_the_trainings(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Three of about 60 s in 5 minutes: the first alone takes most of 75 s; a resume trains the others."""
    run = fake_run(tmp_path, PHOTOS, n_trials=5)
    for each in sorted(PHOTOS.candidates, key=training_macs)[-3:]:
        run.study.enqueue_trial(PHOTOS.encode(each), user_attrs={"source": BASELINE_SOURCE})
    pool = UnequalPool(run, 1)
    pool.clock = clock

    def trained_baselines() -> int:
        return sum(each.source == BASELINE_SOURCE for each in run.completed_records())

    run_trials(run, pool, Shown(), Deadline(5, clock))
    assert 2 * min(pool.seconds(each) for each in sorted(PHOTOS.candidates, key=training_macs)[-3:]) > 75
    assert trained_baselines() == 1
    longer = run.with_settings(n_trials=9)
    vars(longer)["study"] = run.study
    run_trials(longer, pool, Shown())
    assert trained_baselines() == 3


def test_predicted_durations_follow_the_pace_of_the_latest_trainings() -> None:
    """Timed at 1e-6 s a MAC; the machine is then half as fast, so that half as much fits into a time."""
    time = TrainingTime.fit({TOY: 1e-6 * training_macs(TOY)})
    half_as_fast = replace(slow_accuracy(TOY), seconds=2e-6 * training_macs(TOY))
    late = replace(example_run.records()[0], architecture=TOY, accuracy=half_as_fast)
    assert time.seconds(TOY) == pytest.approx(1e-6 * training_macs(TOY))
    assert time.max_training_macs(1.0) == pytest.approx(1e6)
    assert time.max_training_macs(1.0, [late]) == pytest.approx(5e5)
    assert time.seconds(TOY, [late]) == pytest.approx(2e-6 * training_macs(TOY))
    assert TrainingTime().max_training_macs(1.0) == float("inf")  # nothing is known
    assert time.max_training_macs(0.0) == TrainingTime().max_training_macs(0.0) == 0


def test_baselines_that_fit_are_reserved_for_and_trained(tmp_path: Path, clock: FakeClock) -> None:
    run, deadline = trained(tmp_path, clock, 60, baselines=(BASELINE,))
    expected = baseline_seconds(run, BASELINE, run.completed_records())
    macs = max(record.cost.macs for record in run.completed_records())
    network = run.settings.published_architecture(BASELINE)
    assert expected == pytest.approx(MEASURE_S + TRAIN_S * cost(network).macs / macs)
    assert clock.now + expected < 3600  # a quarter of the time, 900 s, would be enough
    evaluate_baselines(run, TimedPool.of(run, clock), Shown(), deadline)
    assert [each.name for each in run.baselines()] == [BASELINE]
    assert deadline.skipped == []


def test_a_verification_without_time_is_named_and_left_for_a_resume(
    tmp_path: Path, clock: FakeClock, pools: FreshPools
) -> None:
    run, deadline = trained(tmp_path, clock, 30)
    clock.now = 1800
    verify_front(run, TimedPool.of(run, clock), Shown(), deadline)
    assert run.verifications() == {}
    [skipped] = deadline.skipped
    assert skipped.startswith(f"verification of {len(run.front())} network")
    verify_front(run, TimedPool.of(run, clock), Shown())
    assert set(run.verifications()) == {record.key for record in run.front()}


def test_a_trial_that_is_late_by_another_trial_is_stopped_and_put_back(
    tmp_path: Path, clock: FakeClock
) -> None:
    run = fake_run(tmp_path, n_trials=40)
    calls = 0

    def fourth_is_stuck(step: Any) -> bool:
        nonlocal calls
        calls += step is worker.train_network
        return calls == 4 and step is worker.train_network

    deadline = Deadline(30, clock)
    run_trials(run, TimedPool.of(run, clock, fourth_is_stuck), Shown(), deadline)
    assert len(run.completed_records()) == 3
    # stopped a trial's time after the limit for trials, at a look every 5 seconds
    reserve = report_seconds(1800) + verification_seconds(run, run.completed_records(), 1)
    assert clock.now == pytest.approx(1800 - reserve + TRAIN_S + MEASURE_S, abs=6)
    states = [trial.state for trial in run.study.trials if "state" not in trial.user_attrs]
    assert states == [TrialState.FAIL, TrialState.WAITING]
    assert run.study.user_attrs[ATTRIBUTE] == {}


def test_a_first_training_longer_than_the_limit_ends_with_the_resume_command(
    tmp_path: Path, clock: FakeClock
) -> None:
    run = fake_run(tmp_path, n_trials=4)
    pool = TimedPool.of(run, clock, lambda step: step is worker.train_network)
    with pytest.raises(RunError, match=r"no network was evaluated within 3 minutes; .* --resume$"):
        run_trials(run, pool, Shown(), Deadline(3, clock))
    assert 180 <= clock.now <= 186


def test_the_latency_predictor_takes_a_quarter_of_the_time_at_most(tmp_path: Path, clock: FakeClock) -> None:
    run = fake_run(tmp_path, n_trials=60)
    shown = Shown()
    fit_latency_model(run, TimedPool.of(run, clock), shown, Deadline(10, clock))
    assert clock.now == 150
    assert not run.latency_predictor_file.exists()
    assert "15 networks" in shown.lines[0]


@pytest.mark.parametrize("phase", ["replicate_front", "evaluate_baselines", "verify_front"])
def test_ctrl_c_after_the_trials_still_writes_the_report(
    tmp_path: Path, pools: FreshPools, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    written: list[Run] = []
    monkeypatch.setattr(session, "open_pool", FakePool)
    monkeypatch.setattr(session, phase, interrupted)
    monkeypatch.setattr("bneck.results.outputs.write_search_results", written.append)
    run = fake_run(tmp_path, n_trials=2)
    with pytest.raises(KeyboardInterrupt):
        run_session(run, 1, Shown())
    assert written == [run]


def test_ctrl_c_during_the_trials_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Run] = []

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "open_pool", FakePool)
    monkeypatch.setattr(session, "run_trials", interrupted)
    monkeypatch.setattr("bneck.results.outputs.write_search_results", written.append)
    with pytest.raises(KeyboardInterrupt):
        run_session(fake_run(tmp_path, n_trials=2), 1, Shown())
    assert written == []


def test_the_estimate_interpolates_between_two_timed_networks_and_says_what_a_limit_leaves(
    tmp_path: Path,
) -> None:
    """Seconds in proportion to MACs, 1e-5 s an image and MAC; 100 images, 5 epochs, 12 + 4 trainings by 2."""
    networks = [TOY, *(replace(TOY, head=replace(TOY.head, features=features)) for features in (40, 90))]
    macs = [cost(each).macs for each in networks]
    timings = {
        networks[0]: StepTiming(1e-5 * macs[0], 10**9),
        networks[2]: StepTiming(1e-5 * macs[2], 2 * 10**9),
    }
    run = fake_run(tmp_path, n_trials=12, replicates=4, recipe=Recipe(epochs=5))
    estimate = TimeEstimate.of(run, timings, networks, 100, workers=2)
    per_network = [1e-5 * each * 100 * 5 for each in macs]
    assert (estimate.shortest, estimate.longest) == pytest.approx((per_network[0], per_network[2]))
    assert estimate.mean == pytest.approx(sum(per_network) / 3)
    assert estimate.seconds == pytest.approx(estimate.mean * 16 / 2)
    assert (estimate.trainings, estimate.memory_bytes) == (16, 2 * 10**9)
    third = estimate.seconds / 3 / 60
    assert "enough for about 5" in estimate.text(third)  # of 16
    assert "enough" not in estimate.text(None) + estimate.text(4 * third)


def test_with_rungs_half_of_the_networks_go_on_at_each() -> None:
    """2 + (4 - 2) / 2 + (8 - 4) / 4 = 4 epochs."""
    settings = fake_settings(rungs=Rungs((2, 4, 8)), recipe=Recipe(epochs=8))
    assert mean_epochs(settings) == 4
    assert mean_epochs(replace(settings, rungs=None)) == 8


class TimingPool(FakePool):
    """2,000 images, and 1e-9 s an image and MAC."""

    def submit(self, step: Any, *arguments: Any) -> Future[Any]:
        if step not in (worker.count_training_images, worker.time_training_steps):
            return super().submit(step, *arguments)
        self.asked.append((step, *arguments))
        future: Future[Any] = Future()
        timing = StepTiming(1e-9 * cost(arguments[0]).macs, 10**9) if arguments else 2_000
        future.set_result(timing)
        return future


@pytest.mark.slow
def test_a_search_is_timed_by_the_smallest_and_the_largest_network_unless_it_is_quick(tmp_path: Path) -> None:
    space, shown = load_space("mobile-128").for_data(3, 2), Shown()
    run = fake_run(tmp_path / "slow", space, {"macs": "20M"}, recipe=Recipe(epochs=20))
    pool = TimingPool(run)
    estimate_time(run, pool, shown, Deadline())
    small, large = pool.asked_for(worker.time_training_steps)
    assert 2 * cost(small).macs < cost(large).macs <= 20e6
    assert len(shown.lines) == 1 and "a network" in shown.lines[0]
    quick = TimingPool(fake_run(tmp_path / "quick", recipe=Recipe(epochs=20)))
    estimate_time(quick.subject, quick, shown, Deadline())
    assert quick.asked_for(worker.time_training_steps) == []
    assert len(shown.lines) == 1


def test_baselines_larger_than_the_timed_networks_take_time_by_their_macs(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=1, recipe=Recipe(epochs=1), baselines=("mobilenet_v3_small",))
    macs = cost(TOY).macs
    estimate = TimeEstimate.of(run, {TOY: StepTiming(1e-9 * macs, 1)}, [TOY], 100, workers=1)
    published = cost(run.settings.published_architecture("mobilenet_v3_small")).macs
    assert published > 2 * macs
    assert estimate.seconds == pytest.approx(1e-9 * 100 * (macs + published))


def test_networks_that_are_predicted_to_be_too_slow_are_not_expected(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", limits={"latency": "0.6x"})
    assert len(likely_networks(run)) > 10
    give_model(run, 0.5)
    assert len(likely_networks(run)) > 10
    give_model(run, 0.7)
    assert len(likely_networks(run)) == 1


def test_where_no_whole_parent_is_fast_enough_only_the_lowest_resolution_is_expected(tmp_path: Path) -> None:
    parent = Parent("toy", replace(TOY, resolution_px=128), (127.0,) * 3, (128.0,) * 3)
    space = pretrained_space([parent]).for_data(3, 2)
    run = fake_run(tmp_path, space, {"latency": "0.01x"})
    assert {each.resolution_px for each in likely_networks(run)} == {32}
    unlimited = fake_run(tmp_path, space, {"macs": "900M"})
    assert max(each.resolution_px for each in likely_networks(unlimited)) == 128
