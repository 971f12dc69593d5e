"""Latency ratios from ABBA blocks, on simulated clocks."""

import math
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from bneck.evaluate.latency.measurement import (
    MIN_REFERENCE_WEIGHT,
    AbbaBlock,
    Latency,
    MeasurementPlan,
    ReferenceRunners,
    Runner,
    StoppingRule,
    estimate_latency,
    failed_latency,
    load_per_core,
    measure,
    min_time,
    runs_per_timing,
)

Seconds = Callable[[int], float] | float

TURN = 3  # runs of a second or so: one that warms up, and two timings that agree
PATIENT = MeasurementPlan(max_seconds=math.inf)


class Machine:
    """A clock, and networks of one letter that move it on and are written down.

    Args:
        slowness: by which the seconds of a run grow, given the time.
        cold_seconds: what a run costs in addition when another network ran before it.
    """

    def __init__(self, slowness: Callable[[float], float] = lambda now: 1, cold_seconds: float = 0) -> None:
        self.now, self.log = 0.0, ""
        self.slowness, self.cold_seconds = slowness, cold_seconds

    def clock(self) -> float:
        return self.now

    def runner(self, name: str, seconds: Seconds) -> Runner:
        """A network whose seconds may depend on how often it ran before."""

        def run(count: int) -> float:
            start = self.now
            for _ in range(count):
                cost = seconds if isinstance(seconds, int | float) else seconds(self.log.count(name))
                if not self.log.endswith(name):
                    cost += self.cold_seconds
                self.log += name
                self.now += cost * self.slowness(self.now)
            return self.now - start

        return run


