"""Baselines, and the second look at the front: measured in two fresh processes, here by two fake pools."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import t

from bneck.evaluate import Latency
from bneck.evaluate.latency.measurement import failed_latency
from bneck.results import Baseline, Record, Run, Verification
from bneck.search.runner import worker
from bneck.search.runner.loop import run_trials
from bneck.search.runner.verification import evaluate_baselines, verify_front
from bneck.search_space import Architecture, BneckError, ScorerError
from bneck.search_space.errors import NonFiniteLossError

from ...results.example_run import BASELINE, accuracy, latency_setup
from ...results.example_run import exact_latency as latency
from ..helpers import (
    NO_LIMITS,
    SMALL,
    FakePool,
    FreshPools,
    Shown,
    every_network,
    fake_device,
    fake_latency,
    fake_run,
    fresh_pools,
    on_test_images,
)

Measure = Callable[[Architecture], Latency]


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> FreshPools:
    """Both processes measure what was measured before."""
    return fresh_pools(monkeypatch)


def judged_run(folder: Path, n_trials: int = 6, **settings: Any) -> Run:
    """A run that has judged its networks and not yet looked at its front again."""
    run = fake_run(folder, n_trials=n_trials, **settings)
    run_trials(run, FakePool(run), Shown())
    return run


def run_of(folder: Path, ratios: Mapping[str, float], limits: Mapping[str, str | None] = NO_LIMITS) -> Run:
    """A run whose networks are called by letters: `a` has an accuracy of 50%, `b` of 51% and so on.

    Args:
        ratios: as first measured, by name.
    """
    run = fake_run(folder, limits=limits, n_trials=len(ratios))
    known = dict(zip(networks(), ratios.items(), strict=False))
    for network in known:
        run.study.enqueue_trial(SMALL.encode(network))

    def top1(network: Architecture) -> float:
        return 0.5 + (ord(known[network][0]) - ord("a")) / 100

    pool = FakePool(
        run,
        latency_of=lambda network: latency(known[network][1]),
        accuracy_of=lambda network: accuracy(top1(network)),
    )
    run_trials(run, pool, Shown())
    return run


def networks() -> list[Architecture]:
    return list(every_network(SMALL).values())


def names(records: list[Record]) -> str:
    """The letters of `run_of`."""
    return "".join("abcdefgh"[networks().index(record.architecture)] for record in records)


def again(ratios: Mapping[str, float], run: Run) -> Measure:
    """What a fresh process measures, by letter; the panel's networks take as long as calibrated."""
    known = {networks()["abcdefgh".index(name)]: latency(ratio) for name, ratio in ratios.items()}
    setup = run.settings.latency
    for name, network in setup.panel.networks.items():
        known[network] = latency(setup.calibration.ratios[name])
    return lambda network: known[network]


# ----------------------------------------------------------------------------------- baselines


def test_baselines_are_judged_once_and_read_back_as_they_were(tmp_path: Path) -> None:
    run = fake_run(tmp_path, baselines=(BASELINE, "mobilenet_v2@0.35"))
    pool = FakePool(run, 2)
    shown = Shown()
    evaluate_baselines(run, pool, shown)
    assert pool.asked_for(worker.baseline) == [BASELINE, "mobilenet_v2@0.35"]
    expected = {name: pool.baseline_of(name) for name in (BASELINE, "mobilenet_v2@0.35")}
    assert {baseline.name: baseline for baseline in run.baselines()} == expected
    assert {(status.phase, status.total) for status in shown.statuses} == {("baselines", 2)}
    later = FakePool(run)
    evaluate_baselines(run, later, Shown())
    assert later.asked == []


def test_a_scorer_that_keeps_no_weights_has_no_baselines_and_no_test_images(
    tmp_path: Path, pools: FreshPools
) -> None:
    run = judged_run(tmp_path, evaluator="table:/scores.csv", baselines=(BASELINE,))
    pool = FakePool(run)
    evaluate_baselines(run, pool, Shown())
    verify_front(run, pool, Shown())
    assert pool.asked == []
    assert run.baselines() == []
    assert len(pools.opened) == 2  # latency is measured again all the same
    for verification in run.verifications().values():
        assert verification.latency is not None
        assert (verification.test_top1, verification.test_loss, verification.test_images) == (None, None, 0)


