"""Bias and coverage of ratios and their intervals on a simulated noisy machine."""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import cache

import pytest

from bneck.evaluate.latency.backends.fake import FakeMachine
from bneck.evaluate.latency.measurement import Latency, MeasurementPlan, ReferenceRunners, measure

UNIT_SECONDS = 0.003
RATIO = 1.7
PLAN = MeasurementPlan()
ONE_PERCENT = MeasurementPlan(target_half_width=0.01)

# by how much runs differ, and what else happens
CONDITIONS: dict[str, dict[str, float]] = {
    "quiet": {},
    "drift": {"drift": 0.3},
    "spikes": {"spikes": 0.5},
    "preemption": {"preemption": 0.7},
    "drift and preemption": {"drift": 0.3, "preemption": 0.7},
    "all": {"drift": 0.3, "spikes": 0.5, "preemption": 0.7},
}
HOPELESS = {"jitter": 0.3, "drift": 0.3, "spikes": 1.0, "preemption": 1.0}


def measured(
    machine: FakeMachine,
    plan: MeasurementPlan = PLAN,
    panel: Sequence[float] = (1.0,),
    unit: float = UNIT_SECONDS,
) -> Latency:
    """A network of `RATIO` against references, by the machine's clock."""
    references = ReferenceRunners([machine.runner(unit * ratio) for ratio in panel], panel, 1000 * unit)
    return measure(machine.runner(unit * RATIO), references, plan, now=machine.clock)


@cache
def draws(
    condition: str, count: int, jitter: float, plan: MeasurementPlan, panel: tuple[float, ...]
) -> list[Latency]:
    return [
        measured(FakeMachine(seed, jitter=jitter, **CONDITIONS[condition]), plan, panel)
        for seed in range(count)
    ]


def within_one_percent(ratios: Sequence[float]) -> float:
    return sum(abs(ratio / RATIO - 1) <= 0.01 for ratio in ratios) / len(ratios)


def held(latencies: Sequence[Latency]) -> float:
    return sum(each.ratio_low <= RATIO <= each.ratio_high for each in latencies) / len(latencies)


# The machine


def runs_of(machine: FakeMachine, count: int, seconds: float = 0.001) -> list[float]:
    run = machine.runner(seconds)
    return [run(1) for _ in range(count)]


def test_only_runs_advance_the_clock_by_the_seconds_they_return() -> None:
    machine = FakeMachine(preemption=0.5)
    assert machine.clock() == machine.clock() == 0
    first = machine.runner(0.001)(3)
    second = machine.runner(0.004)(2)
    assert machine.clock() == pytest.approx(first + second)
    assert first > 0.0027
    assert second > 0.0072


def test_a_run_without_trouble_takes_the_seconds_it_should() -> None:
    machine = FakeMachine(jitter=0)
    assert machine.runner(0.003)(7) == pytest.approx(0.021, rel=1e-12)


def test_jitter_is_the_standard_deviation_of_the_logarithm() -> None:
    logs = [math.log(seconds / 0.001) for seconds in runs_of(FakeMachine(jitter=0.03), 10_000)]
    # three standard deviations: 0.03 / sqrt 10,000, and 0.03 / sqrt 20,000
    assert statistics.fmean(logs) == pytest.approx(0, abs=0.0009)
    assert statistics.pstdev(logs) == pytest.approx(0.03, abs=0.0007)


def test_drift_slows_all_down_by_its_share_at_most_and_back_once_a_period() -> None:
    machine = FakeMachine(jitter=0, drift=0.3, drift_seconds=2.0)
    seconds: list[float] = []
    while machine.clock() < 2:
        seconds += runs_of(machine, 1)
    assert min(seconds) == pytest.approx(0.001, rel=1e-4)
    assert max(seconds) == pytest.approx(0.0013, rel=1e-4)
    # the integral of 1 / (1 + d sin^2) over a period is that period by sqrt (1 + d): 2 / 0.001 / 1.1402
    assert len(seconds) == pytest.approx(1754, abs=2)
    assert runs_of(machine, 1)[0] == pytest.approx(seconds[0], rel=2e-3)  # a period later


@pytest.mark.parametrize(("kind", "extra_seconds"), [("spikes", 0.0001), ("preemption", 0.004)])
def test_interruptions_hit_their_share_of_runs_and_last_as_long_as_they_say(
    kind: str, extra_seconds: float
) -> None:
    shares: dict[str, float] = {kind: 0.7}
    seconds = runs_of(FakeMachine(0, jitter=0, **shares), 10_000)
    extra = [each - 0.001 for each in seconds if each > 0.001 + 1e-12]
    # three standard deviations: 3 sqrt (0.7 * 0.3 / 10,000), and 3 / sqrt 7,000 of the mean
    assert len(extra) / 10_000 == pytest.approx(0.7, abs=0.014)
    assert statistics.fmean(extra) == pytest.approx(extra_seconds, rel=0.036)
    # exponential: as spread as they are long
    assert statistics.pstdev(extra) == pytest.approx(extra_seconds, rel=0.06)


def test_the_seed_alone_decides_what_happens() -> None:
    def runs(seed: int) -> list[float]:
        return runs_of(FakeMachine(seed, drift=0.3, spikes=0.5, preemption=0.7), 50)

    assert runs(5) == runs(5)
    assert runs(5) != runs(6)
    phases = {FakeMachine(seed, jitter=0, drift=0.3).runner(1)(1) for seed in range(20)}
    assert len(phases) == 20


# Separate medians


def apart(machine: FakeMachine, estimate: Callable[[list[float]], float], runs: int = 100) -> float:
    """The usual: all runs of one, all runs of the other."""
    network, reference = machine.runner(UNIT_SECONDS * RATIO), machine.runner(UNIT_SECONDS)
    first = estimate([network(1) for _ in range(runs)])
    return first / estimate([reference(1) for _ in range(runs)])


