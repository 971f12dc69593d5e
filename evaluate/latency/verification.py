"""Latencies measured once more, in fresh processes: what a limit is held against at the end.

A process has its own luck with memory, which no repetition inside it shows. So each network is measured
in two, and the spread between the two, taken over all networks, tells how sure their mean is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .measurement import Latency

CONFIDENCE = 0.95


@dataclass(frozen=True)
class VerifiedLatency:
    """One network in two fresh processes.

    Attributes:
        latency: the mean of both, with its two-sided 95% interval.
        ratio_upper: what the ratio stays under with 95% confidence.
    """

    latency: Latency
    ratio_upper: float


def verify_latencies(pairs: Mapping[str, tuple[Latency, Latency]]) -> dict[str, VerifiedLatency]:
    """The means and their bounds, by key; a network that failed in a process is left out.

    The difference of the two processes is taken to have the same relative spread for all networks,
    so its t distribution has as many degrees of freedom as there are networks.
    """
    from scipy.stats import t

    succeeded = {key: pair for key, pair in pairs.items() if all(each.status != "failed" for each in pair)}
    if not succeeded:
        return {}
    log_ratios = [math.log(first.ratio / second.ratio) for first, second in succeeded.values()]
    std_of_mean = math.sqrt(sum(log_ratio**2 for log_ratio in log_ratios) / 2 / len(log_ratios)) / math.sqrt(
        2
    )
    two_sided_factor = math.exp(t.ppf((1 + CONFIDENCE) / 2, len(log_ratios)) * std_of_mean)
    one_sided_factor = math.exp(t.ppf(CONFIDENCE, len(log_ratios)) * std_of_mean)
    return {key: _mean(pair, two_sided_factor, one_sided_factor) for key, pair in succeeded.items()}


def _mean(pair: Sequence[Latency], two_sided_factor: float, one_sided_factor: float) -> VerifiedLatency:
    first, second = pair
    ratio = math.sqrt(first.ratio * second.ratio)
    latency = replace(
        first,
        ratio=ratio,
        ratio_low=ratio / two_sided_factor,
        ratio_high=ratio * two_sided_factor,
        latency_ms=first.latency_ms * ratio / first.ratio,
        status="noisy" if "noisy" in (first.status, second.status) else "ok",
        pairs=first.pairs + second.pairs,
        seconds=first.seconds + second.seconds,
        load=max(first.load, second.load),
    )
    return VerifiedLatency(latency, ratio * one_sided_factor)
