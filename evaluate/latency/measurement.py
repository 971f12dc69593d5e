"""Latency as a ratio to reference networks, measured so that it repeats on a busy machine.

The network and its references take turns in palindromes (ABBA, ABCCBA), so that a drift of the
machine cancels. A turn's time is its quickest timing, confirmed by a second one. The ratios of
the palindromes give the result and its interval; measuring goes on until that is narrow enough.
`docs/decisions/0006-latency.md` has the spread against that of the usual median of wall times.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..cores import usable_cores
from . import hodges_lehmann

Runner = Callable[[int], float]
"""Runs a network so many times in a row and gives the seconds that took, by the device's clock."""

Status = Literal["ok", "noisy", "failed"]

MIN_SECONDS = 1e-9
MAX_UNRESOLVED_RUNS = 64
MIN_REFERENCE_WEIGHT = 0.15  # a reference that counts for less is not worth its time


@dataclass(frozen=True, slots=True)
class Latency:
    """One network's latency on one device.

    Attributes:
        ratio: time over that of the panel's unit network; 1 is as fast as the unit.
        ratio_low, ratio_high: 95% interval of the ratio; of a prediction, 90%.
        latency_ms: `ratio` times the unit's milliseconds when the device was calibrated.
        status: `noisy` where the interval stayed wide, `failed_latency` where the device
            gave no time; then all figures are NaN.
        clock: what the time is of, like `CPU time of the thread`.
        pairs: turns of the network, each held against turns of the references around it.
        seconds: wall time that measuring took, preparation included.
        load: processes that wanted a core, for every core, in the minute before (Unix).
        device: `Device.key` of the device.
        source: `measured`, or `predicted` by a latency model.
        error: why it failed.
    """

    ratio: float
    ratio_low: float
    ratio_high: float
    latency_ms: float
    status: Status
    clock: str = ""
    pairs: int = 0
    seconds: float = 0.0
    load: float = 0.0
    device: str = ""
    source: Literal["measured", "predicted"] = "measured"
    error: str = ""


@dataclass(frozen=True)
class MeasurementPlan:
    """How long a device is asked.

    Attributes:
        target_half_width: the half width of the ratio's 95% interval, as a share of it, that is narrow
            enough.
        noisy: the half width above which a latency is told as noisy, when patience has ended.
        min_abba_blocks, max_abba_blocks: taken at least, and at most.
        max_seconds: of wall time, after which no more palindromes are begun.
        min_timing_seconds: the least a timing lasts, so that reading the clock does not count.
        max_timings: of a turn, which ends as soon as its two quickest timings agree.
        timing_tolerance: how far apart those two may be, as a share.
        warmup_runs: at the start of a turn, not timed: they find the caches as another network left them.
    """

    target_half_width: float = 0.02
    noisy: float = 0.05
    min_abba_blocks: int = hodges_lehmann.MIN_VALUES
    max_abba_blocks: int = 21
    max_seconds: float = 20.0
    min_timing_seconds: float = 0.0002
    max_timings: int = 12
    timing_tolerance: float = 0.01
    warmup_runs: int = 1


@dataclass(frozen=True)
class ReferenceRunners:
    """The networks of a panel, ready to run, and what is known of them.

    Attributes:
        runners: from the quickest to the slowest.
        ratios: of their times to the unit's, one a runner, rising.
        reference_ms: milliseconds of the unit, for which the ratio is 1.
    """

    runners: Sequence[Runner]
    ratios: Sequence[float]
    reference_ms: float

    def interpolation_weights(self, ratio: float) -> dict[int, float]:
        """The members next to a ratio, and their weights: nearer ones, on the log scale, weigh more."""
        last = len(self.ratios) - 1
        above = next((index for index, each in enumerate(self.ratios) if each >= ratio), None)
        if above is None or above == 0:
            return {last if above is None else 0: 1.0}
        low, high = math.log(self.ratios[above - 1]), math.log(self.ratios[above])
        fraction = (math.log(ratio) - low) / (high - low)
        if fraction <= MIN_REFERENCE_WEIGHT:
            return {above - 1: 1.0}
        if fraction >= 1 - MIN_REFERENCE_WEIGHT:
            return {above: 1.0}
        return {above - 1: 1 - fraction, above: fraction}


