"""Latency as a paired ratio, on clocks that only the runs move."""

import copy
import importlib
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bneck.evaluate import BACKENDS, LatencyMeter, latency_backend
from bneck.evaluate.latency import (
    MAX_ROUNDS,
    PAIRS,
    TIMINGS,
    Run,
    median_interval,
    paired_ratios,
    settle,
    summarise,
)
from bneck.search_space import Architecture, Head, UnknownNameError
from bneck.search_space.network import Network, build_network, example_images

from ..search_space.helpers import TOY

SLOW, REFERENCE = TOY, replace(TOY, head=Head(20))
BLOCK = 1 + TIMINGS  # runs of a second or so each, the first one without the clock
TASKS = Path("/proc/self/task")


class Machine:
    """A clock, and runs that move it on and are written down.

    Args:
        slowness: by which the seconds of a run grow, given the time.
        cold_seconds: what a run costs in addition when another one ran before it.
    """

    def __init__(self, slowness: Callable[[float], float] = lambda now: 1, cold_seconds: float = 0) -> None:
        self.now, self.log = 0.0, ""
        self.slowness, self.cold_seconds = slowness, cold_seconds

    def clock(self) -> float:
        return self.now

    def run(self, name: str, seconds: Callable[[int], float] | float) -> Run:
        """A run of one letter; its seconds may depend on how many there were of it."""

        def once() -> None:
            cost = seconds if isinstance(seconds, int | float) else seconds(self.log.count(name))
            if not self.log.endswith(name):
                cost += self.cold_seconds
            self.log += name
            self.now += cost * self.slowness(self.now)

        return once


class MachineBackend:
    """`SLOW` runs as `A`, the reference as `B`, which takes a quarter of a second."""

    name = "machine"

    def __init__(self, machine: Machine, seconds: Callable[[int], float] | float) -> None:
        self.machine, self.seconds = machine, seconds

    def prepare(self, network: Network) -> Run:
        if network.architecture == SLOW:
            return self.machine.run("A", self.seconds)
        assert network.architecture == REFERENCE
        return self.machine.run("B", 0.25)


def meter(
    machine: Machine, seconds: Callable[[int], float] | float = 0.5, reference_ms: float | None = 8.0
) -> LatencyMeter:
    backend = MachineBackend(machine, seconds)
    return LatencyMeter(backend, build_network(REFERENCE), reference_ms, machine.clock)


def test_the_ratio_is_that_of_the_seconds_a_run() -> None:
    machine = Machine()
    runs = machine.run("A", 0.5), machine.run("B", 0.25)
    assert paired_ratios(*runs, clock=machine.clock) == [2.0] * PAIRS


def test_the_two_take_turns_at_going_first() -> None:
    machine = Machine()
    paired_ratios(machine.run("A", 0.5), machine.run("B", 0.25), pairs=4, clock=machine.clock)
    # to start with, a turn of each tells how many runs a timing needs
    assert machine.log == ("A" * BLOCK + "B" * BLOCK) + ("A" * BLOCK + "B" * 2 * BLOCK + "A" * BLOCK) * 2


def test_a_timing_of_short_runs_lasts_a_fifth_of_a_millisecond() -> None:
    machine = Machine()
    # 1/16384 s is 0.061 ms: 4 runs pass 0.2 ms, 3 do not
    paired_ratios(machine.run("A", 1 / 16384), machine.run("B", 0.25), pairs=1, clock=machine.clock)
    assert machine.log == "A" * BLOCK + "B" * BLOCK + "A" * (1 + 4 * TIMINGS) + "B" * BLOCK


def test_the_first_run_of_a_turn_finds_cold_caches_and_does_not_count() -> None:
    machine = Machine(cold_seconds=64)
    runs = machine.run("A", 1 / 16384), machine.run("B", 0.25)
    assert paired_ratios(*runs, clock=machine.clock) == [1 / 4096] * PAIRS


