"""Weights of narrower networks: channel importance and structure."""

import random
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from bneck.evaluate.inheritance.channel_groups import (
    ChannelGroup,
    channel_groups,
    group_width,
    narrower_networks,
    narrowest,
    with_widths,
)
from bneck.evaluate.inheritance.channel_selection import top_channels
from bneck.evaluate.inheritance.inherit import inherit
from bneck.search_space import Architecture, Block, Head, RunError, Stem
from bneck.search_space.network import Network, build_network, example_images

from ...search_space.helpers import random_networks

# A block without an expansion on a residual, one with attention of each kind, and a hidden layer.
NET = Architecture(
    resolution_px=8,
    stem=Stem(24, "relu", stride=1),
    blocks=(
        Block(3, 24, 24, "se", "relu", 1, squeeze=8),
        Block(3, 48, 24, "none", "hardswish", 1),
        Block(5, 64, 32, "se", "hardswish", 2, squeeze=16),
    ),
    head=Head(40, 24, "hardswish"),
    classes=5,
)


def settled(architecture: Architecture = NET, seed: int = 0) -> Network:
    """In evaluation mode, with statistics and factors of normalisation that are not all alike."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(architecture)
        for name, value in network.state_dict().items():
            if "norm." in name and value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5)
    return network.eval()


def logits(network: Network) -> Tensor:
    with torch.inference_mode():
        answers: Tensor = network.eval()(example_images(network.architecture, 4))
    return answers


def kill(network: Network, layers: Sequence[str], channels: Sequence[int]) -> None:
    """Have layers write zeros into some channels, whatever they read."""
    state = network.state_dict()
    for layer in layers:
        weight = f"{layer}.norm.weight" if f"{layer}.norm.weight" in state else f"{layer}.weight"
        for name in (weight, weight.replace("weight", "bias")):
            state[name][list(channels)] = 0


# Block numbers in the words count from 1, layers from 0.
WRITERS: dict[ChannelGroup, tuple[str, ...]] = {
    ChannelGroup("chain", 0, 2): ("stem", "blocks.0.project", "blocks.1.project"),
    ChannelGroup("chain", 3, 3): ("blocks.2.project",),
    ChannelGroup("expansion", 2): ("blocks.1.depthwise",),
    ChannelGroup("expansion", 3): ("blocks.2.depthwise",),
    ChannelGroup("features"): ("features",),
    ChannelGroup("hidden"): ("hidden.0",),
}


def test_every_place_of_the_example_is_tried() -> None:
    assert set(WRITERS) == set(channel_groups(NET))


@pytest.mark.parametrize("group", WRITERS, ids=str)
def test_removing_dead_channels_keeps_the_logits_in_every_group(group: ChannelGroup) -> None:
    network = settled()
    dead = random.Random(1).sample(range(group_width(NET, group)), 8)
    kill(network, WRITERS[group], dead)
    if group.first == 0 and group.kind == "chain":  # what is without an expansion has its own normalisation
        kill(network, ["blocks.0.depthwise"], dead)
    narrow = with_widths(NET, {group: group_width(NET, group) - 8})
    for block, cut in zip(NET.blocks, narrow.blocks, strict=True):
        assert block.squeeze == cut.squeeze, "the squeeze widths must not be what is tested here"
    cut_network = inherit(network, narrow)
    assert cut_network.architecture == narrow
    torch.testing.assert_close(logits(cut_network), logits(network), rtol=1e-5, atol=1e-5)


def test_removing_active_channels_changes_the_logits() -> None:
    network = settled()
    for group in channel_groups(NET):
        narrow = with_widths(NET, {group: group_width(NET, group) - 8})
        assert (logits(inherit(network, narrow)) - logits(network)).abs().max() > 1e-4, group


def test_removing_dead_squeeze_channels_keeps_the_logits() -> None:
    wide = Architecture(8, Stem(16), (Block(3, 64, 24, "se", "relu", 1, squeeze=16),), Head(16), classes=3)
    narrow = with_widths(wide, {ChannelGroup("expansion", 1): 32})
    assert narrow.blocks[0].squeeze == 8
    network = settled(wide)
    kill(network, ["blocks.0.attention.reduce"], range(0, 16, 2))
    kill(network, ["blocks.0.depthwise"], range(1, 64, 2))
    torch.testing.assert_close(logits(inherit(network, narrow)), logits(network), rtol=1e-5, atol=1e-5)


def test_removing_dead_eca_channels_keeps_the_logits_and_a_smaller_kernel_is_the_center() -> None:
    # Kernel by equation 12 of ECA-Net: 3 for 16 to 63 channels, 5 from 128 on.
    def net(expanded: int) -> Architecture:
        return Architecture(8, Stem(8), (Block(3, expanded, 16, "eca", "relu", 1),), Head(16), classes=3)

    network = settled(net(48))
    kill(network, ["blocks.0.depthwise"], range(40, 48))
    torch.testing.assert_close(logits(inherit(network, net(40))), logits(network), rtol=1e-5, atol=1e-5)
    wide = settled(net(160))
    before = wide.state_dict()["blocks.0.attention.conv.weight"]
    after = inherit(wide, net(40)).state_dict()["blocks.0.attention.conv.weight"]
    assert before.shape == (1, 1, 5) and after.equal(before[..., 1:4])


def test_the_same_network_inherits_everything() -> None:
    network = settled()
    same = inherit(network, NET).state_dict()
    assert all(value.equal(same[name]) for name, value in network.state_dict().items())


def test_expansion_channels_are_ranked_by_the_product_of_three_filter_norms() -> None:
    one = Architecture(8, Stem(8), (Block(3, 24, 16, "none", "relu", 1),), Head(8), classes=2)
    network = settled(one)
    state = network.state_dict()
    for name, value in state.items():
        if name.startswith("blocks.0") and value.is_floating_point():
            value.fill_(1)
    # Channels 3 and 20 are small in one layer each; 5 is small in two, but far larger in the third.
    state["blocks.0.expand.norm.weight"][3] = 0.1
    state["blocks.0.project.conv.weight"][:, 20] = 0.1
    state["blocks.0.expand.conv.weight"][5] = 0.1
    state["blocks.0.depthwise.conv.weight"][5] = 0.1
    state["blocks.0.project.conv.weight"][:, 5] = 1000
    state["blocks.0.depthwise.norm.running_var"][[0, 1, 2, 4, 6, 7]] = 100  # a tenth of the gain
    # The mean is no weight; it only shows which channels were selected.
    state["blocks.0.depthwise.norm.running_mean"].copy_(torch.arange(24.0))
    narrow = inherit(network, with_widths(one, {ChannelGroup("expansion", 1): 16})).state_dict()
    stayed = narrow["blocks.0.depthwise.norm.running_mean"].int().tolist()
    assert stayed == [5, *range(8, 20), 21, 22, 23]


def test_bottleneck_channels_are_ranked_by_all_writers_and_readers() -> None:
    network = settled()
    state = network.state_dict()
    writers = ("stem", "blocks.0.project", "blocks.1.project")
    for value in state.values():
        if value.is_floating_point():
            value.fill_(1)
    for layer in writers:
        state[f"{layer}.norm.weight"][[1, 2, 3, 4, 5, 6, 7, 8]] = 0.5
    # One writer of three that is strong enough: sqrt(0.5^2 + 0.5^2 + 3^2) > sqrt(3).
    state["blocks.1.project.norm.weight"][2] = 3
    for layer in writers:
        state[f"{layer}.norm.running_mean"].copy_(torch.arange(24.0))
    for layer in ("blocks.1.expand", "blocks.2.expand"):  # hardly read
        state[f"{layer}.conv.weight"][:, 23] = 0.01
    state["blocks.0.depthwise.conv.weight"][23] = 0.01
    narrow = inherit(network, with_widths(NET, {ChannelGroup("chain", 0, 2): 16})).state_dict()
    for layer in writers:
        stayed = narrow[f"{layer}.norm.running_mean"].int().tolist()
        assert stayed == [0, 2, *range(9, 23)]


def test_of_equal_channels_the_first_stay_in_their_order() -> None:
    assert top_channels(torch.tensor([1.0, 3.0, 1.0, 2.0, 1.0]), 3).tolist() == [0, 1, 3]


def test_an_inherited_network_normalises_as_the_first_and_leaves_random_numbers_alone() -> None:
    first = build_network(NET, norm_eps=1e-3, norm_momentum=0.01)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    norm = inherit(first, NET).stem.get_submodule("norm")
    assert torch.rand(1) == expected
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)


@pytest.mark.parametrize(("name", "count"), [("tiny", 4), ("mobile-32", 1)])
@pytest.mark.slow
def test_random_networks_that_are_cut_everywhere_run(name: str, count: int) -> None:
    for architecture in random_networks(name, count, seed=2):
        network = settled(architecture)
        for group in channel_groups(architecture)[:: 1 if name == "tiny" else 4]:
            cut = next(narrower_networks(architecture, group), architecture)
            assert logits(inherit(network, cut)).isfinite().all()
        assert logits(inherit(network, narrowest(architecture))).isfinite().all()


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (with_widths(NET, {ChannelGroup("features"): 48}), "head features must be at most 40, got 48"),
        (with_widths(NET, {ChannelGroup("hidden"): 0}), "head hidden must be 1 to 24, got 0"),
        (with_widths(NET, {ChannelGroup("expansion", 3): 24}), "block 3: it must have an expansion"),
        (Architecture(8, NET.stem, NET.blocks[:2], NET.head, classes=5), "head hidden must be 0, got 24"),
    ],
    ids=["wider", "without the hidden layer", "without an expansion", "without a stage"],
)
def test_another_structure_is_refused(other: Architecture, problem: str) -> None:
    with pytest.raises(
        RunError, match=f"network {other.key} cannot inherit the weights of network {NET.key}: {problem}"
    ):
        inherit(settled(), other)


def test_a_hidden_neuron_counts_by_its_bias_too() -> None:
    network = settled()
    state = network.state_dict()
    state["hidden.0.weight"].fill_(0.01)
    state["classifier.weight"].fill_(1)
    state["hidden.0.bias"].copy_(torch.arange(24.0))
    narrow = inherit(network, with_widths(NET, {ChannelGroup("hidden"): 8}))
    assert narrow.state_dict()["hidden.0.bias"].tolist() == list(range(16, 24))
