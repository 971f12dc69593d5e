"""Channel groups and narrower networks."""

import random
from dataclasses import replace

import pytest

from bneck.evaluate.inheritance.channel_groups import (
    ChannelGroup,
    channel_groups,
    group_width,
    narrower_networks,
    narrowest,
    same_structure,
    sample_narrower_network,
    with_widths,
)
from bneck.search_space import (
    Architecture,
    Block,
    Head,
    Stem,
    cost,
    published_architecture,
)

from ...search_space.helpers import random_networks

LARGE = published_architecture("mobilenet_v3_large")


def macs(architecture: Architecture) -> float:
    return cost(architecture).macs


def residuals(architecture: Architecture) -> list[bool]:
    return [
        block.stride == 1 and block.out == given for given, block in architecture.blocks_with_in_channels()
    ]


def expansions(architecture: Architecture) -> list[bool]:
    return [block.expanded != given for given, block in architecture.blocks_with_in_channels()]


def test_the_places_of_mobilenet_v3_large_are_its_bottlenecks_its_expansions_and_its_head() -> None:
    # Table 1 of the paper: residuals in blocks 1, 3, 5, 6, 8, 9, 10, 12, 14, 15; no expansion in block 1.
    bottlenecks = [(0, 1), (2, 3), (4, 6), (7, 10), (11, 12), (13, 15)]
    groups = channel_groups(LARGE)
    assert [(each.first, each.last) for each in groups if each.kind == "chain"] == bottlenecks
    assert [each.first for each in groups if each.kind == "expansion"] == list(range(2, 16))
    assert [each.kind for each in groups[-2:]] == ["features", "hidden"]
    assert len(groups) == 6 + 14 + 2


def test_places_are_named_as_a_person_counts_blocks() -> None:
    names = [str(group) for group in channel_groups(LARGE)]
    assert names[0] == "output of the stem to block 1"
    assert {"output of blocks 7 to 10", "expansion of block 2", "hidden of the head"} <= set(names)
    assert str(ChannelGroup("chain", 4, 4)) == "output of block 4"
    assert str(ChannelGroup("chain")) == "output of the stem"


def test_a_bottleneck_is_cut_in_all_blocks_of_its_residuals_and_where_there_is_no_expansion() -> None:
    stem_and_first = channel_groups(LARGE)[0]
    cut = with_widths(LARGE, {stem_and_first: 8})
    assert (cut.stem.out, cut.blocks[0].out, cut.blocks[0].expanded) == (8, 8, 8)
    assert cut.blocks[1:] == LARGE.blocks[1:]


def test_squeeze_widths_follow_a_cut_by_the_rule_of_the_block() -> None:
    # MobileNetV3: a quarter of 672 is 168, of 480 120; of 100, make_divisible(25) is 24.
    cut = with_widths(LARGE, {ChannelGroup("expansion", 12): 480})
    assert (LARGE.blocks[11].squeeze, cut.blocks[11].squeeze) == (168, 120)
    # MnasNet: a quarter of the input, so that a cut of the expansion leaves it and one of the input not.
    mnasnet = published_architecture("mnasnet_a1")
    number = next(n for n, block in enumerate(mnasnet.blocks, 1) if block.squeeze == 10)  # 40 / 4
    chain = next(p for p in channel_groups(mnasnet) if p.kind == "chain" and p.first <= number - 1 <= p.last)
    assert with_widths(mnasnet, {ChannelGroup("expansion", number): 96}).blocks[number - 1].squeeze == 10
    assert with_widths(mnasnet, {chain: 32}).blocks[number - 1].squeeze == 8
    # Neither: 5 of 30 is a sixth, so 3 of 16 (2.67).
    own = Architecture(32, Stem(8), (Block(3, 30, 16, "se", "relu", 1, 5),), Head(32))
    assert with_widths(own, {ChannelGroup("expansion", 1): 16}).blocks[0].squeeze == 3


def test_cuts_come_in_steps_of_eight_from_the_widest_down_to_eight() -> None:
    features = replace(LARGE, head=Head(44, 1280))
    widths = [each.head.features for each in narrower_networks(features, ChannelGroup("features"))]
    assert widths == [40, 32, 24, 16, 8]


def test_no_cut_makes_a_residual_or_drops_an_expansion() -> None:
    # Cutting block 11 of Large from 112 to the 80 of its input would add a residual.
    chain = ChannelGroup("chain", 11, 12)
    widths = [group_width(each, chain) for each in narrower_networks(LARGE, chain)]
    assert 80 not in widths and {104, 88, 72} <= set(widths)
    # Cutting the expansion of block 2, 64, to the 16 of its input would drop it.
    widths = [
        group_width(each, ChannelGroup("expansion", 2))
        for each in narrower_networks(LARGE, ChannelGroup("expansion", 2))
    ]
    assert widths == [56, 48, 40, 32, 24, 8]


@pytest.mark.parametrize(("name", "count"), [("tiny", 8), ("mobile", 1), ("mobile-small", 1)])
def test_random_networks_keep_residuals_and_expansions_through_every_cut(name: str, count: int) -> None:
    for network in random_networks(name, count, seed=1):
        for group in channel_groups(network):
            for narrower in narrower_networks(network, group):
                assert residuals(narrower) == residuals(network)
                assert expansions(narrower) == expansions(network)
                assert group_width(narrower, group) < group_width(network, group)
                assert macs(narrower) < macs(network)


def test_structures_are_compared_by_residuals_and_expansions() -> None:
    assert same_structure(LARGE, with_widths(LARGE, {ChannelGroup("chain", 11, 12): 104}))
    assert not same_structure(LARGE, with_widths(LARGE, {ChannelGroup("chain", 11, 12): 80}))
    assert not same_structure(LARGE, with_widths(LARGE, {ChannelGroup("expansion", 2): 16}))


def test_the_narrowest_network_cannot_be_pruned_further() -> None:
    for network in (LARGE, *random_networks("tiny", 5)):
        least = narrowest(network)
        assert not [each for group in channel_groups(least) for each in narrower_networks(least, group)]
        assert residuals(least) == residuals(network)


def test_random_narrower_networks_vary_and_are_reproducible() -> None:
    rng = random.Random(3)
    drawn = [sample_narrower_network(LARGE, rng) for _ in range(30)]
    shares = sorted(macs(each) / macs(LARGE) for each in drawn)
    assert shares[0] < 0.5 and shares[-1] > 0.85
    assert all(residuals(each) == residuals(LARGE) for each in drawn)
    assert sample_narrower_network(LARGE, random.Random(3)) == drawn[0]


def test_a_block_that_halves_the_map_adds_no_residual_though_its_channels_agree() -> None:
    blocks = (Block(3, 32, 16, "none", "relu", 2), Block(3, 32, 16, "none", "relu", 1))
    groups = channel_groups(Architecture(32, Stem(16), blocks, Head(32)))
    assert [(each.first, each.last) for each in groups if each.kind == "chain"] == [(0, 0), (1, 2)]