def by_block(seconds: Callable[[int], float]) -> Callable[[int], float]:
    """Seconds of the network by the number of the block, two turns each; 0.5 before them."""
    return by_turn(lambda number: seconds(number // 2))


def by_turn(seconds: Callable[[int], float], before_them: int = 2) -> Callable[[int], float]:
    """Seconds by the number of the turn in the blocks.

    Args:
        before_them: turns that show where among the references the network is, and how many runs
            a timing needs; of a reference there is only the last.
    """

    def of_run(before: int) -> float:
        number = before // TURN - before_them
        return 0.5 if number < 0 else seconds(number)

    return of_run


def against_one_reference(
    machine: Machine,
    network: Seconds,
    reference: Seconds = 0.25,
    plan: MeasurementPlan = PATIENT,
    reference_ms: float = 250,
) -> Latency:
    """Network `A` against the reference `B`."""
    references = ReferenceRunners([machine.runner("B", reference)], [1.0], reference_ms)
    return measure(machine.runner("A", network), references, plan, now=machine.clock)


def against_two_references(
    machine: Machine, network: Seconds, quick: Seconds = 0.25, slow: Seconds = 1
) -> Latency:
    """Network `A` against the reference `B` and `C`, 4 times as slow when calibrated."""
    references = ReferenceRunners([machine.runner("B", quick), machine.runner("C", slow)], [1.0, 4.0], 250)
    return measure(machine.runner("A", network), references, PATIENT, now=machine.clock)


# The result


def test_the_ratio_is_that_of_the_seconds_and_the_milliseconds_are_the_calibrated_ones() -> None:
    machine = Machine()
    latency = against_one_reference(machine, 0.5, reference_ms=8)
    assert (latency.ratio_low, latency.ratio, latency.ratio_high) == pytest.approx((2, 2, 2), rel=1e-12)
    assert latency.latency_ms == pytest.approx(16, rel=1e-12)
    assert (latency.status, latency.source, latency.error) == ("ok", "measured", "")
    assert latency.seconds == machine.now > 0


def test_the_network_is_faster_than_the_reference_where_the_ratio_is_below_one() -> None:
    assert against_one_reference(Machine(), 0.0625).ratio == pytest.approx(0.25, rel=1e-12)


def test_the_ratio_and_its_interval_are_those_of_the_blocks() -> None:
    # ratios 2, 4, 8, 16, 32 and 64: symmetric on the log scale around 2^3.5; of six values the
    # interval is all of them
    plan = replace(PATIENT, max_abba_blocks=6)
    latency = against_one_reference(Machine(), by_block(lambda number: 0.5 * 2.0**number), plan=plan)
    assert (latency.ratio_low, latency.ratio, latency.ratio_high) == pytest.approx((2, 2**3.5, 64), rel=1e-12)
    assert latency.latency_ms == pytest.approx(250 * 2**3.5, rel=1e-12)
    assert (latency.pairs, latency.status) == (12, "noisy")


def test_the_ratio_of_a_block_is_the_geometric_mean_of_its_turns() -> None:
    # the network takes 0.5 and 2 s, its mean 1 s; the reference 1/8 and 1/2 s, its mean 1/4 s
    network = by_turn(lambda number: (0.5, 2)[number % 2])
    reference = by_turn(lambda number: (0.125, 0.5)[number % 2], before_them=1)
    latency = against_one_reference(Machine(), network, reference)
    assert (latency.ratio_low, latency.ratio, latency.ratio_high) == pytest.approx((4, 4, 4), rel=1e-12)


def test_a_summary_worked_out_by_hand() -> None:
    # pair means of 0, 1, 1, 2, 2 and 6: 21, of which the 11th is 1.5
    # 0 .5 .5 1 1 3 / 1 1 1.5 1.5 3.5 / 1 1.5 1.5 3.5 / 2 2 4 / 2 4 / 6
    latency = estimate_latency([2.0, 0.0, 1.0, 6.0, 1.0, 2.0], reference_ms=8, seconds=5)
    assert (latency.ratio_low, latency.ratio, latency.ratio_high) == pytest.approx(
        (1, math.exp(1.5), math.exp(6))
    )
    assert latency.latency_ms == pytest.approx(8 * math.exp(1.5))
    assert (latency.pairs, latency.seconds, latency.status) == (12, 5, "noisy")


@pytest.mark.parametrize(("noisy", "status"), [(0.5, "ok"), (0.499, "noisy")])
@pytest.mark.parametrize("level", [-4.0, 0.0, 4.0])
def test_an_interval_with_a_half_width_above_the_limit_is_noisy(
    noisy: float, status: str, level: float
) -> None:
    # of six values the interval is from the least to the greatest: 1, of which half is 0.5
    logs = [level, level, level, level + 1, level + 1, level + 1]
    assert estimate_latency(logs, 1, MeasurementPlan(noisy=noisy)).status == status
    # the target is for stopping only
    assert estimate_latency(logs, 1, MeasurementPlan(noisy=noisy, target_half_width=9)).status == status


@pytest.mark.parametrize(("half_width", "status"), [(0.0499, "ok"), (0.0501, "noisy")])
def test_by_default_five_percent_to_each_side_are_noisy(half_width: float, status: str) -> None:
    # of six values the interval is from the least to the greatest
    logs = [0.0, *[half_width] * 4, 2 * half_width]
    assert estimate_latency(logs, 1).status == status


def test_a_device_that_gave_no_time_has_no_figures_but_a_reason() -> None:
    latency = failed_latency("the phone was unplugged")
    assert (latency.status, latency.error, latency.pairs) == ("failed", "the phone was unplugged", 0)
    figures = (latency.ratio, latency.ratio_low, latency.ratio_high, latency.latency_ms)
    assert all(math.isnan(figure) for figure in figures)


def test_the_load_is_that_of_the_last_minute_for_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 40.0, 50.0), raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    assert load_per_core() == 1.5
    assert against_one_reference(Machine(), 0.5).load == 1.5
    monkeypatch.setattr(os, "getloadavg", lambda: (0.3333, 0, 0), raising=False)
    assert load_per_core() == 0.17


def test_without_a_load_average_the_load_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert load_per_core() == 0


# Turns


def timings(*seconds: float) -> tuple[Machine, Runner]:
    machine = Machine()
    return machine, machine.runner("A", lambda before: seconds[before])


def test_the_first_run_of_a_turn_is_not_timed() -> None:
    machine, runner = timings(0.125, 1, 1)
    assert min_time(runner, 1, MeasurementPlan()) == 1
    assert len(machine.log) == 3


@pytest.mark.parametrize(("warmup_runs", "seconds"), [(0, 1), (1, 4), (2, 16)])
def test_a_plan_may_warm_up_longer_or_not_at_all(warmup_runs: int, seconds: float) -> None:
    machine, runner = timings(1, 4, 16, 1, 4, 16)
    assert min_time(runner, 1, MeasurementPlan(warmup_runs=warmup_runs, max_timings=1)) == seconds
    assert len(machine.log) == warmup_runs + 1


def test_cold_caches_after_another_network_do_not_count() -> None:
    latency = against_one_reference(Machine(cold_seconds=64), 0.5)
    assert (latency.ratio_low, latency.ratio, latency.ratio_high) == pytest.approx((2, 2, 2), rel=1e-12)


@pytest.mark.parametrize(
    ("seconds", "count", "fastest"),
    [
        ((8, 8, 1, 1), 2, 8),  # at once, though later ones would be quicker
        ((1.25, 1, 1, 1), 2, 1),  # the earlier one agrees with a quicker one
        ((1, 1.25, 1, 1), 2, 1),
        ((1, 1.5, 1.25, 1), 3, 1),  # 1.5 is too far from 1
        ((1, 3, 2, 1.25, 1), 4, 1),  # the second is the second fastest, not the last
        ((1, 2, 2, 2, 1), 5, 1),  # that the slower ones agree does not help
        ((4, 8, 2, 4, 1, 2, 1.25, 1), 7, 1),
    ],
)
def test_a_turn_ends_when_its_two_fastest_timings_agree(
    seconds: tuple[float, ...], count: int, fastest: float
) -> None:
    machine, runner = timings(100, *seconds)
    assert min_time(runner, 1, MeasurementPlan(timing_tolerance=0.25)) == fastest
    assert len(machine.log) == 1 + count


def test_by_default_timings_agree_within_one_percent() -> None:
    machine, runner = timings(100, 1, 1.011, 1.0099, 1)
    assert min_time(runner, 1, MeasurementPlan()) == pytest.approx(1)
    assert len(machine.log) == 1 + 3


def test_a_turn_without_agreement_ends_after_twelve_timings_with_the_fastest() -> None:
    machine, runner = timings(1, *(2.0 ** abs(number - 7) for number in range(20)))
    # the smallest exponents are those of 6, 7 and 8: 2, 1 and 2
    assert min_time(runner, 1, MeasurementPlan()) == 1
    assert len(machine.log) == 1 + 12


def test_the_seconds_of_a_turn_are_those_of_one_run() -> None:
    machine = Machine()
    assert min_time(machine.runner("A", 1 / 4096), 3, MeasurementPlan()) == 1 / 4096
    assert len(machine.log) == 1 + 2 * 3


def test_a_timing_of_short_runs_lasts_a_fifth_of_a_millisecond() -> None:
    machine = Machine()
    short = machine.runner("A", 1 / 16384)
    # 1/16384 s is 0.061 ms: 4 runs pass 0.2 ms, 3 do not
    assert runs_per_timing(short, MeasurementPlan()) == 4
    assert runs_per_timing(short, MeasurementPlan(min_timing_seconds=4 / 16384)) == 4
    assert runs_per_timing(short, MeasurementPlan(min_timing_seconds=5 / 16384)) == 5
    assert runs_per_timing(machine.runner("B", 1 / 4096), MeasurementPlan()) == 1
    assert runs_per_timing(machine.runner("C", 3), MeasurementPlan()) == 1


def test_without_a_minimum_duration_a_timing_is_one_run() -> None:
    machine = Machine()
    assert runs_per_timing(machine.runner("A", 1e-6), MeasurementPlan(min_timing_seconds=0)) == 1
    assert machine.log == ""


def test_every_network_has_the_repeats_that_it_needs() -> None:
    machine = Machine()
    # 4 runs of the network make a timing, 2 of the reference (1/8192 s is 0.122 ms)
    network, reference = machine.runner("A", 1 / 16384), machine.runner("B", 1 / 8192)
    block = AbbaBlock([(network, 1.0), (reference, -1.0)], MeasurementPlan())
    machine.log = ""
    assert block.log_ratio() == pytest.approx(math.log(0.5))
    assert machine.log == "A" * 9 + "B" * 5 + "B" * 5 + "A" * 9


def test_runs_too_short_for_the_clock_give_a_ratio_and_no_exception() -> None:
    latency = against_one_reference(Machine(), 0.0, 0.25, MeasurementPlan(min_timing_seconds=1e-8))
    # 64 runs read as the minimum, a nanosecond; ten times as many would last the 10 ns
    assert latency.ratio == pytest.approx(1e-9 / 640 / 0.25)


def test_on_a_clock_that_ticks_slowly_a_network_is_not_run_for_minutes() -> None:
    # gVisor and old kernels move the CPU clock in ticks of 10 ms; here of 1/64 s. Timings of runs of
    # 3 ms read 0, 0: now a timing is 200,000 runs, ten minutes; 10 would do.
    machine = Machine()
    exact = machine.runner("A", 0.003)

    def ticking(count: int) -> float:
        start = machine.now // (1 / 64)
        exact(count)
        return (machine.now // (1 / 64) - start) / 64

    assert runs_per_timing(ticking, MeasurementPlan()) * 0.003 < MeasurementPlan().max_seconds


# Palindromes


def test_the_two_take_turns_forwards_and_backwards() -> None:
    machine = Machine()
    against_one_reference(machine, 0.5)
    # to start with, a turn shows where among the references the network is, and a turn of each how many
    # runs a timing needs
    assert machine.log == spelled("A" + "AB" + "ABBA" * 6)


def spelled(turns: str) -> str:
    return "".join(letter * TURN for letter in turns)


def test_with_two_references_the_network_is_outside() -> None:
    machine = Machine()
    against_two_references(machine, 0.5)
    assert machine.log == spelled("A" + "ABC" + "ABCCBA" * 6)


def test_a_machine_that_slows_down_leaves_the_ratio_alone_but_not_separate_means() -> None:
    # Every second of work makes the next one slower by 1/90: after the 90 s that 120 runs of each
    # last at first, e times slower.
    def slowness(now: float) -> float:
        return 1 + now / 90

    apart = Machine(slowness)
    first = apart.runner("A", 0.5)(120)
    second = apart.runner("B", 0.25)(120)
    # (e^(60/90) - 1) / (e - e^(60/90)) = 0.948 / 0.771
    assert first / second == pytest.approx(1.23, abs=0.02)

    # Turns of A last 1.5 s, of B 0.75 s, and the first timing of slower and slower ones counts: at 0.5
    # and 3.5 s of a block for A, at 1.75 and 2.5 s for B, on average at 2 and 2.125 s. The ratio
    # is 0.125/90 = 0.14% low; of AB alone 1.25/90 = 1.4%.
    latency = against_one_reference(Machine(slowness), 0.5)
    assert latency.ratio == pytest.approx(2 * (1 - 0.0014), rel=3e-4)


def test_two_references_do_not_let_a_drift_in_either() -> None:
    # Every second makes the next one slower by 1/180. In a block of 10.5 s, A's timings begin at
    # 0.5 and 9.5 s, B's at 1.75 and 8.5 s, C's at 3.25 and 6.25 s: 5, 5.125 and 4.75 on average, so
    # that (5 - 4.94) / 180 = 0.03% stays. Of ABC alone it were (0.5 - 2.5) / 180 = -1.1%.
    latency = against_two_references(Machine(lambda now: 1 + now / 180), 0.5)
    assert latency.ratio == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("interrupted", ["A", "B"])
def test_a_block_in_which_all_of_a_network_is_slow_costs_time_but_does_not_move_the_ratio(
    interrupted: str,
) -> None:
    def seconds(name: str, usual: float) -> Callable[[int], float]:
        return by_turn(
            lambda number: 1000 * usual if (number // 2, name) == (0, interrupted) else usual,
            before_them=2 if name == "A" else 1,
        )

    latency = against_one_reference(Machine(), seconds("A", 0.5), seconds("B", 0.25))
    # Pair means with the slow one are 6 of 21, 9 of 45 and 14 of 105. At an end 0, 5 and 21 are cut off.
    assert latency.pairs == 2 * 14
    assert (latency.ratio_low, latency.ratio, latency.ratio_high) == pytest.approx((2, 2, 2), rel=1e-12)
    assert latency.status == "ok"


# References


@pytest.mark.parametrize(
    ("ratio", "weights"),
    [
        (0.5, {0: 1.0}),  # outside: the nearest
        (1, {0: 1.0}),
        (4**0.14, {0: 1.0}),  # the other one would count for 0.14
        (4**0.16, {0: 0.84, 1: 0.16}),
        (2, {0: 0.5, 1: 0.5}),
        (4**0.84, {0: 0.16, 1: 0.84}),
        (4**0.86, {1: 1.0}),
        (4, {1: 1.0}),
        (4 * 8**0.25, {1: 0.75, 2: 0.25}),
        (4 * 8**0.75, {1: 0.25, 2: 0.75}),
        (32, {2: 1.0}),
        (1000, {2: 1.0}),
    ],
)
def test_references_weigh_by_their_nearness_on_the_log_scale(ratio: float, weights: dict[int, float]) -> None:
    machine = Machine()
    references = ReferenceRunners([machine.runner(name, 1) for name in "BCD"], [1.0, 4.0, 32.0], 250)
    assert MIN_REFERENCE_WEIGHT == 0.15
    assert references.interpolation_weights(ratio) == pytest.approx(weights)


def test_a_single_reference_is_the_nearest_to_all() -> None:
    references = ReferenceRunners([Machine().runner("B", 1)], [1.0], 250)
    assert (
        references.interpolation_weights(0.01)
        == references.interpolation_weights(1)
        == references.interpolation_weights(100)
        == {0: 1.0}
    )


def test_a_reference_that_is_slower_today_moves_the_ratio_by_its_weight() -> None:
    # A is half way from B to C on the log scale. C takes 1.21 times as long today as when the panel was
    # calibrated: by half of that, on the log scale, the network seems quicker, 2 / 1.21^0.5.
    latency = against_two_references(Machine(), 0.5, slow=1.21)
    assert latency.ratio == pytest.approx(2 / 1.1, rel=1e-9)
    assert latency.latency_ms == pytest.approx(500 / 1.1, rel=1e-9)


def test_unequal_weights_enter_as_powers() -> None:
    # 4^0.25 = sqrt 2: weights 0.75 and 0.25; B is 16 times slower than calibrated and C as it was
    latency = against_two_references(Machine(), 0.25 * math.sqrt(2), quick=4)
    assert latency.ratio == pytest.approx(math.sqrt(2) / 16**0.75, rel=1e-9)


def test_a_network_beyond_the_panel_is_measured_against_the_slowest_only() -> None:
    machine = Machine()
    latency = against_two_references(machine, 8)
    assert "B" not in machine.log
    assert latency.ratio == pytest.approx(32, rel=1e-12)


def test_a_machine_that_is_twice_as_slow_as_when_calibrated_gives_the_same_ratio() -> None:
    # It thinks A is as slow as C, twice what it is, and holds it against C only.
    machine = Machine(slowness=lambda now: 2)
    latency = against_two_references(machine, 0.5)
    assert "B" not in machine.log
    assert (latency.ratio, latency.latency_ms) == pytest.approx((2, 500), rel=1e-12)


# When to stop

hopeless = by_block(lambda number: 2.0 ** (number * 7 % 11))  # 1 to 1024 s, mixed
WIDE = [float(value * 7 % 41) for value in range(41)]  # 0 to 40, mixed


def stops_when_narrow_at_last(count: int) -> bool:
    """Whether that many logs, narrow all of a sudden after wide ones, are enough."""
    should_stop = StoppingRule(MeasurementPlan(max_abba_blocks=40))
    assert not any(should_stop(WIDE[:number]) for number in range(count))
    return should_stop([0.0] * count)


def test_the_interval_is_checked_after_6_9_14_21_and_32_blocks() -> None:
    # half as many again, rounded up: 9, 13.5, 21 and 31.5; 48 is beyond the 40 that are the most
    assert [count for count in range(41) if stops_when_narrow_at_last(count)] == [6, 9, 14, 21, 32, 40]


@pytest.mark.parametrize(("half_width", "enough"), [(0.0199, True), (0.0201, False)])
def test_by_default_two_percent_to_each_side_are_enough(half_width: float, enough: bool) -> None:
    # of six values the interval is from the least to the greatest
    assert StoppingRule(MeasurementPlan())([0.0, *[half_width] * 4, 2 * half_width]) == enough


def test_a_plan_with_a_larger_minimum_checks_later() -> None:
    should_stop = StoppingRule(MeasurementPlan(min_abba_blocks=10, max_abba_blocks=20))
    stopped = [should_stop(WIDE[:count]) for count in range(20)]
    assert not any(stopped)
    should_stop = StoppingRule(MeasurementPlan(min_abba_blocks=10, max_abba_blocks=20))
    assert [count for count in range(11) if should_stop([0.0] * count)] == [10]
    assert should_stop(WIDE[:20])


def test_by_default_there_are_at_most_21_blocks() -> None:
    machine = Machine()
    latency = against_one_reference(machine, hopeless)
    assert machine.log.count("B") == TURN * (1 + 2 * 21)
    assert (latency.pairs, latency.status) == (42, "noisy")
    assert latency.ratio_low < latency.ratio < latency.ratio_high


def test_a_quiet_network_takes_six_blocks() -> None:
    machine = Machine()
    assert against_one_reference(machine, 0.5).pairs == 12
    assert machine.log.count("B") == TURN * (1 + 2 * 6)


def test_a_wider_target_ends_earlier() -> None:
    # three blocks 3% and three 0.1% slower: the interval is all of six values, half of it 1.45%; of
    # these only the wide target lets it be
    seconds = by_block(lambda number: 0.5 * math.exp((0.03, 0.001)[number % 2]))
    assert against_one_reference(Machine(), seconds).pairs == 12
    assert (
        against_one_reference(Machine(), seconds, plan=replace(PATIENT, target_half_width=0.014)).pairs > 12
    )


@pytest.mark.parametrize(("max_seconds", "blocks"), [(9.5, 10), (10, 10), (10.5, 11), (3, 6), (0, 6)])
def test_no_block_starts_after_the_time_limit_except_the_first_six(max_seconds: float, blocks: int) -> None:
    machine = Machine()

    def wall() -> float:
        """A second for every block, in which the reference has two turns."""
        return max(0, machine.log.count("B") - TURN) / (2 * TURN)

    latency = measure(
        machine.runner("A", hopeless),
        ReferenceRunners([machine.runner("B", 0.25)], [1.0], 250),
        MeasurementPlan(max_seconds=max_seconds),
        now=wall,
    )
    assert latency.pairs == 2 * blocks
    assert latency.seconds == blocks
    assert latency.status == "noisy"


def test_the_time_limit_counts_from_the_call() -> None:
    machine = Machine()
    machine.now = 1e6
    latency = against_one_reference(machine, hopeless, plan=MeasurementPlan(max_seconds=1e5))
    assert latency.pairs == 42
    assert latency.seconds == machine.now - 1e6