def test_a_baseline_that_the_scorer_cannot_judge_is_told(tmp_path: Path) -> None:
    class Failing(FakePool):
        def baseline_of(self, name: str) -> Baseline:
            raise ScorerError("nets.st: has another space")

    run = fake_run(tmp_path, baselines=(BASELINE,))
    shown = Shown()
    evaluate_baselines(run, Failing(run), shown)
    assert shown.lines == [f"{BASELINE}: nets.st: has another space"]


def test_a_baseline_that_cannot_be_trained_is_no_traceback(tmp_path: Path) -> None:
    class Failing(FakePool):
        def baseline_of(self, name: str) -> Baseline:
            raise NonFiniteLossError("the loss of epoch 1 is nan")

    run = fake_run(tmp_path, baselines=(BASELINE,))
    shown = Shown()
    evaluate_baselines(run, Failing(run), shown)
    assert shown.lines == [f"{BASELINE}: the loss of epoch 1 is nan"]
    assert run.baselines() == []


def test_a_baseline_that_cannot_be_measured_is_told_and_left_out(tmp_path: Path) -> None:
    class Unmeasurable(FakePool):
        def baseline_of(self, name: str) -> Baseline:
            return replace(super().baseline_of(name), latency=failed_latency("the device is gone"))

    run = fake_run(tmp_path, baselines=(BASELINE,))
    shown = Shown()
    evaluate_baselines(run, Unmeasurable(run), shown)
    assert run.baselines() == []
    assert "the device is gone" in "".join(shown.lines)


# ------------------------------------------------------------------------------------- the front


def test_the_front_is_checked_and_nothing_else_and_each_network_once(
    tmp_path: Path, pools: FreshPools
) -> None:
    run = judged_run(tmp_path)
    front = [record.architecture for record in run.front()]
    assert len(front) < 6
    pool = FakePool(run)
    verify_front(run, pool, Shown())
    assert pool.asked == [(worker.evaluate_on_test_set, network) for network in front]
    assert list(run.verifications()) == [network.key for network in front]
    opened = len(pools.opened)
    later = FakePool(run)
    verify_front(run, later, Shown())
    assert later.asked == []
    assert len(pools.opened) == opened


def test_each_network_and_the_panel_are_measured_in_two_fresh_processes(
    tmp_path: Path, pools: FreshPools
) -> None:
    run = judged_run(tmp_path)
    wanted = {record.key for record in run.front()}
    wanted |= {network.key for network in run.settings.latency.panel.networks.values()}
    verify_front(run, FakePool(run), Shown())
    first, second = pools.opened
    for pool in (first, second):
        assert (pool.subject, pool.workers, pool.closed) == (run, 1, True)
        measured = [network.key for network in pool.asked_for(worker.remeasure)]
        assert len(measured) == len(pool.asked) == len(wanted)
        assert set(measured) == wanted


def test_a_network_of_the_panel_on_the_front_is_measured_once_a_process(
    tmp_path: Path, pools: FreshPools
) -> None:
    setup = fake_device()
    panel = replace(setup.panel, reference="a", networks={"a": networks()[0], "b": networks()[1]})
    calibration = replace(setup.calibration, ratios={"a": 1.0, "b": 2.0})
    run = fake_run(tmp_path, n_trials=1, latency=replace(setup, panel=panel, calibration=calibration))
    run.study.enqueue_trial(SMALL.encode(networks()[0]))
    run_trials(run, FakePool(run), Shown())
    verify_front(run, FakePool(run), Shown())
    for pool in pools.opened:
        assert [network for _, network in pool.asked] == networks()[:2]
    assert list(run.verifications()) == [networks()[0].key]