@pytest.mark.parametrize("condition", ["drift", "preemption", "drift and preemption", "all"])
def test_medians_of_separate_runs_fail_where_the_blocks_do_not(condition: str) -> None:
    usual = [apart(FakeMachine(seed, **CONDITIONS[condition]), statistics.median) for seed in range(100)]
    assert within_one_percent(usual) < 0.15
    ours = [each.ratio for each in draws(condition, 100, 0.01, ONE_PERCENT, (1.0,))]
    assert within_one_percent(ours) > 0.9


def test_on_a_quiet_machine_medians_of_separate_runs_do() -> None:
    usual = [apart(FakeMachine(seed), statistics.median) for seed in range(100)]
    assert within_one_percent(usual) == 1


@pytest.mark.parametrize("condition", ["drift", "drift and preemption"])
def test_the_fastest_of_separate_runs_fails_in_a_drift(condition: str) -> None:
    usual = [apart(FakeMachine(seed, **CONDITIONS[condition]), min) for seed in range(100)]
    assert within_one_percent(usual) < 0.3


# Ratios


def test_the_ratio_is_within_one_percent_under_30_percent_drift_and_70_percent_preemption() -> None:
    latencies = draws("drift and preemption", 500, 0.01, ONE_PERCENT, (1.0,))
    # a 95% interval whose half is 1% promises 95 of 100 draws
    assert within_one_percent([each.ratio for each in latencies]) >= 0.95
    assert max(abs(each.ratio / RATIO - 1) for each in latencies) < 0.03
    assert sum(each.status == "ok" for each in latencies) >= 0.98 * len(latencies)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("condition", "most"),
    [
        ("quiet", 0.002),
        ("drift", 0.002),
        # what interrupts for a while adds more to the shorter of two runs: some of it stays in the ratio
        ("spikes", 0.003),
        ("preemption", 0.003),
        ("all", 0.005),
    ],
)
def test_the_mean_ratio_is_hardly_biased(condition: str, most: float) -> None:
    ratios = [each.ratio for each in draws(condition, 500, 0.03, PLAN, (1.0,))]
    assert statistics.fmean(ratios) == pytest.approx(RATIO, rel=most)
    # the standard error is a third of the least bound at most
    assert statistics.pstdev(ratios) / RATIO / math.sqrt(len(ratios)) < 0.0007


# Intervals


@pytest.mark.parametrize(
    ("condition", "panel"),
    [
        ("quiet", (1.0,)),
        ("drift", (1.0,)),
        ("spikes", (1.0,)),
        ("preemption", (1.0,)),
        ("all", (1.0,)),
        ("quiet", (1.0, 4.0)),
        ("drift", (1.0, 4.0)),
    ],
)
@pytest.mark.slow
def test_the_interval_holds_the_truth_in_about_95_of_100_draws(
    condition: str, panel: tuple[float, ...]
) -> None:
    # one standard deviation of 500 draws is 1%
    assert 0.90 <= held(draws(condition, 500, 0.03, PLAN, panel)) <= 0.98


@pytest.mark.slow
def test_intervals_reach_the_target_or_the_block_limit() -> None:
    latencies = [each for condition in ("quiet", "all") for each in draws(condition, 500, 0.03, PLAN, (1.0,))]
    narrow = 0
    for each in latencies:
        assert each.ratio_low <= each.ratio <= each.ratio_high
        half = math.log(each.ratio_high / each.ratio_low) / 2
        assert half <= PLAN.target_half_width or each.pairs == 2 * PLAN.max_abba_blocks
        assert (each.status == "ok") == (half <= PLAN.noisy)
        narrow += half <= PLAN.target_half_width
    assert 500 < narrow < 1000


# When to stop


def test_a_quiet_machine_takes_the_minimum_number_of_blocks() -> None:
    pairs = [each.pairs for each in draws("quiet", 100, 0.005, PLAN, (1.0,))]
    assert pairs == [2 * PLAN.min_abba_blocks] * 100


def test_more_noise_and_a_narrower_target_take_more_blocks() -> None:
    def mean_pairs(jitter: float, plan: MeasurementPlan) -> float:
        return statistics.fmean(each.pairs for each in draws("quiet", 100, jitter, plan, (1.0,)))

    assert mean_pairs(0.01, PLAN) < mean_pairs(0.03, PLAN) < mean_pairs(0.03, ONE_PERCENT)


def test_a_hopeless_machine_takes_the_maximum_and_is_noisy() -> None:
    plan = MeasurementPlan(max_seconds=math.inf)
    for seed in range(20):
        latency = measured(FakeMachine(seed, **HOPELESS), plan)
        assert (latency.pairs, latency.status) == (2 * plan.max_abba_blocks, "noisy")
        assert 0 < latency.ratio_low < latency.ratio < latency.ratio_high < math.inf


def test_a_hopeless_machine_stops_at_the_time_limit() -> None:
    for seed in range(20):
        # runs of some 30 and 50 ms: a block of 4 turns of up to 13 runs takes 2.5 s at most
        latency = measured(FakeMachine(seed, **HOPELESS), unit=0.025)
        assert latency.status == "noisy"
        assert 12 < latency.pairs < 42
        assert 20 <= latency.seconds < 23


def test_the_same_seed_measures_the_same() -> None:
    def once(seed: int) -> Latency:
        return measured(FakeMachine(seed, **HOPELESS), panel=(1.0, 4.0))

    def figures(latency: Latency) -> tuple[float, ...]:
        return (latency.ratio, latency.ratio_low, latency.ratio_high, latency.pairs, latency.seconds)

    assert figures(once(3)) == figures(once(3)) != figures(once(4))
