"""MACs and parameters by fvcore and torch against hand calculation and the closed-form cost."""

from dataclasses import replace

import pytest

from bneck.evaluate.fvcore_audit import OperatorCounts, fvcore_counts
from bneck.search_space import PRESETS, Block, Head, operators

from ..search_space.helpers import TOY, random_networks


def test_the_operators_of_the_toy_are_counted_as_by_hand() -> None:
    # 8 px and 3 channels; the maps have 16 pixels until block 2 leaves 4. MACs without
    # normalisation and pooling; parameters with two a channel for the normalisation.
    assert fvcore_counts(TOY) == {
        "stem": OperatorCounts(9 * 3 * 4 * 16, 9 * 3 * 4 + 2 * 4),
        "blocks.0.expand": OperatorCounts(4 * 8 * 16, 4 * 8 + 2 * 8),
        "blocks.0.depthwise": OperatorCounts(9 * 8 * 16, 9 * 8 + 2 * 8),
        "blocks.0.attention.reduce": OperatorCounts(8 * 2, 8 * 2 + 2),
        "blocks.0.attention.restore": OperatorCounts(2 * 8, 2 * 8 + 8),
        "blocks.0.project": OperatorCounts(8 * 4 * 16, 8 * 4 + 2 * 4),
        "blocks.1.depthwise": OperatorCounts(25 * 4 * 4, 25 * 4 + 2 * 4),
        "blocks.1.project": OperatorCounts(4 * 6 * 4, 4 * 6 + 2 * 6),
        "features": OperatorCounts(6 * 10 * 4, 6 * 10 + 2 * 10),
        "classifier": OperatorCounts(10 * 2, 10 * 2 + 2),
    }


def test_efficient_channel_attention_and_the_hidden_layer_are_counted() -> None:
    eca = replace(TOY, blocks=(Block(3, 16, 4, "eca", "silu", 1),), head=Head(10, hidden=6))
    counts = fvcore_counts(eca)
    # 16 channels have a kernel of 3, without bias
    assert counts["blocks.0.attention.conv"] == OperatorCounts(3 * 16, 3)
    assert counts["hidden"] == OperatorCounts(10 * 6, 10 * 6 + 6)
    assert counts["classifier"] == OperatorCounts(6 * 2, 6 * 2 + 2)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_random_network_agrees_with_the_closed_form_operator_by_operator(preset: str) -> None:
    architecture = replace(random_networks(preset, 1, seed=3)[0], resolution_px=33)
    closed = {
        operator.name: OperatorCounts(operator.macs, operator.params) for operator in operators(architecture)
    }
    assert fvcore_counts(architecture) == closed
