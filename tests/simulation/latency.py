"""Devices with known latencies, and how often the intervals of a latency predictor hold them."""

import random
from collections.abc import Callable, Mapping

from bneck.evaluate.latency.predictor import LatencyPredictor
from bneck.evaluate.latency.predictor_features import Layer, layers
from bneck.search_space import Architecture, load_space

from ..evaluate.example_setup import SETUP

SPACES = ("tiny", "mobile-32", "mobile")
N_FITTED, N_ASKED = 30, 40
NOISE = 0.02  # standard deviation of a measurement

OVERHEAD, MACS, ELEMENTS = 2e4, 1.0, 6.0  # cost of a layer, a MAC and an element read or written


def _work(layer: Layer) -> tuple[float, float]:
    """MACs and elements of a layer, with 16 channels for every vector."""
    read, written = (
        -(-channels // 16) * 16 * pixels
        for channels, pixels in ((layer.in_channels, layer.pixels_in), (layer.out_channels, layer.pixels_out))
    )
    macs = layer.kernel**2 * written
    if layer.kind in ("stem", "pointwise"):
        macs *= layer.in_channels
    if layer.kind == "depthwise":
        macs *= 4
    return float(macs), float(read + written)


def additive(architecture: Architecture) -> float:
    """What the predictor assumes: every layer, MAC and element costs the same."""
    return sum(
        OVERHEAD + MACS * macs + ELEMENTS * elements for macs, elements in map(_work, layers(architecture))
    )


def roofline(architecture: Architecture) -> float:
    """A layer waits for its MACs or for its memory, whichever takes longer."""
    return sum(
        OVERHEAD + max(MACS * macs, 3 * ELEMENTS * elements)
        for macs, elements in map(_work, layers(architecture))
    )


def cached(architecture: Architecture) -> float:
    """As `roofline`; elements beyond a cache of 32,768 cost three times as much."""
    return sum(
        OVERHEAD + max(MACS * macs, ELEMENTS * (elements + 2 * max(0.0, elements - 32_768)))
        for macs, elements in map(_work, layers(architecture))
    )


DEVICES: Mapping[str, Callable[[Architecture], float]] = {
    "additive": additive,
    "roofline": roofline,
    "cached": cached,
}


def interval_coverage(space: str, device: str, seed: int) -> tuple[int, int]:
    """How many networks that were not measured are within their 90% interval, and of how many."""
    rng, chosen = random.Random(seed), load_space(space)
    networks = [chosen.decode(chosen.sample(rng)) for _ in range(N_FITTED + N_ASKED)]
    unit = DEVICES[device](networks[0])
    ratios = [DEVICES[device](network) / unit * (1 + rng.gauss(0, NOISE)) for network in networks]
    fitted = LatencyPredictor.fit(networks[:N_FITTED], ratios[:N_FITTED], setup=SETUP, space=space)
    coverage = fitted.evaluate(networks[N_FITTED:], ratios[N_FITTED:]).coverage
    return round(coverage * N_ASKED), N_ASKED
