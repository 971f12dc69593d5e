"""Latency as a ratio to a reference network, measured so that it repeats on a busy machine.

The network and the reference take turns (ABBA). A turn's time is the quickest of a few timings,
in CPU time of the measuring thread; the result is the median of the pairs' ratios.
`docs/decisions/0006-latency.md` has its spread against that of the usual median of wall times.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ..search_space import UnknownNameError

if TYPE_CHECKING:
    from ..search_space.network import Network

Run = Callable[[], object]
Clock = Callable[[], float]

PAIRS = 20
MAX_ROUNDS = 3
TIMINGS = 5
MIN_SECONDS = 0.0002
NOISY = 0.10


@dataclass(frozen=True, slots=True)
class Latency:
    """One network's latency, batch 1, one thread.

    Attributes:
        ratio: CPU time over the reference's; median over the pairs.
        ratio_low, ratio_high: 95% confidence interval of that median.
        latency_ms: `ratio` times the reference's milliseconds when the run began.
        status: `noisy` where the interval is wider than 10% of the ratio.
    """

    ratio: float
    ratio_low: float
    ratio_high: float
    latency_ms: float
    status: Literal["ok", "noisy"]


class LatencyBackend(Protocol):
    """A runtime that can run a network on this machine, in the calling thread alone."""

    name: str

    def prepare(self, network: "Network") -> Run:
        """Make ready to run one image; the returned call does it once and waits for the result."""


def settle(network: "Network") -> "Network":
    """Give batch normalisation the statistics of noise images, for a network that is not trained.

    With the initial statistics the numbers shrink from layer to layer, and once they are
    subnormal the processor takes many times longer for each.
    """
    from torch.optim.swa_utils import update_bn

    from ..search_space.network import example_images

    update_bn([example_images(network.architecture, count=4)], network)
    return network.eval()


class TorchBackend:
    """Eager torch, evaluation mode, `channels_last`."""

    name = "torch"

    def prepare(self, network: "Network") -> Run:
        import torch

        from ..search_space.network import example_images

        torch.set_num_threads(1)
        images = example_images(network.architecture).contiguous(memory_format=torch.channels_last)
        ready = network.eval().to(memory_format=torch.channels_last)

        def run() -> object:
            with torch.inference_mode():
                return ready(images)

        return run


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU, one thread, all graph optimisations."""

    name = "onnxruntime"

    def prepare(self, network: "Network") -> Run:
        import onnxruntime

        from ..search_space.network import example_images
        from .onnx_graph import onnx_model

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        model = onnx_model(network.eval()).SerializeToString()
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        images = {"images": example_images(network.architecture).numpy()}
        return lambda: session.run(None, images)


BACKENDS: dict[str, type[LatencyBackend]] = {"onnxruntime": OnnxRuntimeBackend, "torch": TorchBackend}


def latency_backend(name: str) -> LatencyBackend:
    """A backend by its name.

    Raises:
        UnknownNameError: no such backend.
    """
    if name not in BACKENDS:
        raise UnknownNameError("latency backend", name, BACKENDS)
    return BACKENDS[name]()


def least_seconds(run: Run, repeats: int, clock: Clock) -> float:
    """Seconds a run in the quickest of `TIMINGS` timings of so many runs each.

    A run before them, which finds the caches as the other network left them, is not timed.
    """
    run()
    timings: list[float] = []
    for _ in range(TIMINGS):
        start = clock()
        for _ in range(repeats):
            run()
        timings.append(clock() - start)
    return min(timings) / repeats


def paired_ratios(
    run: Run, reference: Run, *, pairs: int = PAIRS, clock: Clock = time.thread_time
) -> list[float]:
    """Ratios of the two runs' times, measured in the order ABBA ABBA ...

    Args:
        clock: seconds; CPU time of this thread unless a test wants another.
    """
    repeats = repeats_of(run, clock)
    reference_repeats = repeats_of(reference, clock)
    ratios: list[float] = []
    for pair in range(pairs):
        if pair % 2 == 0:
            mine = least_seconds(run, repeats, clock)
            theirs = least_seconds(reference, reference_repeats, clock)
        else:
            theirs = least_seconds(reference, reference_repeats, clock)
            mine = least_seconds(run, repeats, clock)
        ratios.append(mine / theirs)
    return ratios


def repeats_of(run: Run, clock: Clock) -> int:
    """How many runs a timing needs so that reading the clock does not count."""
    return max(1, math.ceil(MIN_SECONDS / max(least_seconds(run, 1, clock), 1e-9)))


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """An interval that holds the true median with at least this confidence, whatever the distribution.

    The ends are order statistics: of 20 values the 6th and the 15th for 95%.

    Source: Conover, Practical Nonparametric Statistics, section 3.2.
    """
    ordered = sorted(values)
    tail = (1 - confidence) / 2
    below, rank = 0.0, 0
    for k in range(len(ordered)):
        below += math.comb(len(ordered), k) / 2 ** len(ordered)
        if below > tail:
            break
        rank = k + 1
    low = max(rank - 1, 0)
    return ordered[low], ordered[len(ordered) - 1 - low]


class LatencyMeter:
    """Measures networks against one reference that stays prepared.

    Args:
        reference_ms: the reference's milliseconds, as an earlier `calibrate` of the same run gave
            them, so that all networks of a run are told on one scale.
    """

    def __init__(
        self,
        backend: LatencyBackend,
        reference: "Network",
        reference_ms: float | None = None,
        clock: Clock = time.thread_time,
    ) -> None:
        self.backend = backend
        self.clock = clock
        self._reference = backend.prepare(reference)
        self.reference_ms = reference_ms if reference_ms is not None else self.calibrate()

    def calibrate(self) -> float:
        """The reference's median milliseconds now."""
        repeats = repeats_of(self._reference, self.clock)
        times = [least_seconds(self._reference, repeats, self.clock) for _ in range(PAIRS)]
        return 1000 * statistics.median(times)

    def measure(self, network: "Network") -> Latency:
        """About 0.7 CPU-seconds at 3 ms a network; up to three times that while it is noisy."""
        run = self.backend.prepare(network)
        ratios: list[float] = []
        for _ in range(MAX_ROUNDS):
            ratios += paired_ratios(run, self._reference, clock=self.clock)
            latency = summarise(ratios, self.reference_ms)
            if latency.status == "ok":
                break
        return latency


def summarise(ratios: Sequence[float], reference_ms: float) -> Latency:
    """The latency that these paired ratios tell."""
    ratio = statistics.median(ratios)
    low, high = median_interval(ratios)
    return Latency(ratio, low, high, ratio * reference_ms, "noisy" if high - low > NOISY * ratio else "ok")
