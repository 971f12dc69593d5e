import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from rich.console import Console

from bneck.evaluate import Accuracy, Latency
from bneck.evaluate.latency.measurement import failed_latency
from bneck.results import Record, Run
from bneck.search.console.progress import PlainProgress
from bneck.search.runner import proposer, worker
from bneck.search.runner.loop import run_trials
from bneck.search_space import Architecture, NoFeasibleNetworkError, RunError, ScorerError, cost, load_space
from bneck.search_space.errors import NonFiniteLossError

from ...results.example_run import REFERENCE_MS, accuracy
from ...results.example_run import exact_latency as latency
from ..helpers import (
    FOUR,
    NO_LIMITS,
    SMALL,
    FakePool,
    Shown,
    every_network,
    fake_accuracy,
    fake_latency,
    fake_run,
    give_model,
)

LIMITS = {"macs": "25K", "latency": "0.4x"}


def keys(run: Run, state: str) -> list[str]:
    return [record.key for record in run.records() if record.state == state]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_exactly_the_wanted_number_of_networks_is_judged(tmp_path: Path, workers: int) -> None:
    run = fake_run(tmp_path, limits=LIMITS, n_trials=7)
    pool = FakePool(run, workers)
    run_trials(run, pool, Shown())
    judged = keys(run, "complete")
    assert len(set(judged)) == len(judged) == 7
    assert sorted(network.key for network in pool.asked_for(worker.train_network)) == sorted(judged)
    assert {trial.state for trial in run.study.trials} <= {TrialState.COMPLETE, TrialState.FAIL}


def test_no_more_networks_are_under_way_than_there_are_workers_or_networks_wanted(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=5)
    shown = Shown()
    run_trials(run, FakePool(run, 3), shown)
    assert max(len(status.active_jobs) for status in shown.statuses) == 3
    assert all(len(status.active_jobs) <= 5 - status.done for status in shown.statuses)


def test_a_network_that_breaks_a_limit_is_never_trained_and_over_the_macs_not_even_measured(
    tmp_path: Path,
) -> None:
    run = fake_run(tmp_path, limits=LIMITS, n_trials=7, sampler="nsga2")  # which proposes such networks
    pool = FakePool(run, 2)
    run_trials(run, pool, Shown())
    measured, trained = pool.asked_for(worker.measure), pool.asked_for(worker.train_network)
    assert max(cost(network).macs for network in measured) <= 25_000
    assert max(fake_latency(network).ratio for network in trained) <= 0.4
    assert len(measured) > len(trained)
    assert len(keys(run, "infeasible")) > len(measured) - len(trained)


def test_what_was_measured_and_trained_is_what_is_kept(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits=LIMITS, n_trials=4)
    run_trials(run, FakePool(run, 2), Shown())
    for record in run.records():
        if record.state == "complete":
            assert record.accuracy == fake_accuracy(record.architecture)
            assert record.latency == fake_latency(record.architecture)


def test_a_search_that_goes_on_judges_only_what_is_missing(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=3)
    run_trials(run, FakePool(run, 2), Shown())
    first = keys(run, "complete")
    longer = fake_run(tmp_path, n_trials=8)
    vars(longer)["study"] = run.study
    pool = FakePool(longer, 2)
    run_trials(longer, pool, Shown())
    assert len(pool.asked_for(worker.train_network)) == 5
    assert keys(longer, "complete")[:3] == first
    assert len(set(keys(longer, "complete"))) == 8
    pool = FakePool(longer, 2)
    run_trials(longer, pool, Shown())
    assert pool.asked == []


def test_a_training_that_fails_is_noted_and_does_not_count(tmp_path: Path) -> None:
    failing: set[str] = set()

    def every_third_fails(architecture: Architecture) -> Accuracy:
        if int(architecture.key, 16) % 3 == 0:
            failing.add(architecture.key)
            raise NonFiniteLossError("the loss of epoch 2 is nan")
        return fake_accuracy(architecture)

    run = fake_run(tmp_path, n_trials=12)
    shown = Shown()
    run_trials(run, FakePool(run, 2, accuracy_of=every_third_fails), shown)
    failed_latency = [record for record in run.records() if record.state == "failed"]
    assert {record.key for record in failed_latency} == failing
    assert {record.error for record in failed_latency} == {"the loss of epoch 2 is nan"}
    assert len(keys(run, "complete")) == 12
    assert shown.statuses[-1].failed == len(failed_latency) > 0
    states = {trial.state for trial in run.study.trials if trial.user_attrs["state"] == "failed"}
    assert states == {TrialState.FAIL}


