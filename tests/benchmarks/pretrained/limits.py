"""Limits on cost as shares of the cost of EfficientNet-Lite0 at 128 px, and the networks that meet them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from bneck.evaluate.latency.meter import LatencyMeter
from bneck.search_space import Architecture, cost, published_architecture

By = Literal["latency", "macs"]
PARENT, REFERENCE_PX = "efficientnet_lite0", 128
REFERENCE_MODEL = f"{PARENT}@{REFERENCE_PX}px"
SHARES = (0.5, 0.25, 0.125, 0.06)

CandidateT = TypeVar("CandidateT")


def lite0(resolution_px: int, classes: int) -> Architecture:
    return replace(published_architecture(PARENT), resolution_px=resolution_px, classes=classes)


def share_function(by: By, classes: int) -> Callable[[Architecture], float]:
    """The cost of a network relative to the reference; latency by bneck's own measurement, cached."""
    reference = lite0(REFERENCE_PX, classes)
    if by == "macs":
        return lambda network: cost(network).macs / cost(reference).macs
    meter = LatencyMeter.open(like=reference, reference_model=REFERENCE_MODEL)
    return lambda network: meter.measure_or_raise(network).ratio


def highest_within(
    candidates: Sequence[CandidateT], share: Callable[[CandidateT], float], limit: float
) -> CandidateT | None:
    """The last candidate within a limit, by bisection; None if the first violates it.

    Args:
        candidates: in ascending order of cost.
    """
    best, left = None, candidates
    while left:
        middle = len(left) // 2
        if share(left[middle]) <= limit:
            best, left = left[middle], left[middle + 1 :]
        else:
            left = left[:middle]
    return best


def affordable_epochs(
    epoch_seconds: Sequence[float], seconds: float, maximum: int, overhead: float = 0.5
) -> int:
    """Epochs that several networks can be trained for, all alike, within a total time; at least 1.

    Args:
        epoch_seconds: duration of an epoch of each network.
        overhead: of a training, in epochs: recalibration of batch norm, and evaluation.
    """
    return max(1, min(maximum, int(seconds / sum(epoch_seconds) - overhead)))
