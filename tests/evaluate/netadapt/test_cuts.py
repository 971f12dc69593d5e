"""The cuts that are proposed, counted by hand on MobileNetV3."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from bneck.evaluate.inheritance.block_matching import match_blocks
from bneck.evaluate.netadapt.cuts import (
    CUT_KINDS,
    CutKind,
    cuts,
    sample_smaller_network,
    smallest_network,
)
from bneck.search_space import Architecture, cost, published_architecture

from ...search_space.helpers import random_networks

LARGE = published_architecture("mobilenet_v3_large")


def values(kind: CutKind, architecture: Architecture = LARGE) -> list[list[tuple[str, int, int]]]:
    return [[(cut.place, cut.before, cut.after) for cut in place] for place in cuts(architecture, [kind])]


def test_one_residual_block_is_dropped_and_equal_blocks_are_one_place() -> None:
    # Table 1 of the paper: residuals in blocks 1, 3, 5 and 6 (equal), 8, 9 and 10 (9 and 10 equal: 184),
    # 12, 14 and 15 (equal).
    assert [place for [place] in values("depth")] == [
        ("residual blocks after the stem", 1, 0),
        ("residual blocks after block 2", 1, 0),
        ("residual blocks after block 4", 2, 1),
        ("residual blocks after block 7", 3, 2),
        ("residual blocks after block 7", 3, 2),
        ("residual blocks after block 11", 1, 0),
        ("residual blocks after block 13", 2, 1),
    ]
    dropped = [cut.architecture for place in cuts(LARGE, ["depth"]) for cut in place]
    assert len(set(dropped)) == 7
    assert dropped[3].blocks == LARGE.blocks[:7] + LARGE.blocks[8:]
    last = replace(LARGE, blocks=LARGE.blocks[:1])
    assert values("depth", last) == [], "one block must remain"


def test_kernels_shrink_in_steps_of_two() -> None:
    fives = [4, 5, 6, 13, 14, 15]
    assert [place for place in values("kernel") if place] == [
        [(f"kernel of block {number}", 5, 3)] for number in fives
    ]
    [seven, *_] = values("kernel", replace(LARGE, blocks=(replace(LARGE.blocks[0], kernel=7),)))
    assert [after for _, _, after in seven] == [5, 3]


def test_attention_is_removed_as_a_whole() -> None:
    with_attention = [4, 5, 6, 11, 12, 13, 14, 15]
    assert values("attention") == [[(f"attention of block {number}", 1, 0)] for number in with_attention]
    [first, *_] = [cut for place in cuts(LARGE, ["attention"]) for cut in place]
    assert (first.architecture.blocks[3].attention, first.architecture.blocks[3].squeeze) == ("none", 0)


def test_the_resolution_falls_in_steps_of_eight_down_to_32_px() -> None:
    assert values("resolution") == [[("resolution", 224, px) for px in range(216, 31, -8)]]
    assert values("resolution", replace(LARGE, resolution_px=32)) == [[]]


@pytest.mark.parametrize(
    ("network", "kinds"),
    [
        *((each, CUT_KINDS) for each in random_networks("tiny", 2, seed=4)),
        (published_architecture("mobilenet_v3_small"), ("depth", "kernel", "resolution")),
        (published_architecture("efficientnet_b0"), ("attention", "depth")),
    ],
    ids=["tiny", "tiny too", "V3-Small", "B0"],
)
def test_every_cut_costs_less_and_is_inherited(network: Architecture, kinds: tuple[CutKind, ...]) -> None:
    for place in cuts(network, kinds):
        for cut in place:
            assert cut.after < cut.before
            assert cost(cut.architecture).macs < cost(network).macs
            match_blocks(network, cut.architecture, [1.0] * len(network.blocks))
    smallest = smallest_network(network, kinds)
    assert not [cut for place in cuts(smallest, kinds) for cut in place]
    match_blocks(network, smallest, [1.0] * len(network.blocks))


def test_random_smaller_networks_vary_in_every_kind_and_are_reproducible() -> None:
    rng = random.Random(3)
    drawn = [sample_smaller_network(LARGE, CUT_KINDS, rng) for _ in range(20)]
    assert sample_smaller_network(LARGE, CUT_KINDS, random.Random(3)) == drawn[0]
    for count in (
        Counter(len(each.blocks) for each in drawn),
        Counter(sum(block.kernel for block in each.blocks) / len(each.blocks) for each in drawn),
        Counter(sum(block.attention == "se" for block in each.blocks) for each in drawn),
        Counter(each.resolution_px for each in drawn),
        Counter(each.head.features for each in drawn),
    ):
        assert len(count) > 2
    only = sample_smaller_network(LARGE, ["attention"], random.Random(1))
    assert [replace(each, attention="none", squeeze=0) for each in only.blocks] == [
        replace(each, attention="none", squeeze=0) for each in LARGE.blocks
    ]