def test_a_space_that_is_exhausted_ends_the_search_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bneck.search.runner.proposer.MAX_CONSECUTIVE_REJECTIONS", 100)
    run = fake_run(tmp_path, FOUR, n_trials=9)
    shown = Shown()
    run_trials(run, FakePool(run, 3), shown)
    assert len(keys(run, "complete")) == 4
    assert shown.lines == ["every network of space small within the limits on cost has been proposed"]


def test_limits_of_latency_that_nothing_keeps_end_the_search(tmp_path: Path) -> None:
    # 0.15x is the fastest of the space
    run = fake_run(tmp_path, limits={"latency": "0.1x"}, n_trials=3)
    with pytest.raises(NoFeasibleNetworkError):
        run_trials(run, FakePool(run, 2), Shown())
    assert keys(run, "complete") == []


@pytest.mark.slow
def test_a_search_that_finds_nothing_new_ends_with_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # few networks of tiny have the least MACs there are, 41,472, and it has far too many to try them all
    monkeypatch.setattr(proposer, "MAX_CONSECUTIVE_REJECTIONS", 60)
    run = fake_run(tmp_path, load_space("tiny"), {"macs": "41.5K"}, n_trials=1000)
    shown = Shown()
    run_trials(run, FakePool(run, 2), shown)
    found = keys(run, "complete")
    assert 1 <= len(found) < 100
    assert keys(run, "running") == []
    assert [line.split(":")[0] for line in shown.lines] == ["no more networks"]
    assert "limits: macs <= 41.5K" in shown.lines[0]


def test_trainings_that_fail_one_after_another_end_the_search(tmp_path: Path) -> None:
    def fails(architecture: Architecture) -> Accuracy:
        raise NonFiniteLossError("the loss of epoch 1 is nan")

    run = fake_run(tmp_path, n_trials=20)
    with pytest.raises(RunError, match=r"^10 .* epoch 1 is nan; .*--learning-rate$"):
        run_trials(run, FakePool(run, 2, accuracy_of=fails), Shown())
    assert len(keys(run, "failed")) == 10


def test_networks_that_a_scorer_cannot_judge_are_told_by_its_name(tmp_path: Path) -> None:
    def fails(architecture: Architecture) -> Accuracy:
        raise ScorerError("scores.csv: has no row with this key")

    run = fake_run(tmp_path, n_trials=20, evaluator="table:/scores.csv")
    expected = r"^10 .* table:/scores\.csv: scores\.csv: has no row"
    with pytest.raises(RunError, match=expected):
        run_trials(run, FakePool(run, 2, accuracy_of=fails), Shown())
    assert len(keys(run, "failed")) == 10


def test_a_repeat_takes_the_place_of_a_network_and_is_shown(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=12, replicates=4)
    shown = Shown()
    run_trials(run, FakePool(run, 2), shown)
    assert len(keys(run, "complete")) == 12
    again = [job for status in shown.statuses for job in status.active_jobs if "seed" in job]
    assert again
    first = min(run.completed_records(), key=lambda record: record.trial)
    assert again[0].endswith(f"seed {run.settings.training_seed(first.key, 1)}")
    assert max(len(status.active_jobs) for status in shown.statuses) == 2


def test_the_status_counts_what_happened(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits=LIMITS, n_trials=9)
    shown = Shown()
    run_trials(run, FakePool(run), shown)
    first, last = shown.statuses[0], shown.statuses[-1]
    assert (first.phase, first.done, first.total, first.latest, first.best) == (
        "evaluating",
        0,
        9,
        None,
        None,
    )
    assert first.active_jobs == (f"measures trial {first.infeasible + first.duplicates}",)
    states = Counter(record.state for record in run.records())
    assert (last.done, last.infeasible, last.duplicates) == (9, states["infeasible"], states["duplicate"])
    assert last.front == len(run.front())
    judged = [record for record in run.records() if record.state == "complete"]
    assert last.latest is not None
    assert last.latest.trial == judged[-1].trial
    assert last.best is not None
    assert last.best.accuracy == max((fake_accuracy(r.architecture) for r in judged), key=lambda a: a.top1)
    assert last.active_jobs == ()
    assert any("trains trial" in job for status in shown.statuses for job in status.active_jobs)


def plain_lines(run: Run, workers: int) -> list[str]:
    text = StringIO()
    run_trials(run, FakePool(run, workers), PlainProgress(Console(file=text, width=200)))
    return text.getvalue().splitlines()


