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

from . import hodges_lehmann as signed_rank
from .device import usable_cores

Runner = Callable[[int], float]
"""Runs a network so many times in a row and gives the seconds that took, by the device's clock."""

Status = Literal["ok", "noisy", "failed"]

LEAST_SECONDS = 1e-9
MOST_BLIND_RUNS = 64
LEAST_WEIGHT = 0.15  # a reference that counts for less is not worth its time


@dataclass(frozen=True, slots=True)
class Latency:
    """One network's latency on one device.

    Attributes:
        ratio: time over that of the panel's unit network; 1 is as fast as the unit.
        ratio_low, ratio_high: 95% interval of the ratio; of a prediction, 90%.
        latency_ms: `ratio` times the unit's milliseconds when the device was calibrated.
        status: `noisy` where the interval stayed wide, `failed` where the device
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
class Plan:
    """How long a device is asked.

    Attributes:
        target: the half width of the ratio's 95% interval, as a share of it, that is narrow enough.
        noisy: the half width above which a latency is told as noisy, when patience has ended.
        least_palindromes, most_palindromes: taken at least, and at most.
        most_seconds: of wall time, after which no more palindromes are begun.
        timing_seconds: the least a timing lasts, so that reading the clock does not count.
        most_timings: of a turn, which ends as soon as its two quickest timings agree.
        agree: how far apart those two may be, as a share.
        warm_runs: at the start of a turn, not timed: they find the caches as another network left them.
    """

    target: float = 0.02
    noisy: float = 0.05
    least_palindromes: int = signed_rank.LEAST_VALUES
    most_palindromes: int = 21
    most_seconds: float = 20.0
    timing_seconds: float = 0.0002
    most_timings: int = 12
    agree: float = 0.01
    warm_runs: int = 1


@dataclass(frozen=True)
class References:
    """The networks of a panel, ready to run, and what is known of them.

    Attributes:
        runners: from the quickest to the slowest.
        ratios: of their times to the unit's, one a runner, rising.
        unit_ms: milliseconds of the unit, for which the ratio is 1.
    """

    runners: Sequence[Runner]
    ratios: Sequence[float]
    unit_ms: float

    def around(self, ratio: float) -> dict[int, float]:
        """The members next to a ratio, and their weights: nearer ones, on the log scale, weigh more."""
        last = len(self.ratios) - 1
        above = next((number for number, each in enumerate(self.ratios) if each >= ratio), None)
        if above is None or above == 0:
            return {last if above is None else 0: 1.0}
        low, high = math.log(self.ratios[above - 1]), math.log(self.ratios[above])
        share = (math.log(ratio) - low) / (high - low)
        if share <= LEAST_WEIGHT:
            return {above - 1: 1.0}
        if share >= 1 - LEAST_WEIGHT:
            return {above: 1.0}
        return {above - 1: 1 - share, above: share}


def measure(
    runner: Runner,
    references: References,
    plan: Plan = Plan(),
    *,
    now: Callable[[], float] = time.perf_counter,
) -> Latency:
    """The ratio of a network's time to the unit's, until its interval is narrow or patience ends.

    Args:
        now: wall clock, in seconds.
    """
    began = now()
    rough_ms = 1000 * turn(runner, 1, plan)
    weights = references.around(rough_ms / references.unit_ms)
    known = sum(weight * math.log(references.ratios[number]) for number, weight in weights.items())
    factors = [(runner, 1.0), *((references.runners[number], -weight) for number, weight in weights.items())]
    palindromes = Palindromes(factors, plan)
    logs: list[float] = []
    stop = Stop(plan)
    while not stop(logs) and (len(logs) < plan.least_palindromes or now() - began < plan.most_seconds):
        logs.append(known + palindromes.log())
    return summarise(logs, references.unit_ms, plan, seconds=now() - began)


def summarise(logs: Sequence[float], unit_ms: float, plan: Plan = Plan(), seconds: float = 0.0) -> Latency:
    """The latency that the logarithms of the palindromes' ratios tell."""
    low, high = signed_rank.interval(logs)
    ratio = math.exp(signed_rank.centre(logs))
    return Latency(
        ratio=ratio,
        ratio_low=math.exp(low),
        ratio_high=math.exp(high),
        latency_ms=ratio * unit_ms,
        status="ok" if _half_width(logs) <= plan.noisy else "noisy",
        pairs=2 * len(logs),
        seconds=seconds,
        load=load_per_core(),
    )


class Stop:
    """Whether the interval is narrow enough, asked ever more rarely.

    Asked after every palindrome, luck alone would be enough to stop, and the intervals too narrow.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.next_look = plan.least_palindromes

    def __call__(self, logs: Sequence[float]) -> bool:
        if len(logs) >= self.plan.most_palindromes:
            return True
        if len(logs) < self.next_look:
            return False
        self.next_look = math.ceil(1.5 * len(logs))
        return _half_width(logs) <= self.plan.target


def _half_width(logs: Sequence[float]) -> float:
    low, high = signed_rank.interval(logs)
    return (high - low) / 2


class Palindromes:
    """Turns of several networks forwards and backwards: each is in the middle of the time they take.

    Args:
        factors: the runners, and the power of each one's time in the product that is wanted: 1 for
            the network, minus the weight for a reference.
    """

    def __init__(self, factors: Sequence[tuple[Runner, float]], plan: Plan) -> None:
        self.factors = factors
        self.plan = plan
        self.repeats = [repeats_of(runner, plan) for runner, _ in factors]

    def log(self) -> float:
        """The logarithm of the product, from one palindrome."""
        forwards = range(len(self.factors))
        total = 0.0
        for number in (*forwards, *reversed(forwards)):
            runner, power = self.factors[number]
            total += power / 2 * math.log(turn(runner, self.repeats[number], self.plan))
        return total


def turn(runner: Runner, repeats: int, plan: Plan) -> float:
    """Seconds a run in the quickest timing, confirmed by a second one or after `most_timings`."""
    if plan.warm_runs:
        runner(plan.warm_runs)
    quickest = second = math.inf
    for _ in range(plan.most_timings):
        seconds = runner(repeats)
        if seconds < quickest:
            quickest, second = seconds, quickest
        elif seconds < second:
            second = seconds
        if second <= quickest * (1 + plan.agree):
            break
    return max(quickest, LEAST_SECONDS) / repeats


def repeats_of(runner: Runner, plan: Plan) -> int:
    """How many runs a timing needs."""
    if not plan.timing_seconds:
        return 1
    repeats = 1
    while (seconds := turn(runner, repeats, plan)) * repeats <= LEAST_SECONDS and repeats < MOST_BLIND_RUNS:
        repeats *= 2  # until a clock of coarse ticks moves
    return max(repeats, math.ceil(plan.timing_seconds / seconds))


def failed(error: str) -> Latency:
    """What a device that gave no time tells."""
    return Latency(math.nan, math.nan, math.nan, math.nan, "failed", error=error)


def load_per_core() -> float:
    """The load average of the last minute, for every core of this process; 0 where there is none."""
    return round(os.getloadavg()[0] / usable_cores(), 2) if hasattr(os, "getloadavg") else 0.0