def measure(
    runner: Runner,
    references: ReferenceRunners,
    plan: MeasurementPlan = MeasurementPlan(),
    *,
    now: Callable[[], float] = time.perf_counter,
) -> Latency:
    """The ratio of a network's time to the unit's, until its interval is narrow or patience ends.

    Args:
        now: wall clock, in seconds.
    """
    start = now()
    rough_ms = 1000 * min_time(runner, 1, plan)
    weights = references.interpolation_weights(rough_ms / references.reference_ms)
    log_reference_ratio = sum(
        weight * math.log(references.ratios[index]) for index, weight in weights.items()
    )
    factors = [(runner, 1.0), *((references.runners[index], -weight) for index, weight in weights.items())]
    abba_block = AbbaBlock(factors, plan)
    log_ratios: list[float] = []
    should_stop = StoppingRule(plan)
    while not should_stop(log_ratios) and (
        len(log_ratios) < plan.min_abba_blocks or now() - start < plan.max_seconds
    ):
        log_ratios.append(log_reference_ratio + abba_block.log_ratio())
    return estimate_latency(log_ratios, references.reference_ms, plan, seconds=now() - start)


def estimate_latency(
    log_ratios: Sequence[float],
    reference_ms: float,
    plan: MeasurementPlan = MeasurementPlan(),
    seconds: float = 0.0,
) -> Latency:
    """The latency that the logarithms of the palindromes' ratios tell."""
    low, high = hodges_lehmann.confidence_interval(log_ratios)
    ratio = math.exp(hodges_lehmann.pseudomedian(log_ratios))
    return Latency(
        ratio=ratio,
        ratio_low=math.exp(low),
        ratio_high=math.exp(high),
        latency_ms=ratio * reference_ms,
        status="ok" if _half_width(log_ratios) <= plan.noisy else "noisy",
        pairs=2 * len(log_ratios),
        seconds=seconds,
        load=load_per_core(),
    )


class StoppingRule:
    """Whether the interval is narrow enough, asked ever more rarely.

    Asked after every palindrome, luck alone would be enough to stop, and the intervals too narrow.
    """

    def __init__(self, plan: MeasurementPlan) -> None:
        self.plan = plan
        self.next_check = plan.min_abba_blocks

    def __call__(self, log_ratios: Sequence[float]) -> bool:
        if len(log_ratios) >= self.plan.max_abba_blocks:
            return True
        if len(log_ratios) < self.next_check:
            return False
        self.next_check = math.ceil(1.5 * len(log_ratios))
        return _half_width(log_ratios) <= self.plan.target_half_width


def _half_width(log_ratios: Sequence[float]) -> float:
    low, high = hodges_lehmann.confidence_interval(log_ratios)
    return (high - low) / 2


class AbbaBlock:
    """Turns of several networks forwards and backwards: each is in the middle of the time they take.

    Args:
        factors: the runners, and the power of each one's time in the product that is wanted: 1 for
            the network, minus the weight for a reference.
    """

    def __init__(self, factors: Sequence[tuple[Runner, float]], plan: MeasurementPlan) -> None:
        self.factors = factors
        self.plan = plan
        self.n_runs = [runs_per_timing(runner, plan) for runner, _ in factors]

    def log_ratio(self) -> float:
        """The logarithm of the product, from one palindrome."""
        forward_order = range(len(self.factors))
        total = 0.0
        for index in (*forward_order, *reversed(forward_order)):
            runner, exponent = self.factors[index]
            total += exponent / 2 * math.log(min_time(runner, self.n_runs[index], self.plan))
        return total


def min_time(runner: Runner, n_runs: int, plan: MeasurementPlan) -> float:
    """Seconds a run in the quickest timing, confirmed by a second one or after `max_timings`."""
    if plan.warmup_runs:
        runner(plan.warmup_runs)
    quickest = second = math.inf
    for _ in range(plan.max_timings):
        seconds = runner(n_runs)
        if seconds < quickest:
            quickest, second = seconds, quickest
        elif seconds < second:
            second = seconds
        if second <= quickest * (1 + plan.timing_tolerance):
            break
    return max(quickest, MIN_SECONDS) / n_runs


def runs_per_timing(runner: Runner, plan: MeasurementPlan) -> int:
    """How many runs a timing needs."""
    if not plan.min_timing_seconds:
        return 1
    n_runs = 1
    while (
        seconds := min_time(runner, n_runs, plan)
    ) * n_runs <= MIN_SECONDS and n_runs < MAX_UNRESOLVED_RUNS:
        n_runs *= 2  # until a clock of coarse ticks moves
    return max(n_runs, math.ceil(plan.min_timing_seconds / seconds))


def failed_latency(error: str) -> Latency:
    """What a device that gave no time tells."""
    return Latency(math.nan, math.nan, math.nan, math.nan, "failed", error=error)


def load_per_core() -> float:
    """The load average of the last minute, for every core of this process; 0 where there is none."""
    return round(os.getloadavg()[0] / usable_cores(), 2) if hasattr(os, "getloadavg") else 0.0