def test_what_is_kept_is_the_mean_of_both_its_bound_and_the_test_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, {"a": 0.3})
    processes = (again({"a": 0.25}, run), again({"a": 0.36}, run))
    fresh_pools(monkeypatch, *processes)
    verify_front(run, FakePool(run), Shown())
    [verification] = run.verifications().values()
    assert verification.latency is not None
    # sqrt(0.25 * 0.36) = 0.3, of 2 ms
    assert (verification.latency.ratio, verification.latency.latency_ms) == pytest.approx((0.3, 0.6))
    # the two of the panel do not differ, a does: its log by log(0.36 / 0.25). A mean of two differs by
    # half of what they do, so the variance is log(0.36 / 0.25)^2 / 4, over the three networks
    std = math.log(0.36 / 0.25) / 2 / math.sqrt(3)
    assert verification.ratio_upper == pytest.approx(0.3 * math.exp(t.ppf(0.95, 3) * std))
    expected = (*on_test_images(networks()[0]),)
    assert (verification.test_top1, verification.test_loss, verification.test_images) == expected


def test_where_both_processes_agree_the_bound_is_the_latency(tmp_path: Path, pools: FreshPools) -> None:
    run = judged_run(tmp_path)
    verify_front(run, FakePool(run), Shown())
    for record in run.front():
        verification = run.verifications()[record.key]
        assert verification.latency is not None
        ratio = fake_latency(record.architecture).ratio
        assert (verification.latency.ratio, verification.ratio_upper) == pytest.approx((ratio, ratio))
        assert verification.latency.source == "measured"


def test_a_front_that_has_moved_is_checked_where_it_is_new(tmp_path: Path, pools: FreshPools) -> None:
    run = judged_run(tmp_path, 3)
    verify_front(run, FakePool(run), Shown())
    before = set(run.verifications())
    longer = fake_run(tmp_path, n_trials=20)
    vars(longer)["study"] = run.study
    run_trials(longer, FakePool(longer), Shown())
    pool = FakePool(longer)
    verify_front(longer, pool, Shown())
    new = {record.key for record in longer.front()} - before
    assert {network.key for network in pool.asked_for(worker.evaluate_on_test_set)} == new
    assert new
    assert set(run.verifications()) == before | new


def test_a_network_that_may_break_the_limit_is_dropped_and_the_one_it_beat_is_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # c beats a and b; over the limit of 0.5x it leaves b, which beats a
    run = run_of(tmp_path, {"a": 0.45, "b": 0.44, "c": 0.43}, {"latency": "0.5x"})
    assert names(run.front()) == "c"
    ratios = again({"b": 0.44, "c": 0.51}, run)
    pools = fresh_pools(monkeypatch, ratios)
    shown = Shown()
    pool = FakePool(run)
    verify_front(run, pool, shown)
    assert names(run.front()) == "b"
    assert run.failed_verification() == {networks()[2].key}
    assert [network.key for network in pool.asked_for(worker.evaluate_on_test_set)] == [
        networks()[2].key,
        networks()[1].key,
    ]
    assert set(run.verifications()) == {networks()[2].key, networks()[1].key}
    assert len(pools.opened) == 4
    assert all(each.closed for each in pools.opened)
    [line] = shown.lines
    assert networks()[2].key in line


def test_successors_are_checked_until_all_of_the_front_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, {"a": 0.40, "b": 0.39, "c": 0.38, "d": 0.37}, {"latency": "0.5x"})
    pools = fresh_pools(monkeypatch, again({"a": 0.4, "b": 0.6, "c": 0.6, "d": 0.6}, run))
    verify_front(run, FakePool(run), Shown())
    assert names(run.front()) == "a"
    assert len(run.verifications()) == 4
    assert len(pools.opened) == 8


def test_where_all_are_dropped_the_front_is_empty_and_the_check_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, {"a": 0.40, "b": 0.39}, {"latency": "0.5x"})
    fresh_pools(monkeypatch, again({"a": 0.6, "b": 0.6}, run))
    shown = Shown()
    verify_front(run, FakePool(run), shown)
    assert run.front() == []
    assert len(shown.lines) == 2


def test_a_limit_that_is_kept_on_average_but_not_surely_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the mean of 0.46 and 0.52 is 0.489, and the two differ by so much that 0.5 is in reach
    run = run_of(tmp_path, {"a": 0.45}, {"latency": "0.5x"})
    fresh_pools(monkeypatch, again({"a": 0.46}, run), again({"a": 0.52}, run))
    verify_front(run, FakePool(run), Shown())
    [verification] = run.verifications().values()
    assert verification.latency is not None
    assert verification.latency.ratio < 0.5
    assert run.failed_verification() == {networks()[0].key}