def test_a_plain_terminal_gets_a_line_for_every_network_judged(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=4)
    lines = plain_lines(run, 1)
    counts = [re.split("[:;]", line)[0] for line in lines]
    assert [count for count, _ in groupby(counts)] == [f"evaluating {n}/4" for n in range(5)]
    assert all(
        f"trial {record.trial}," in line for record, line in zip(run.records(), lines[-4:], strict=True)
    )


def test_networks_that_are_finished_together_have_a_line_each(tmp_path: Path) -> None:
    lines = plain_lines(fake_run(tmp_path, n_trials=4), 2)
    counts = [re.split("[:;]", line)[0] for line in lines]
    assert [count for count, _ in groupby(counts)] == [f"evaluating {n}/4" for n in range(5)]


# -------------------------------------------------- predicted, trained, measured: the chain of a trial


MEASURE, TRAIN = worker.measure, worker.train_network


@dataclass(frozen=True)
class Fate:
    """What a network turns out to be, in multiples of the reference and shares."""

    ratio: float = 0.3
    top1: float = 0.5


def chain(
    folder: Path,
    fates: list[Fate],
    *,
    predicted: float | None,
    limits: Mapping[str, str | None] = NO_LIMITS,
    n_trials: int | None = None,
    workers: int = 1,
    cannot_measure: bool = False,
    **settings: Any,
) -> tuple[Run, FakePool]:
    """Judge networks with these fates, in this order.

    Args:
        predicted: the ratio that the run's model predicts for every network; None for no model.
    """
    run = fake_run(folder, limits=limits, n_trials=n_trials or len(fates), **settings)
    if predicted is not None:
        give_model(run, predicted)
    networks = list(every_network(SMALL).values())[: len(fates)]
    for network in networks:
        run.study.enqueue_trial(SMALL.encode(network))
    known = dict(zip(networks, fates, strict=True))

    def latency_of(network: Architecture) -> Latency:
        return failed_latency("the device is gone") if cannot_measure else latency(known[network].ratio)

    def accuracy_of(network: Architecture) -> Accuracy:
        return accuracy(known[network].top1)

    pool = FakePool(run, workers, latency_of=latency_of, accuracy_of=accuracy_of)
    run_trials(run, pool, Shown())
    return run, pool


def steps(pool: FakePool) -> list[tuple[Callable[..., Any], int]]:
    """What was asked of the pool, the networks by their place in the order of proposal."""
    places = {network: place for place, network in enumerate(every_network(SMALL).values())}
    return [(step, places[network]) for step, network in pool.asked]


def test_a_predicted_network_that_would_enter_the_front_is_trained_and_then_measured(tmp_path: Path) -> None:
    run, pool = chain(tmp_path, [Fate(0.31)], predicted=0.3)
    assert steps(pool) == [(TRAIN, 0), (MEASURE, 0)]
    [record] = run.records()
    assert (record.state, record.latency, record.accuracy) == ("complete", latency(0.31), accuracy(0.5))
    [trial] = run.study.trials
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.5, 0.31 * REFERENCE_MS])


def test_one_that_would_not_enter_the_front_is_never_measured(tmp_path: Path) -> None:
    # predicted 0.3x, so 0.27x at best; the first has 60% at 0.2x, the second 50%, the third 70%
    fates = [Fate(0.2, 0.6), Fate(0.2, 0.5), Fate(0.2, 0.7)]
    run, pool = chain(tmp_path, fates, predicted=0.3)
    assert steps(pool) == [(TRAIN, 0), (MEASURE, 0), (TRAIN, 1), (TRAIN, 2), (MEASURE, 2)]
    found = [record.latency for record in run.records()]
    assert [each.source for each in found if each] == ["measured", "predicted", "measured"]
    # told as predicted: 0.3 times 2 ms
    assert run.study.trials[1].values == [0.5, pytest.approx(0.6)]
    assert [record.trial for record in run.front()] == [2]


def test_a_prediction_near_the_limit_is_measured_before_the_training_and_not_after(tmp_path: Path) -> None:
    # 0.3x is 6% below the limit of 0.32x, and two standard deviations are 10%
    run, pool = chain(tmp_path, [Fate(0.31)], predicted=0.3, limits={"latency": "0.32x"})
    assert steps(pool) == [(MEASURE, 0), (TRAIN, 0)]
    [record] = run.records()
    assert (record.state, record.latency) == ("complete", latency(0.31))


def test_a_prediction_near_the_limit_that_turns_out_too_slow_is_not_trained(tmp_path: Path) -> None:
    fates = [Fate(0.33), Fate(0.31)]
    run, pool = chain(tmp_path, fates, predicted=0.3, limits={"latency": "0.32x"}, n_trials=1)
    assert steps(pool) == [(MEASURE, 0), (MEASURE, 1), (TRAIN, 1)]
    assert [record.state for record in run.records()] == ["infeasible", "complete"]


