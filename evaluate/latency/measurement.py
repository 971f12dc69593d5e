"""Latency as a ratio to reference networks, measured so that it repeats on a busy machine.

The network and its references run alternately in ABBA blocks (ABBA, ABCCBA), which cancels a linear drift of
the machine. The time of one turn is its minimum, confirmed by a second timing. The log ratios of the blocks
give the estimate and its interval; blocks are added until the interval is narrow enough.
`docs/decisions/0006-latency.md` compares the spread with that of the median wall time.
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
"""Runs a network the given number of times and returns the elapsed seconds of the device's clock."""

Status = Literal["ok", "noisy", "failed"]

ONE_SIDED_SHARE = 1.6449 / 1.9600  # normal quantiles of 95% and 97.5%
MIN_SECONDS = 1e-9
MAX_UNRESOLVED_RUNS = 64
MIN_REFERENCE_WEIGHT = 0.15  # a reference with a smaller weight is not measured


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of one network on one device.

    Attributes:
        ratio: latency relative to the reference network; 1 is as fast as the reference.
        ratio_low, ratio_high: 95% confidence interval of the ratio; 90% interval for a prediction.
        latency_ms: `ratio` times the latency of the reference in milliseconds at calibration.
        status: `noisy` if the interval stayed wide; `failed` if the device could not run the network, and
            all figures are NaN.
        clock: description of the clock, such as `CPU time of the thread`.
        pairs: turns of the network, each paired with turns of the references.
        seconds: wall time of the measurement, including preparation.
        load: 1-minute load average per core (Unix).
        device: `Device.key` of the device.
        source: `measured`, or `predicted` by a latency predictor.
        error: reason of a failure.
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

    @property
    def upper_factor(self) -> float:
        """One-sided 95% upper confidence bound of the latency, divided by the latency."""
        share = 1.0 if self.source == "predicted" else ONE_SIDED_SHARE
        return float((self.ratio_high / self.ratio) ** share)


@dataclass(frozen=True)
class MeasurementPlan:
    """Stopping rule and timing parameters of a measurement.

    Attributes:
        target_half_width: relative half width of the ratio's 95% interval at which measuring stops.
        noisy: relative half width above which the final status is `noisy`.
        min_abba_blocks, max_abba_blocks: minimum and maximum number of ABBA blocks.
        max_seconds: wall time after which no further block is started.
        min_timing_seconds: minimum duration of one timing, so that reading the clock is negligible.
        max_timings: maximum timings per turn; a turn ends once its two fastest timings agree.
        timing_tolerance: relative difference up to which two timings agree.
        warmup_runs: runs at the start of a turn that are not timed; they warm up the caches.
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
    """The prepared networks of a reference panel with their calibrated latencies.

    Attributes:
        runners: in ascending order of latency.
        ratios: latency relative to the reference, one per runner, ascending.
        reference_ms: latency of the reference (ratio 1) in milliseconds.
    """

    runners: Sequence[Runner]
    ratios: Sequence[float]
    reference_ms: float

    def interpolation_weights(self, ratio: float) -> dict[int, float]:
        """Indices of the one or two references nearest to a ratio, with linear weights on the log scale."""
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
    """Measure a network until the interval is narrow enough or the plan's limits are reached.

    Args:
        runner: the prepared network.
        references: the prepared reference panel.
        now: wall clock in seconds.
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
    """Latency from the log ratios of at least six ABBA blocks."""
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
    """Stop once the interval is narrow enough, checked after 6, 9, 14, 21, ... blocks.

    A check after every block would stop on chance fluctuations and make the intervals too narrow.
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
    """Turns of several networks in forward and reverse order (ABBA), which cancels a linear drift.

    Args:
        factors: runners with the exponents of their times in the product: 1 for the network, the negative
            weight for a reference.
    """

    def __init__(self, factors: Sequence[tuple[Runner, float]], plan: MeasurementPlan) -> None:
        self.factors = factors
        self.plan = plan
        self.n_runs = [runs_per_timing(runner, plan) for runner, _ in factors]

    def log_ratio(self) -> float:
        """Run one block; logarithm of the product of times to their exponents."""
        forward_order = range(len(self.factors))
        total = 0.0
        for index in (*forward_order, *reversed(forward_order)):
            runner, exponent = self.factors[index]
            total += exponent / 2 * math.log(min_time(runner, self.n_runs[index], self.plan))
        return total


def min_time(runner: Runner, n_runs: int, plan: MeasurementPlan) -> float:
    """Seconds per run of the fastest timing, confirmed by a second one or after `max_timings`."""
    if plan.warmup_runs:
        runner(plan.warmup_runs)
    fastest = second = math.inf
    for _ in range(plan.max_timings):
        seconds = runner(n_runs)
        if seconds < fastest:
            fastest, second = seconds, fastest
        elif seconds < second:
            second = seconds
        if second <= fastest * (1 + plan.timing_tolerance):
            break
    return max(fastest, MIN_SECONDS) / n_runs


def runs_per_timing(runner: Runner, plan: MeasurementPlan) -> int:
    """Number of runs per timing for it to last `min_timing_seconds`."""
    if not plan.min_timing_seconds:
        return 1
    n_runs = 1
    while (
        seconds := min_time(runner, n_runs, plan)
    ) * n_runs <= MIN_SECONDS and n_runs < MAX_UNRESOLVED_RUNS:
        n_runs *= 2  # until a clock of coarse ticks moves
    return max(n_runs, math.ceil(plan.min_timing_seconds / seconds))


def failed_latency(error: str) -> Latency:
    """A latency with status `failed`; all figures are NaN."""
    return Latency(math.nan, math.nan, math.nan, math.nan, "failed", error=error)


def load_per_core() -> float:
    """1-minute load average per usable core; 0 on systems without one."""
    return round(os.getloadavg()[0] / usable_cores(), 2) if hasattr(os, "getloadavg") else 0.0