def test_without_a_limit_on_latency_nothing_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, {"a": 0.45, "b": 0.5}, {"macs": "1G"})
    fresh_pools(monkeypatch, again({"a": 4.5, "b": 5.0}, run))
    verify_front(run, FakePool(run), Shown())
    assert names(run.front()) == "ab"
    found = [
        verification.latency.ratio for verification in run.verifications().values() if verification.latency
    ]
    assert sorted(found) == pytest.approx([4.5, 5.0])


def test_where_the_device_is_not_at_hand_the_test_images_are_looked_at_alone(
    tmp_path: Path, pools: FreshPools
) -> None:
    run = judged_run(tmp_path, limits={"latency": "0.5x"}, latency=latency_setup())
    front = run.front()
    shown = Shown()
    pool = FakePool(run)
    verify_front(run, pool, shown)
    assert pools.opened == []
    assert run.front() == front
    assert run.verifications() == {
        record.key: Verification(None, None, *on_test_images(record.architecture)) for record in front
    }
    [line] = shown.lines
    assert "processor" in line


@pytest.mark.parametrize("process", [0, 1])
def test_a_network_that_fails_in_one_process_has_no_second_latency_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: int
) -> None:
    # a alone takes the whole limit; b fails in one process and is known by its first measurement
    run = run_of(tmp_path, {"a": 0.30, "b": 0.45}, {"latency": "0.5x"})
    works = again({"a": 0.30, "b": 0.60}, run)

    def fails(network: Architecture) -> Latency:
        return failed_latency("the device is gone") if network == networks()[1] else works(network)

    fresh_pools(monkeypatch, *((fails, works) if process == 0 else (works, fails)))
    verify_front(run, FakePool(run), Shown())
    first, second = (run.verifications()[networks()[number].key] for number in (0, 1))
    assert first.latency is not None
    assert first.latency.ratio == pytest.approx(0.3)
    assert second == Verification(None, None, *on_test_images(networks()[1]))
    assert names(run.front()) == "ab"


def test_a_panel_that_fails_does_not_keep_the_others_from_their_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, {"a": 0.30})

    def measure(network: Architecture) -> Latency:
        return latency(0.3) if network == networks()[0] else failed_latency("the device is gone")

    fresh_pools(monkeypatch, measure)
    verify_front(run, FakePool(run), Shown())
    [verification] = run.verifications().values()
    assert verification.ratio_upper == pytest.approx(0.3)


def test_the_panel_is_not_kept_with_the_front(tmp_path: Path, pools: FreshPools) -> None:
    run = judged_run(tmp_path)
    verify_front(run, FakePool(run), Shown())
    assert set(run.verifications()) == {record.key for record in run.front()}


def test_an_error_in_a_fresh_process_ends_the_check_and_keeps_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(network: Architecture) -> Latency:
        raise BneckError("the device was changed")

    run = judged_run(tmp_path)
    pools = fresh_pools(monkeypatch, fake_latency, breaks)
    with pytest.raises(BneckError, match="the device was changed"):
        verify_front(run, FakePool(run), Shown())
    assert run.verifications() == {}
    assert all(pool.closed for pool in pools.opened)


def test_a_person_sees_how_far_the_check_is(tmp_path: Path, pools: FreshPools) -> None:
    run = judged_run(tmp_path)
    front, panel = len(run.front()), len(run.settings.latency.panel.networks)
    shown = Shown()
    verify_front(run, FakePool(run), shown)
    # each of the front on the test images, and with the panel in two processes
    total = front + 2 * (front + panel)
    assert {(status.phase, status.total) for status in shown.statuses} == {("verifying the front", total)}
    assert (shown.statuses[0].done, shown.statuses[-1].done) == (0, total)


def test_a_run_that_judged_nothing_has_nothing_to_check(tmp_path: Path, pools: FreshPools) -> None:
    pool = FakePool(fake_run(tmp_path))
    verify_front(pool.subject, pool, Shown())
    assert (pool.asked, pools.opened) == ([], [])