def test_the_quickest_timing_of_a_turn_counts() -> None:
    machine = Machine()

    def seconds(before: int) -> float:
        # 0 stands for the run that is not timed
        return {0: 0.125, 3: 0.5}.get(before % BLOCK, 4)

    runs = machine.run("A", seconds), machine.run("B", 0.25)
    assert paired_ratios(*runs, clock=machine.clock) == [2.0] * PAIRS


def test_a_machine_that_slows_down_leaves_the_ratio_alone_but_not_separate_means() -> None:
    # Every second of work makes the next one slower by 1/90: after the 90 s that 120 runs of each
    # last at first, e times slower.
    def slowness(now: float) -> float:
        return 1 + now / 90

    apart = Machine(slowness)
    ends = [0.0]
    for run in (apart.run("A", 0.5), apart.run("B", 0.25)):
        for _ in range(120):
            run()
        ends.append(apart.now)
    # (e^(60/90) - 1) / (e - e^(60/90)) = 0.948 / 0.771
    assert (ends[1] - ends[0]) / (ends[2] - ends[1]) == pytest.approx(1.23, abs=0.02)

    in_turns = Machine(slowness)
    runs = in_turns.run("A", 0.5), in_turns.run("B", 0.25)
    ratios = paired_ratios(*runs, clock=in_turns.clock)
    # Of slower and slower timings the first is the quickest: 0.5 s after A's turn begins, 0.25 s
    # after B's. From A to B, after A's turn of 3 s, it is 2.75 s, from B to A, after 1.5 s, 1.75 s:
    # the pairs are 2.75/90 = 3.1% low and 1.9% high in turns, and only half the difference stays.
    assert sorted(ratios)[PAIRS // 2 - 1 : PAIRS // 2 + 1] == pytest.approx([2 * 0.970, 2 * 1.0195], rel=2e-3)
    assert statistics.median(ratios) == pytest.approx(2, rel=0.007)


@pytest.mark.parametrize("interrupted", ["A", "B"])
def test_a_turn_in_which_all_is_slow_does_not_move_the_ratio(interrupted: str) -> None:
    def seconds(usual: float, name: str) -> Callable[[int], float]:
        # the turn that tells how many runs are needed, three others, and then this one
        return lambda before: 1000 if (before // BLOCK, name) == (4, interrupted) else usual

    machine = Machine()
    runs = machine.run("A", seconds(0.5, "A")), machine.run("B", seconds(0.25, "B"))
    ratios = paired_ratios(*runs, clock=machine.clock)
    assert sorted(ratios)[1:-1] == [2.0] * (PAIRS - 2)
    assert len(set(ratios)) == 2
    latency = summarise(ratios, 1)
    assert (latency.ratio_low, latency.ratio, latency.ratio_high) == (2, 2, 2)


def test_unless_told_otherwise_the_clock_counts_work_and_not_waiting() -> None:
    def work() -> None:
        sum(range(5000))

    def work_and_wait() -> None:
        work()
        time.sleep(0.002)

    # falling asleep and waking up is some work too: 1.4; by the wall some 50
    assert statistics.median(paired_ratios(work_and_wait, work, pairs=3)) < 8


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        (10, 2, 9),
        (15, 4, 12),
        (20, 6, 15),
        (25, 8, 18),
        (30, 10, 21),
        (40, 14, 27),
        (50, 18, 33),
        (60, 22, 39),
    ],
)
def test_the_interval_of_a_median_lies_between_the_ranks_that_scipy_has(
    count: int, low: int, high: int
) -> None:
    # scipy.stats.quantile_test(values).confidence_interval(0.95)
    values = list(range(1, count + 1))
    random.Random(0).shuffle(values)
    assert median_interval(values) == (low, high)


