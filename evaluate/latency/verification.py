"""Latency of the Pareto front re-measured in fresh processes, with confidence bounds.

Memory placement differs between processes, and repetition within a process does not show it. Each network is
measured in two processes; the spread between them, pooled over all networks, gives the error of the mean.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .measurement import Latency

CONFIDENCE = 0.95


@dataclass(frozen=True)
class VerifiedLatency:
    """Latency of one network over two processes.

    Attributes:
        latency: geometric mean of both, with its two-sided 95% interval.
        ratio_upper: one-sided 95% upper confidence bound of the ratio.
    """

    latency: Latency
    ratio_upper: float


def verify_latencies(pairs: Mapping[str, tuple[Latency, Latency]]) -> dict[str, VerifiedLatency]:
    """Means and confidence bounds by key; networks with a failed measurement are left out.

    The relative spread between processes is assumed equal for all networks, so that its t distribution has
    one degree of freedom per network.
    """
    from scipy.stats import t

    succeeded = {key: pair for key, pair in pairs.items() if all(each.status != "failed" for each in pair)}
    if not succeeded:
        return {}
    log_ratios = [math.log(first.ratio / second.ratio) for first, second in succeeded.values()]
    variance = sum(log_ratio**2 for log_ratio in log_ratios) / 2 / len(log_ratios)
    std_of_mean = math.sqrt(variance) / math.sqrt(2)
    two_sided_factor = math.exp(t.ppf((1 + CONFIDENCE) / 2, len(log_ratios)) * std_of_mean)
    one_sided_factor = math.exp(t.ppf(CONFIDENCE, len(log_ratios)) * std_of_mean)
    return {key: _mean(*pair, two_sided_factor, one_sided_factor) for key, pair in succeeded.items()}


def _mean(
    first: Latency, second: Latency, two_sided_factor: float, one_sided_factor: float
) -> VerifiedLatency:
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
