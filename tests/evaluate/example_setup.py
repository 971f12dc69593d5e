"""A simulated device with a panel of three small networks, and networks of all widths to fit models to."""

import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import get_args

from bneck.evaluate import Calibration, Device, LatencySetup, ReferencePanel
from bneck.evaluate.latency.predictor_features import TERMS, features
from bneck.search_space import Activation, Architecture, Attention, Block, Head, Stem

from ..search_space.helpers import TOY

PANEL = ReferencePanel(
    "medium",
    {"small": TOY, "medium": replace(TOY, resolution_px=32), "large": replace(TOY, resolution_px=64)},
)
DEVICE = Device("fake", "none", "simulated")
CALIBRATION = Calibration({"small": 0.5, "medium": 1.0, "large": 2.5}, 8.0, "CPU time", "2026-01-02", 0.25)
SETUP = LatencySetup("fake", DEVICE, PANEL, CALIBRATION)


def crooked_networks(count: int, seed: int = 0) -> list[Architecture]:
    """Networks whose channels are any numbers, so that every vector width shows."""
    rng = random.Random(seed)
    return [_crooked(rng) for _ in range(count)]


def ratios_of(
    networks: Sequence[Architecture],
    width: int = 8,
    terms: Sequence[str] = TERMS,
    noise: float = 0.0,
    seed: int = 0,
) -> list[float]:
    """Made-up latencies in which every term costs about as much as any other.

    Args:
        width: channels that count together.
        noise: standard deviation of the relative error.
    """
    rng = random.Random(seed)
    usual = [features(network, width) for network in crooked_networks(50)]
    costs = {
        term: (0.05 + 0.1 * (3 * number % 7) / 7) / fmean(each[term] for each in usual)
        for number, term in enumerate(terms)
    }
    known = [features(network, width) for network in networks]
    return [sum(costs[term] * each[term] for term in terms) * (1 + rng.gauss(0, noise)) for each in known]


def _crooked(rng: random.Random) -> Architecture:
    activation: Activation = rng.choice(get_args(Activation))
    blocks: list[Block] = []
    for _ in range(rng.randint(2, 6)):
        attention: Attention = rng.choice(get_args(Attention))
        out = blocks[-1].out if blocks and rng.random() < 0.4 else rng.randint(5, 60)
        squeeze = rng.randint(2, 9) if attention == "se" else 0
        kernel, stride = rng.choice((3, 5, 7)), rng.choice((1, 2))
        blocks.append(Block(kernel, rng.randint(5, 150), out, attention, activation, stride, squeeze))
    stem = Stem(rng.randint(5, 40), activation, rng.choice((3, 5)), rng.choice((1, 2)))
    head = Head(rng.randint(30, 300), rng.choice((0, 40, 90)), activation)
    return Architecture(rng.choice((24, 32, 45)), stem, tuple(blocks), head, classes=rng.choice((10, 50)))
