"""Networks, limits and measurements as text."""

from dataclasses import replace

import pytest

from bneck.evaluate import parse_goals
from bneck.results.text.formatting import block_text, limits_text, milliseconds, network_lines, ratio_text

from ..example_network import NETWORK
from ..example_run import REFERENCE_MS, latency


def test_network_lines_group_equal_blocks() -> None:
    assert network_lines(NETWORK) == [
        "24 px, stem k3 c8 hswish s2",
        "k3 e24 c8 relu s1",
        "k5 e72 c40 se hswish s2",
        "k7 e40 c40 eca relu6 s1 × 2",
        "features 64, hidden 128, 10 classes",
    ]
    assert block_text(NETWORK.blocks[1]) == "k5 e72 c40 se hswish s2"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04123, "0.0412 ms"), (1.2, "1.20 ms"), (12.34, "12.3 ms"), (215.4, "215 ms"), (0, "0 ms")],
)
def test_milliseconds_have_three_digits(value: float, text: str) -> None:
    assert milliseconds(value) == text


def test_relative_limits_are_given_in_milliseconds_too() -> None:
    goals = parse_goals("accuracy", {"macs": "2M", "latency": "0.5x"})
    assert limits_text(goals, REFERENCE_MS) == "macs <= 2M, latency <= 0.5x (1.00 ms)"
    assert limits_text(goals, 0.0) == "macs <= 2M, latency <= 0.5x"
    assert limits_text(replace(goals, constraints=()), REFERENCE_MS) == "none"


def test_a_noisy_latency_says_so() -> None:
    assert ratio_text(replace(latency(0.5), status="noisy")) == "0.500x (0.450 to 0.600, noisy)"