def test_more_confidence_needs_a_wider_interval() -> None:
    # of 20 throws of a coin at most 3 are heads with 0.0013, at most 4 with 0.0059; half a percent is allowed
    assert median_interval(range(1, 21), 0.99) == (4, 17)


@pytest.mark.parametrize(("count", "low", "high"), [(1, 1, 1), (5, 1, 5), (6, 1, 6), (8, 1, 8), (9, 2, 8)])
def test_few_values_leave_an_interval_from_the_least_to_the_most(count: int, low: int, high: int) -> None:
    # of 8 values 2^-8 + 8 * 2^-8 = 3.5% is more than the 2.5% allowed; of 9, 10 * 2^-9 = 2.0% is not
    assert median_interval(range(1, count + 1)) == (low, high)


def test_the_interval_holds_the_true_median_in_96_of_a_hundred_skewed_samples() -> None:
    rng = random.Random(0)
    held = 0
    for _ in range(4000):
        low, high = median_interval([rng.lognormvariate(0, 1) for _ in range(20)])
        held += low <= 1 <= high
    # 1 - 2 * 0.0207, that of at most 5 heads in 20 throws; three standard deviations are 0.0094
    assert held / 4000 == pytest.approx(0.9586, abs=0.0094)


def test_a_summary_is_the_median_its_interval_and_its_milliseconds() -> None:
    latency = summarise([float(value) for value in range(20, 0, -1)], reference_ms=8)
    assert (latency.ratio, latency.ratio_low, latency.ratio_high) == (10.5, 6, 15)
    assert latency.latency_ms == 84


@pytest.mark.parametrize("scale", [0.01, 1, 100])
@pytest.mark.parametrize(("excess", "status"), [(0.1, "ok"), (0.11, "noisy")])
def test_an_interval_wider_than_a_tenth_of_the_ratio_is_noisy(
    scale: float, excess: float, status: str
) -> None:
    # 0.1 of 1.05 is 9.5%, 0.11 of 1.055 is 10.4%
    values = [scale] * 10 + [scale * (1 + excess)] * 10
    assert summarise(values, reference_ms=3).status == status


def test_the_meter_gives_the_ratio_and_the_milliseconds_of_this_machine() -> None:
    latency = meter(Machine(), reference_ms=None).measure(build_network(SLOW))
    assert (latency.ratio, latency.latency_ms, latency.status) == (2, 500, "ok")


def test_milliseconds_are_told_on_the_scale_of_an_earlier_calibration() -> None:
    machine = Machine()
    earlier = meter(machine, reference_ms=8.0)
    assert machine.log == ""
    latency = earlier.measure(build_network(SLOW))
    assert (latency.ratio, latency.latency_ms) == (2, 16)


def test_a_slow_spell_does_not_move_the_calibration() -> None:
    # 36 runs of 120, or 6 turns of 20, take three times as long
    machine = Machine(slowness=lambda now: 3 if 3 <= now < 30 else 1)
    assert meter(machine, reference_ms=None).reference_ms == 250


def by_turn(seconds: Callable[[int], float]) -> Callable[[int], float]:
    """Seconds of a run by the number of its turn, 0 to `PAIRS - 1` in every round."""

    def of_run(before: int) -> float:
        turn = before // BLOCK % (PAIRS + 1) - 1
        return 0.5 if turn < 0 else seconds(turn)

    return of_run


def pairs_measured(machine: Machine) -> int:
    turns, rest = divmod(machine.log.count("A"), BLOCK)
    rounds, other_rest = divmod(turns, PAIRS + 1)
    assert rest == other_rest == 0
    return rounds * PAIRS


def test_a_quiet_network_is_measured_once() -> None:
    machine = Machine()
    meter(machine).measure(build_network(SLOW))
    assert pairs_measured(machine) == PAIRS