def test_a_prediction_surely_over_the_limit_is_told_without_asking_anyone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposer, "MAX_CONSECUTIVE_REJECTIONS", 60)
    # every network is predicted twice the limit
    run = fake_run(tmp_path, limits={"latency": "0.15x"}, n_trials=3)
    give_model(run, 0.3)
    pool = FakePool(run, 2)
    with pytest.raises(NoFeasibleNetworkError):
        run_trials(run, pool, Shown())
    assert pool.asked == []
    infeasible = [record for record in run.records() if record.state == "infeasible"]
    assert len(infeasible) > 20
    for record in infeasible:
        assert record.latency is not None
        assert record.latency.ratio == pytest.approx(0.3)
        assert record.latency.source == "predicted"
        # 0.3 / 0.15 - 1, by the upper bound of the prediction
        bound = 2 * record.latency.ratio_high / record.latency.ratio - 1
        assert record.violations == pytest.approx({"latency": bound})
    assert {trial.state for trial in run.study.trials} <= {TrialState.COMPLETE, TrialState.FAIL}


def test_a_network_measured_over_the_limit_after_its_training_is_infeasible_and_keeps_its_accuracy(
    tmp_path: Path,
) -> None:
    # predicted well below the limit of 0.5x, and it takes 0.6x
    fates = [Fate(0.6, 0.9), Fate(0.3, 0.5)]
    run, pool = chain(tmp_path, fates, predicted=0.3, limits={"latency": "0.5x"}, n_trials=1)
    assert steps(pool) == [(TRAIN, 0), (MEASURE, 0), (TRAIN, 1), (MEASURE, 1)]
    slow, quick = run.records()
    assert (slow.state, slow.accuracy, slow.latency) == ("infeasible", accuracy(0.9), latency(0.6))
    # 0.6 / 0.5 - 1: the measurement, not the prediction
    assert slow.violations == pytest.approx({"latency": 0.2})
    assert quick.state == "complete"
    assert run.front() == [quick]
    assert [trial.number for trial in run.study.best_trials] == [1]


def test_a_network_of_the_front_has_the_violation_of_its_measurement(tmp_path: Path) -> None:
    run, _ = chain(tmp_path, [Fate(0.4)], predicted=0.3, limits={"latency": "0.5x"})
    [record] = run.records()
    # 0.4 / 0.5 - 1
    assert record.state == "complete"
    assert record.violations == pytest.approx({"latency": -0.2})


def test_a_search_of_real_size_ends_with_a_front_of_measured_networks(tmp_path: Path) -> None:
    run = fake_run(tmp_path, limits={"latency": "0.5x"}, n_trials=20)
    give_model(run, 0.3)
    pool = FakePool(run, 3)
    run_trials(run, pool, Shown())
    assert len(keys(run, "complete")) == 20
    for record in run.front():
        assert record.latency == fake_latency(record.architecture)
        assert record.latency.ratio <= 0.5


@pytest.mark.parametrize("workers", [1, 3])
def test_the_front_is_measured_and_the_rest_is_predicted(tmp_path: Path, workers: int) -> None:
    run = fake_run(tmp_path, n_trials=40)
    give_model(run, 0.3)
    pool = FakePool(run, workers)
    run_trials(run, pool, Shown())
    judged = [record for record in run.records() if record.state == "complete"]
    assert len(judged) == 40
    assert all(record.latency == fake_latency(record.architecture) for record in run.front())
    measured = pool.asked_for(MEASURE)
    predicted = [record for record in judged if record.latency and record.latency.source == "predicted"]
    assert len(predicted) == 40 - len(measured) > 10
    assert len(set(measured)) == len(measured)
    # and none of those predicted would beat the front at its best, 10% below 0.3x
    for record in predicted:
        assert dominated_at(record, 0.27, run.front())


def dominated_at(record: Record, ratio: float, front: list[Record]) -> bool:
    """Whether a network of the front is no less accurate and no slower than that."""
    assert record.accuracy
    return any(
        other.accuracy.top1 >= record.accuracy.top1 and other.latency.ratio <= ratio
        for other in front
        if other.accuracy and other.latency
    )


def test_where_a_model_stands_alone_nothing_is_measured(tmp_path: Path) -> None:
    fates = [Fate(0.9, 0.5), Fate(0.9, 0.6)]
    limits = {"latency": "0.34x"}  # the upper bound of the prediction is 0.333x
    run, pool = chain(tmp_path, fates, predicted=0.3, limits=limits, latency_policy="model")
    assert steps(pool) == [(TRAIN, 0), (TRAIN, 1)]
    found = {record.latency.source for record in run.records() if record.latency}
    assert (keys(run, "complete"), found) == ([record.key for record in run.records()], {"predicted"})


