"""Weights of smaller networks: every cut alone, with the logits that follow by hand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bneck.evaluate.inheritance.inherit import inherit
from bneck.search_space import Architecture, Block, Head, RunError, Stem
from bneck.search_space.network import Bneck, Network, build_network
from bneck.search_space.pretrained_space import drop_stages, stage_starts

# Stem; a block without an expansion; a stage of four, with attention of both kinds; a stage of one.
NET = Architecture(
    resolution_px=16,
    stem=Stem(8, "hardswish", kernel=5),
    blocks=(
        Block(3, 8, 8, "none", "relu", 1),
        Block(7, 24, 16, "se", "hardswish", 2, squeeze=8),
        Block(5, 40, 16, "se", "hardswish", 1, squeeze=8),
        Block(5, 48, 16, "eca", "hardswish", 1),
        Block(3, 40, 16, "se", "hardswish", 1, squeeze=8),
        Block(3, 32, 24, "none", "relu6", 2),
    ),
    head=Head(40, 24),
    classes=5,
)


def trained(architecture: Architecture = NET, seed: int = 0) -> Network:
    """In evaluation mode, with weights and statistics with which every layer affects the logits."""
    source = torch.Generator().manual_seed(seed)
    network = build_network(architecture, norm_eps=1e-3, norm_momentum=0.01)
    for name, value in network.state_dict().items():
        if "norm." in name and value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=source) + 0.5)
        elif value.ndim > 1:
            value.copy_((2 / value[0].numel()) ** 0.5 * torch.randn(value.shape, generator=source))
    return network.eval()


def images(architecture: Architecture = NET, count: int = 4) -> Tensor:
    shape = (count, architecture.image_channels, architecture.resolution_px, architecture.resolution_px)
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def logits(network: Network, x: Tensor | None = None) -> Tensor:
    with torch.inference_mode():
        out: Tensor = network(images(network.architecture) if x is None else x)
    return out


def block(network: Network, number: int) -> Bneck:
    found = network.blocks[number - 1]
    assert isinstance(found, Bneck)
    return found


def with_block(number: int, **changes: Any) -> Architecture:
    blocks = list(NET.blocks)
    blocks[number - 1] = replace(blocks[number - 1], **changes)
    return replace(NET, blocks=tuple(blocks))


def without_blocks(*numbers: int) -> Architecture:
    left = (each for number, each in enumerate(NET.blocks, start=1) if number not in numbers)
    return replace(NET, blocks=tuple(left))


def assert_same_function(child: Network, parent: Network, x: Tensor | None = None) -> None:
    torch.testing.assert_close(logits(child, x), logits(parent, x), rtol=1e-4, atol=1e-4)


def test_with_nothing_cut_the_network_is_a_copy_of_the_parent() -> None:
    parent = trained()
    expected = {name: value.clone() for name, value in parent.state_dict().items()}
    child = inherit(parent, NET)
    assert logits(child).equal(logits(parent))
    norms = [each for each in child.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert {(each.eps, each.momentum) for each in norms} == {(1e-3, 0.01)}
    with torch.no_grad():
        for value in child.parameters():
            value.fill_(9)
    assert all(value.equal(expected[name]) for name, value in parent.state_dict().items())


def make_idle(network: Network, number: int) -> None:
    """Have a residual block add nothing."""
    with torch.no_grad():
        block(network, number).project.get_parameter("norm.weight").zero_()
        block(network, number).project.get_parameter("norm.bias").zero_()


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_dropping_a_residual_block_that_adds_nothing_keeps_the_logits(number: int) -> None:
    parent = trained()
    make_idle(parent, number)
    assert_same_function(inherit(parent, without_blocks(number)), parent)
    active = trained()
    assert (logits(inherit(active, without_blocks(number))) - logits(active)).abs().max() > 1e-2


@pytest.mark.parametrize(("count", "index"), [(1, 5), (2, 1), (99, 1)])
def test_without_its_last_stages_a_network_pools_the_expansion_of_the_first_of_them(
    count: int, index: int
) -> None:
    parent = trained()
    assert stage_starts(NET) == [1, 5]
    child = inherit(parent, replace(drop_stages(NET, count), resolution_px=24), seed=3)
    x = images(child.architecture)
    expand = block(parent, index + 1).expand
    assert expand is not None
    with torch.inference_mode():
        maps = expand(parent.blocks[:index](parent.stem(x)))
        torch.testing.assert_close(logits(child, x), child.classifier(maps.mean((2, 3))))
    other = inherit(parent, drop_stages(NET, count), seed=4)
    assert not other.classifier.weight.equal(child.classifier.weight)  # NET has as many classes
    with torch.no_grad():
        child.features.get_parameter("conv.weight").zero_()
    assert expand.get_parameter("conv.weight").any()


def test_dropped_stages_combine_with_dropped_blocks_and_channels() -> None:
    parent = trained()
    make_idle(parent, 4)
    with torch.no_grad():
        expand = block(parent, 6).expand
        assert expand is not None
        for name in ("weight", "bias"):
            expand.get_parameter(f"norm.{name}")[::2] = 0
    whole = inherit(parent, drop_stages(NET, 1))
    cut = replace(drop_stages(without_blocks(4), 1), head=Head(16, activation="relu6"))
    child = inherit(parent, cut)
    with torch.no_grad():
        child.classifier.weight.copy_(whole.classifier.weight[:, 1::2])
        child.classifier.bias.copy_(whole.classifier.bias)
    assert_same_function(child, whole)


def test_a_stage_that_starts_without_an_expansion_goes_with_the_one_before() -> None:
    narrow_end = with_block(6, expanded=16)
    assert stage_starts(narrow_end) == [1]
    assert drop_stages(narrow_end, 1) == drop_stages(NET, 2)
    with pytest.raises(RunError, match="must not end before block 6, which has no expansion"):
        inherit(trained(narrow_end), drop_stages(NET, 1))


def alike(n_blocks: int) -> Architecture:
    """A stage of equal residual blocks."""
    return replace(NET, blocks=(NET.blocks[1], *[NET.blocks[2]] * n_blocks, NET.blocks[5]))


@pytest.mark.parametrize(
    ("scales", "kept"),
    [
        ((1, 1, 1, 1), (0, 1)),  # the later ones go
        ((0.5, 2, 0.1, 1), (1, 3)),
        ((3, 0.1, 0.2, 0.3), (0, 3)),
        ((-3, 1, 2, 1), (0, 2)),  # the sign of a scale does not matter
    ],
)
def test_of_equal_residual_blocks_those_stay_that_add_most(
    scales: tuple[float, ...], kept: tuple[int, ...]
) -> None:
    parent = trained(alike(4))
    with torch.no_grad():
        for number, scale in enumerate(scales, start=2):
            block(parent, number).project.get_parameter("norm.weight").fill_(scale)
    child = inherit(parent, alike(2))
    for number, index in enumerate(kept, start=2):
        weight = block(child, number).project.get_parameter("conv.weight")
        assert weight.equal(block(parent, index + 2).project.get_parameter("conv.weight"))


def test_a_block_is_matched_with_the_one_it_has_most_in_common_with() -> None:
    # With one change less than any other, block 4 is matched, though it adds least.
    parent = trained()
    make_idle(parent, 4)
    child = inherit(parent, replace(without_blocks(3, 5), resolution_px=32))
    assert child.blocks[2].state_dict().keys() == parent.blocks[3].state_dict().keys()
    assert (
        block(child, 3)
        .project.get_parameter("conv.weight")
        .equal(block(parent, 4).project.get_parameter("conv.weight"))
    )


def test_long_stages_are_matched_at_once() -> None:
    parent = replace(NET, blocks=(NET.blocks[1], *[NET.blocks[2]] * 100))
    child = replace(NET, blocks=(NET.blocks[1], *[NET.blocks[2]] * 50))
    assert len(inherit(build_network(parent), child).blocks) == 51


@pytest.mark.parametrize(("number", "kernel"), [(2, 5), (2, 3), (3, 3)])
def test_a_smaller_kernel_is_the_center_of_the_larger_one(number: int, kernel: int) -> None:
    parent = trained()
    weight = block(parent, number).depthwise.get_parameter("conv.weight")
    edge = (weight.shape[-1] - kernel) // 2
    with torch.no_grad():
        center = weight[..., edge:-edge, edge:-edge].clone()
        weight.zero_()[..., edge:-edge, edge:-edge] = center
    assert_same_function(inherit(parent, with_block(number, kernel=kernel)), parent)


def test_the_kernel_of_the_stem_is_cropped_too() -> None:
    parent = trained()
    with torch.no_grad():
        weight = parent.stem.get_parameter("conv.weight")
        weight[..., [0, -1], :] = 0
        weight[..., [0, -1]] = 0
    assert_same_function(inherit(parent, replace(NET, stem=replace(NET.stem, kernel=3))), parent)


@pytest.mark.parametrize("number", [2, 3, 5])
def test_squeeze_and_excitation_with_constant_gates_is_folded_exactly(number: int) -> None:
    parent = trained()
    with torch.no_grad():
        restore = block(parent, number).get_submodule("attention.restore")
        restore.get_parameter("weight").zero_()
        restore.get_parameter("bias").copy_(torch.linspace(-4, 4, len(restore.get_parameter("bias"))))
    cut = with_block(number, attention="none", squeeze=0)
    assert_same_function(inherit(parent, cut), parent)


def test_eca_with_a_constant_gate_is_folded_exactly() -> None:
    parent = trained()
    with torch.no_grad():
        block(parent, 4).get_parameter("attention.conv.weight").zero_()  # sigmoid(0) = 1/2
    assert_same_function(inherit(parent, with_block(4, attention="none")), parent)


def test_gates_follow_from_normal_channels() -> None:
    # relu6 of N(0, 1): mean 1 / sqrt(2 pi) = 0.39894; the gate of channel c is hardsigmoid(mean x c).
    one = replace(NET, blocks=(Block(3, 16, 16, "se", "relu6", 2, squeeze=1),))
    parent = trained(one)
    first = block(parent, 1)
    with torch.no_grad():
        first.depthwise.get_parameter("norm.bias").zero_()
        first.depthwise.get_parameter("norm.weight").fill_(-1)
        first.get_parameter("attention.reduce.weight").fill_(1 / 16)
        first.get_parameter("attention.reduce.bias").zero_()
        first.get_parameter("attention.restore.weight").copy_(torch.arange(16.0)[:, None, None, None])
        first.get_parameter("attention.restore.bias").zero_()
    cut = replace(one, blocks=(Block(3, 16, 16, "none", "relu6", 2),))
    folded = block(inherit(parent, cut), 1).project.get_parameter("conv.weight")
    gates = (0.5 + 0.39894 * torch.arange(16.0) / 6).clamp(max=1)
    expected = first.project.get_parameter("conv.weight") * gates[:, None, None]
    torch.testing.assert_close(folded, expected, rtol=0.02, atol=1e-6)


def test_a_narrower_head_loses_nothing_with_dead_channels() -> None:
    parent = trained()
    with torch.no_grad():
        for name in ("weight", "bias"):
            parent.features.get_parameter(f"norm.{name}")[::2] = 0
        parent.get_parameter("hidden.0.weight")[:16] = 0
        parent.get_parameter("hidden.0.bias")[:16] = 0
    assert_same_function(inherit(parent, replace(NET, head=Head(20, 8))), parent)


def test_cuts_of_all_kinds_combine() -> None:
    parent = trained()
    make_idle(parent, 3)
    with torch.no_grad():
        block(parent, 4).get_parameter("attention.conv.weight").zero_()
        for name in ("weight", "bias"):
            block(parent, 4).depthwise.get_parameter(f"norm.{name}")[::2] = 0
        edge = block(parent, 4).depthwise.get_parameter("conv.weight")
        edge[..., [0, -1], :] = 0
        edge[..., [0, -1]] = 0
    cut = without_blocks(3)
    blocks = list(cut.blocks)
    blocks[2] = Block(3, 24, 16, "none", "hardswish", 1)
    child = inherit(parent, replace(cut, blocks=tuple(blocks), resolution_px=24))
    assert_same_function(child, parent, images(child.architecture))


def test_a_grayscale_stem_matches_the_color_stem_on_grayscale_images() -> None:
    parent = trained()
    gray = images(replace(NET, image_channels=1))
    child = inherit(parent, replace(NET, image_channels=1))
    torch.testing.assert_close(
        logits(child, gray), logits(parent, gray.repeat(1, 3, 1, 1)), rtol=1e-4, atol=1e-4
    )


def test_a_color_stem_applies_grayscale_weights_to_the_mean_of_channels() -> None:
    parent = trained(replace(NET, image_channels=1))
    child = inherit(parent, NET)
    torch.testing.assert_close(
        logits(child), logits(parent, images().mean(1, keepdim=True)), rtol=1e-4, atol=1e-5
    )
    weight = child.stem.get_parameter("conv.weight")
    assert weight.is_contiguous()  # three copies, not an expanded view


def test_the_resolution_changes_no_weight() -> None:
    parent = trained()
    child = inherit(parent, replace(NET, resolution_px=40))
    assert child.input_shape == (3, 40, 40)
    assert all(value.equal(parent.state_dict()[name]) for name, value in child.state_dict().items())


def test_a_classifier_of_other_classes_follows_from_the_seed() -> None:
    parent = trained()
    first, same, other = (inherit(parent, replace(NET, classes=7), seed=each) for each in (1, 1, 2))
    assert first.classifier.weight.equal(same.classifier.weight)
    assert not first.classifier.weight.equal(other.classifier.weight)
    for name, value in first.state_dict().items():
        assert name.startswith("classifier") or value.equal(parent.state_dict()[name])


CHANGES: dict[str, tuple[Callable[[], Architecture], str]] = {
    "a larger kernel": (lambda: with_block(3, kernel=7), "block 3: kernel must be at most 5, got 7"),
    "a wider expansion": (lambda: with_block(6, expanded=40), "block 6: expanded must be at most 32, got 40"),
    "another activation": (
        lambda: with_block(6, activation="relu"),
        "block 6: activation must be relu6, got",
    ),
    "another stride": (lambda: with_block(6, stride=1), "block 6: stride must be 2, got 1"),
    "new attention": (lambda: with_block(6, attention="eca"), "block 6: attention must be none, got eca"),
    "other attention": (lambda: with_block(2, attention="eca", squeeze=0), "attention must be se or none"),
    "an expansion more": (lambda: with_block(1, expanded=24), "block 1: it must have no expansion"),
    "a block more": (
        lambda: replace(NET, blocks=(*NET.blocks[:5], NET.blocks[2], NET.blocks[5])),
        "at most 3 residual blocks after block 2, got 4",
    ),
    "a residual more": (
        lambda: with_block(2, out=8, stride=1),
        "at most 1 residual blocks after the stem, got 2",
    ),
    "another stem": (lambda: replace(NET, stem=replace(NET.stem, stride=1)), "stem stride must be 2, got 1"),
    "a wider end": (
        lambda: replace(drop_stages(NET, 1), head=Head(40, activation="relu6")),
        "head features must be at most 32, got 40",
    ),
    "no hidden layer": (lambda: replace(NET, head=Head(40)), "head hidden must be 1 to 24, got 0"),
    "another head": (lambda: replace(NET, head=Head(40, 24, "relu")), "head activation must be hardswish"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_smaller_form_is_refused_by_place_and_value(change: str) -> None:
    architecture, problem = CHANGES[change]
    with pytest.raises(RunError, match=problem):
        inherit(trained(), architecture())