def test_a_noisy_network_is_measured_until_patience_ends() -> None:
    machine = Machine()
    every_second = by_turn(lambda turn: 0.5 + 0.25 * (turn % 2))
    latency = meter(machine, every_second).measure(build_network(SLOW))
    assert pairs_measured(machine) == MAX_ROUNDS * PAIRS
    # half of the turns take 2 times as long as the reference, half of them 3 times
    assert (latency.ratio_low, latency.ratio, latency.ratio_high, latency.status) == (2, 2.5, 3, "noisy")


def test_what_was_measured_before_counts_when_a_noisy_network_is_measured_again() -> None:
    machine = Machine()
    # 6 of 20 at half the time: the 6th value is one of them. 12 of 40: the 14th value is not.
    six_faster = by_turn(lambda turn: 0.25 if turn < 6 else 0.5)
    latency = meter(machine, six_faster).measure(build_network(SLOW))
    assert pairs_measured(machine) == 2 * PAIRS
    assert (latency.ratio_low, latency.ratio, latency.ratio_high, latency.status) == (2, 2, 2, "ok")


def network_that_shows_its_layers(architecture: Architecture) -> Network:
    """Weights and statistics far from those of a new network, whose logits are all about 0."""
    network = build_network(architecture)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in network.parameters():
            torch.nn.init.uniform_(parameter, -0.6, 0.8)
        network(example_images(architecture, count=16))
    return network


def test_an_untrained_network_settles_on_numbers_of_ordinary_size() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(replace(TOY, resolution_px=32))
    images = example_images(network.architecture, count=4)
    last_norm = network.features.get_submodule("norm")
    outputs: list[torch.Tensor] = []
    last_norm.register_forward_hook(lambda module, given, output: outputs.append(output.clone()))
    with torch.inference_mode():
        network.eval()(images)
        settled = settle(network.train())
        assert settled is network
        assert not network.training
        network(images)
    # as initialised, then while settling, then with the statistics of its own images
    assert outputs[0].std() < 0.1
    std, mean = torch.std_mean(outputs[2], (0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(10), rtol=0, atol=0.02)
    torch.testing.assert_close(std, torch.ones(10), rtol=0, atol=0.02)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_runs_the_network_as_it_is_in_evaluation_mode(name: str) -> None:
    network = network_that_shows_its_layers(TOY).train()
    with torch.inference_mode():
        images = example_images(TOY)
        expected = copy.deepcopy(network).eval()(images)
        assert expected.abs().max() > 0.1
    backend = latency_backend(name)
    assert backend.name == name
    run = backend.prepare(network)
    for _ in range(2):
        logits = np.asarray(run()).reshape(1, TOY.classes)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.skipif(not TASKS.is_dir(), reason="only Linux lists the threads of a process")
@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_runs_in_the_calling_thread(name: str) -> None:
    network = build_network(replace(TOY, resolution_px=128))
    importlib.import_module("onnxruntime")  # which starts a thread of its own, whatever is run
    before = {task.name for task in TASKS.iterdir()}
    threads = torch.get_num_threads()
    try:
        if name == "torch":
            torch.set_num_threads(2)
        run = latency_backend(name).prepare(network)
        run()
        assert {task.name for task in TASKS.iterdir()} <= before
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)


def test_an_unknown_backend_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError) as caught:
        latency_backend("tflite")
    assert str(caught.value) == "unknown latency backend 'tflite'; nearest: onnxruntime, torch"


@pytest.mark.parametrize("name", BACKENDS)
def test_on_a_real_clock_a_network_is_like_itself_and_25_times_the_macs_are_slower(name: str) -> None:
    small = replace(TOY, resolution_px=48)
    backend = latency_backend(name)
    real = LatencyMeter(backend, build_network(small))
    assert 0.5 < real.measure(build_network(small)).ratio < 2
    larger = real.measure(build_network(replace(TOY, resolution_px=240)))
    assert larger.ratio_low > 1.5
    assert real.reference_ms > 0
    assert larger.latency_ms == pytest.approx(larger.ratio * real.reference_ms)