@pytest.mark.parametrize("predicted", [None, 0.3])
def test_where_everything_is_measured_each_network_is_before_its_training(
    tmp_path: Path, predicted: float | None
) -> None:
    # even with a file left there
    fates = [Fate(0.2, 0.6), Fate(0.2, 0.5)]
    run, pool = chain(tmp_path, fates, predicted=predicted, latency_policy="measurements")
    assert steps(pool) == [(MEASURE, 0), (TRAIN, 0), (MEASURE, 1), (TRAIN, 1)]
    assert {record.latency.source for record in run.records() if record.latency} == {"measured"}


def test_a_network_that_cannot_be_measured_is_a_failed_trial_and_not_trained(tmp_path: Path) -> None:
    run = fake_run(tmp_path, FOUR, n_trials=2)
    broken = next(iter(every_network(FOUR).values()))

    def latency_of(network: Architecture) -> Latency:
        return failed_latency("the device is gone") if network == broken else fake_latency(network)

    run.study.enqueue_trial(FOUR.encode(broken))
    pool = FakePool(run, latency_of=latency_of)
    run_trials(run, pool, Shown())
    assert broken not in pool.asked_for(TRAIN)
    record = run.records()[0]
    assert (record.key, record.state, record.error) == (broken.key, "failed", "the device is gone")
    assert record.latency is None
    assert run.study.trials[0].state == TrialState.FAIL
    assert len(keys(run, "complete")) == 2


def test_a_network_that_cannot_be_measured_after_its_training_is_a_failed_trial(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=3)
    give_model(run, 0.3)
    first: list[Architecture] = []

    def latency_of(network: Architecture) -> Latency:
        first.append(network)
        return failed_latency("the device is gone") if len(first) == 1 else fake_latency(network)

    shown = Shown()
    run_trials(run, FakePool(run, latency_of=latency_of), shown)
    records = [record for record in run.records() if record.state == "failed"]
    assert [(record.key, record.error) for record in records] == [(first[0].key, "the device is gone")]
    assert len(keys(run, "complete")) == 3
    assert shown.statuses[-1].failed == 1


def test_measurements_that_fail_one_after_another_are_not_blamed_on_the_training(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=20)
    pool = FakePool(run, 2, latency_of=lambda network: failed_latency("the device is gone"))
    with pytest.raises(RunError, match="the device is gone") as raised:
        run_trials(run, pool, Shown())
    assert pool.asked_for(TRAIN) == []
    assert "trainings" not in str(raised.value)
    assert "--learning-rate" not in str(raised.value)


def test_measurements_that_fail_after_the_trainings_are_not_blamed_on_those(tmp_path: Path) -> None:
    # predicted alike and equally accurate, every network may enter the front
    run = fake_run(tmp_path, n_trials=20)
    give_model(run, 0.3)
    pool = FakePool(run, accuracy_of=lambda network: accuracy(0.5))
    pool.latency_of = lambda network: failed_latency("the device is gone")
    with pytest.raises(RunError, match="the device is gone") as raised:
        run_trials(run, pool, Shown())
    assert len(pool.asked_for(TRAIN)) == 10
    assert "--learning-rate" not in str(raised.value)


def test_the_status_says_who_measures_and_who_trains(tmp_path: Path) -> None:
    run = fake_run(tmp_path, n_trials=1)
    give_model(run, 0.3)
    shown = Shown()
    run_trials(run, FakePool(run), shown)
    active_jobs = [status.active_jobs for status in shown.statuses]
    assert active_jobs == [("trains trial 0",), ("measures trial 0",), (), ()]


def test_a_trial_is_trained_with_the_latency_that_it_was_predicted(tmp_path: Path) -> None:
    # what was under way when a search was stopped is known by its prediction
    class Stopped(FakePool):
        def wait(self, pending: Any) -> Any:
            raise KeyboardInterrupt

    run = fake_run(tmp_path, n_trials=1)
    give_model(run, 0.3)
    with pytest.raises(KeyboardInterrupt):
        run_trials(run, Stopped(run), Shown())
    [record] = run.records()
    assert record.state == "running"
    assert record.latency is not None
    assert replace(record.latency, device="") == replace(
        latency(0.3),
        source="predicted",
        ratio_low=record.latency.ratio_low,
        ratio_high=record.latency.ratio_high,
    )
