"""Width multipliers: widths as in torchvision, the largest within a limit, and limits that are too low."""

import random

import pytest

from bneck.search_space import Architecture, NoFeasibleNetworkError, cost, load_space, published_architecture

from .width_multiplier import scale_width, scale_width_to_limit

LARGE = published_architecture("mobilenet_v3_large")


def macs(architecture: Architecture) -> float:
    return cost(architecture).macs


def test_scaling_is_the_width_multiplier_of_torchvision() -> None:
    # But for the features, which torchvision makes six times the scaled output of the last block.
    for factor in (0.5, 0.75):
        theirs = published_architecture(f"mobilenet_v3_large@{factor}")
        ours = scale_width(LARGE, factor)
        assert ours.blocks == theirs.blocks and ours.stem == theirs.stem
        assert ours.head.hidden == theirs.head.hidden


def test_scaling_to_a_limit_finds_the_widest_of_a_thousand_multipliers() -> None:
    small = published_architecture("mobilenet_v3_small")
    everything = [macs(scale_width(small, number / 1000)) for number in range(1, 1001)]
    for share in (0.3, 0.61):
        limit = share * macs(small)
        found = macs(scale_width_to_limit(small, macs, limit))
        assert found == max(each for each in everything if each <= limit)
    assert scale_width_to_limit(small, macs, macs(small)) == small


def test_scaling_below_eight_channels_everywhere_names_the_least() -> None:
    space = load_space("tiny")
    network = space.decode(space.sample(random.Random(0)))
    least = macs(scale_width(network, 0.001))
    with pytest.raises(NoFeasibleNetworkError, match=f"cost {least:.4g}".replace("+", r"\+")):
        scale_width_to_limit(network, macs, least - 1)
    assert macs(scale_width_to_limit(network, macs, least)) == least
