from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate.scorers.fine_tuning import FREEZE
from bneck.evaluate.training.trainer import frozen_parts
from bneck.search_space import (
    PRESETS,
    PUBLISHED_NAMES,
    Architecture,
    Block,
    Cost,
    Head,
    Stem,
    cost,
    cost_breakdown,
    operators,
    published_architecture,
    training_macs,
)
from bneck.search_space.architecture import FineTuning, Tuned
from bneck.search_space.network import build_network, count_parameters

from .helpers import TOY, counted, random_networks

FAST, ALL = 5, 100
NETWORKS = {
    **{name: published_architecture(name) for name in PUBLISHED_NAMES},
    **{
        f"{preset} {number}": network
        for preset in PRESETS
        for number, network in enumerate(random_networks(preset, FAST), start=1)
    },
    "toy": TOY,
}


def assert_cost_is_what_others_count(architecture: Architecture) -> None:
    found, by_others = cost(architecture), counted(architecture)
    assert found.macs == by_others.macs[""]
    assert found.params == by_others.params
    assert found.activation_bytes == 4 * sum(by_others.outputs)
    assert found.depth == len(by_others.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_cost_is_what_fvcore_and_torch_count(name: str) -> None:
    assert_cost_is_what_others_count(NETWORKS[name])


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_cost_is_what_fvcore_and_torch_count_on_many_random_networks(preset: str) -> None:
    for architecture in random_networks(preset, ALL, seed=1):
        assert_cost_is_what_others_count(architecture)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.slow
def test_every_operator_is_a_module_with_the_same_macs_params_and_output(name: str) -> None:
    architecture = NETWORKS[name]
    by_others, network = counted(architecture), build_network(architecture)
    found = list(operators(architecture))
    assert [o.output_elements for o in found] == list(by_others.outputs)
    for operator in found:
        assert operator.macs == by_others.macs[operator.name], operator.name
        assert operator.params == count_parameters(network.get_submodule(operator.name)), operator.name


@pytest.mark.parametrize("side", [8, 9, 11, 15, 17, 33, 45])
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_odd_resolutions_are_rounded_as_torch_rounds_them(side: int, stem_stride: int) -> None:
    blocks = tuple(Block(kernel, 24, 16, "none", "relu", 2) for kernel in (3, 5, 7))
    stem = Stem(8, kernel=5, stride=stem_stride)
    assert_cost_is_what_others_count(Architecture(side, stem, blocks, Head(32), classes=2))


def macs_of(architecture: Architecture, name: str) -> int:
    return next(o.macs for o in operators(architecture) if o.name == name)


def test_depthwise_macs_do_not_multiply_by_channels() -> None:
    # block 4 of MobileNetV3-Large: 5x5 at stride 2, from 56 to 28 px, 72 channels
    assert macs_of(published_architecture("mobilenet_v3_large"), "blocks.3.depthwise") == 25 * 72 * 28 * 28


def test_the_stem_multiplies_by_the_channels_of_the_image() -> None:
    large = published_architecture("mobilenet_v3_large")
    assert macs_of(large, "stem") == 9 * 3 * 16 * 112 * 112
    assert macs_of(replace(large, image_channels=1), "stem") == 9 * 16 * 112 * 112


@pytest.mark.parametrize("tuned", ["all", "last-stage", "head"])
def test_training_macs_are_one_forward_pass_and_two_backward_through_the_layers_with_gradients(
    tuned: Tuned,
) -> None:
    architecture = replace(published_architecture("mobilenet_v2"), resolution_px=96, classes=10)
    network = build_network(architecture).train()
    for part in frozen_parts(network, FREEZE[tuned]):
        part.requires_grad_(False)
    counts: list[int] = []

    def count(layer: nn.Module, _: object, maps: Tensor) -> None:
        assert isinstance(layer.weight, nn.Parameter)
        macs = layer.weight.numel() * (maps.shape[2] * maps.shape[3] if maps.ndim == 4 else 1)
        counts.append(3 * macs if layer.weight.requires_grad else macs)

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    network(torch.zeros(2, *network.input_shape))
    assert training_macs(replace(architecture, fine_tuning=FineTuning("own", tuned))) == sum(counts)


def test_efficient_channel_attention_costs_its_kernel_for_every_channel() -> None:
    plain = replace(TOY, blocks=(Block(3, 64, 4, "none", "relu", 1),))
    eca = replace(TOY, blocks=(Block(3, 64, 4, "eca", "relu", 1),))
    # 64 channels have a kernel of 3: (log2(64) + 1) / 2 = 3.5
    assert cost(eca).macs - cost(plain).macs == 3 * 64
    assert cost(eca).params - cost(plain).params == 3
    assert cost(eca).activation_bytes - cost(plain).activation_bytes == 4 * 64


def test_squeeze_and_excitation_costs_two_layers_with_bias() -> None:
    plain = replace(TOY, blocks=(Block(3, 64, 4, "none", "relu", 1),))
    se = replace(TOY, blocks=(Block(3, 64, 4, "se", "relu", 1, squeeze=16),))
    assert cost(se).macs - cost(plain).macs == 2 * 64 * 16
    assert cost(se).params - cost(plain).params == 2 * 64 * 16 + 16 + 64


def test_what_is_alive_while_each_operator_runs() -> None:
    assert [(o.name, o.live_elements) for o in operators(TOY)] == [
        ("stem", 3 * 8 * 8 + 4 * 4 * 4),  # image and output
        ("blocks.0.expand", 64 + 128),  # the input is the residual; output
        ("blocks.0.depthwise", 64 + 128 + 128),  # residual, input, output
        ("blocks.0.attention.reduce", 64 + 128 + 8 + 2),  # residual, the map to scale, pooled, output
        ("blocks.0.attention.restore", 64 + 128 + 2 + 8),  # residual, the map to scale, input, output
        ("blocks.0.project", 64 + 128 + 64),  # residual, input, output
        ("blocks.1.depthwise", 64 + 4 * 2 * 2),  # no expansion, no residual: input and output
        ("blocks.1.project", 16 + 6 * 2 * 2),
        ("features", 24 + 10 * 2 * 2),
        ("classifier", 10 + 2),
    ]
    # the depthwise convolution of the first block
    assert cost(TOY).peak_activation_bytes == 4 * 320


def test_without_a_residual_less_is_alive() -> None:
    wider = replace(TOY, blocks=(replace(TOY.blocks[0], out=5), TOY.blocks[1]))
    # the stem: 3 * 64 + 64 = 256; depthwise: 128 + 128 = 256
    assert cost(wider).peak_activation_bytes == 4 * 256


def test_a_residual_around_a_block_without_expansion_is_its_input_and_counted_once() -> None:
    block = Block(3, 4, 4, "eca", "relu", 1)
    live = {o.name: o.live_elements for o in operators(replace(TOY, blocks=(block,)))}
    assert live["blocks.0.depthwise"] == 64 + 64
    assert live["blocks.0.attention.conv"] == 64 + 64 + 4 + 4  # residual, the map to scale, pooled, output
    assert live["blocks.0.project"] == 64 + 64 + 64


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parts_add_up_to_the_network(name: str) -> None:
    architecture = NETWORKS[name]
    whole, parts = cost(architecture), cost_breakdown(architecture)
    blocks = [f"block {number}" for number in range(1, len(architecture.blocks) + 1)]
    assert list(parts) == ["stem", *blocks, "head"]
    for field in fields(Cost):
        values = [getattr(part, field.name) for part in parts.values()]
        total = max(values) if field.name == "peak_activation_bytes" else sum(values)
        assert total == getattr(whole, field.name), field.name


def test_the_head_is_what_follows_the_blocks() -> None:
    # MobileNetV3-Large: 1x1 convolution 160 -> 960 at 7 px with normalisation, 960 -> 1280, 1280 -> 1000
    head = cost_breakdown(published_architecture("mobilenet_v3_large"))["head"]
    assert head.macs == 160 * 960 * 49 + 960 * 1280 + 1280 * 1000
    assert head.params == 160 * 960 + 2 * 960 + 960 * 1280 + 1280 + 1280 * 1000 + 1000
    assert head.depth == 3
