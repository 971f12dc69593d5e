import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from bneck.search_space import (
    Activation,
    Architecture,
    Block,
    Head,
    Stem,
    cost_breakdown,
    published_architecture,
)
from bneck.search_space.cost import eca_kernel
from bneck.search_space.network import (
    Bneck,
    ConvNorm,
    EfficientChannelAttention,
    Network,
    NetworkPart,
    SqueezeExcite,
    build_network,
    count_parameters,
    example_images,
    example_input,
)

from .helpers import TOY


def lively(network: nn.Module) -> nn.Module:
    """Random weights and statistics with which every layer shows in the logits.

    As torchvision initialises a network its logits are about 1e-9, whatever the layers do.
    """
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            # a filter's own inputs, so that a depthwise filter has a fan of 9 or 25
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / module.weight[0].numel()))
            if module.bias is not None:
                nn.init.normal_(module.bias, 0.0, 0.5)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0.0, 0.3)
            module.running_var.uniform_(0.3, 1.2)
    return network.eval()


@pytest.mark.parametrize(
    ("side", "kernel", "expected"),
    [
        # 1 to 6, sums of 3 at stride 2: TensorFlow begins at the first pixel and adds one at the right;
        # half a kernel on each side would give 3, 9, 15
        (6, 3, [1 + 2 + 3, 3 + 4 + 5, 5 + 6]),
        # three pixels missing: one at the left, two at the right
        (6, 5, [1 + 2 + 3 + 4, 2 + 3 + 4 + 5 + 6, 4 + 5 + 6]),
        # of an odd number of pixels the padding is equal on both sides
        (5, 3, [1 + 2, 2 + 3 + 4, 4 + 5]),
    ],
)
def test_same_padding_is_that_of_tensorflow(side: int, kernel: int, expected: list[int]) -> None:
    layer = ConvNorm(1, 1, kernel, 2, padding="same").conv
    assert isinstance(layer, nn.Conv2d)
    row = torch.zeros(kernel, kernel)
    row[kernel // 2 - (side % 2 == 0)] = 1  # of the rows, only the first of each window
    nn.init.constant_(layer.weight, 0.0)
    with torch.no_grad():
        layer.weight[0, 0] = row
        out = layer(torch.arange(1.0, side + 1).expand(1, 1, side, side))
    assert out[0, 0].tolist() == [expected] * 3


def test_images_of_any_count_and_depth_become_logits() -> None:
    network = build_network(replace(TOY, image_channels=1, classes=5))
    assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 5)


def test_example_images_are_what_the_network_takes() -> None:
    architecture = replace(TOY, image_channels=1, resolution_px=12)
    assert example_images(architecture, count=2).shape == (2, 1, 12, 12)


def test_parameters_are_counted() -> None:
    # weights 3 * 4 and bias 4, and two a channel for the normalisation
    assert count_parameters(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))) == 16 + 8


def test_the_residual_is_there_where_stride_is_1_and_channels_agree() -> None:
    x = torch.randn(2, 8, 4, 4)
    for stride in (1, 2):
        for out in (8, 16):
            bneck = Bneck(8, Block(3, 24, out, "none", "relu", stride)).eval()
            # a projection normalised to nothing lets the residual alone through
            nn.init.zeros_(bneck.project.get_submodule("norm").weight)  # type: ignore[arg-type]
            y = bneck(x)
            if (stride, out) == (1, 8):
                assert torch.equal(y, x)
            else:
                assert y.shape == (2, out, 4 // stride, 4 // stride)
                assert not y.any()


@pytest.mark.parametrize(("expanded", "kept"), [(16, False), (24, True), (8, True)])
def test_the_expansion_is_left_out_where_it_would_keep_the_channels(expanded: int, kept: bool) -> None:
    bneck = Bneck(16, Block(3, expanded, 24, "none", "relu", 1))
    assert (bneck.expand is not None) is kept


def test_squeeze_and_excitation_scales_each_channel_by_hand_computed_gates() -> None:
    attention = SqueezeExcite(channels=2, squeeze=1)
    with torch.no_grad():
        attention.reduce.weight.copy_(torch.tensor([1.0, 1.0]).view(1, 2, 1, 1))
        attention.restore.weight.copy_(torch.tensor([1.0, -0.5]).view(2, 1, 1, 1))
        for layer in (attention.reduce, attention.restore):
            assert layer.bias is not None
            layer.bias.zero_()
    means_1_and_2 = torch.tensor([[[0.0, 2.0]], [[4.0, 0.0]]]).unsqueeze(0)
    # squeeze: relu(1 + 2) = 3; gates: hardsigmoid(3) = 1 and hardsigmoid(-1.5) = 0.25
    expected = torch.tensor([[[0.0, 2.0]], [[1.0, 0.0]]]).unsqueeze(0)
    torch.testing.assert_close(attention(means_1_and_2), expected)
    # squeeze: relu(-1 - 2) = 0; gates: hardsigmoid(0) = 0.5
    torch.testing.assert_close(attention(-means_1_and_2), -0.5 * means_1_and_2)


def test_efficient_channel_attention_mixes_neighbouring_channels_by_hand_computed_gates() -> None:
    attention = EfficientChannelAttention(channels=8)
    with torch.no_grad():
        attention.conv.weight.copy_(torch.tensor([1.0, 2.0, 4.0]).view(1, 1, 3))
    x = torch.tensor([1.0, -1.0]).repeat(1, 8, 1, 1)
    x[0, 2] = torch.tensor([0.0, 2.0])
    # the means are 0 but for channel 2, where it is 1; so the convolution gives channel 1 the
    # last weight, 2 the middle one, 3 the first one, and 0 to all others
    convolved = torch.tensor([0.0, 4.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]).view(1, 8, 1, 1)
    torch.testing.assert_close(attention(x), x / (1 + torch.exp(-convolved)))


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [
        (1, 1),  # 0.5
        (8, 3),  # 2.0, half-way
        (16, 3),  # 2.5
        (64, 3),  # 3.5
        (128, 5),  # 4.0, half-way
        (240, 5),  # 4.45
        (512, 5),  # 5.0
        (960, 5),  # 5.45
        (2048, 7),  # 6.0, half-way
    ],
)
def test_the_kernel_of_eca_is_the_odd_number_nearest_to_half_of_log_channels_plus_1(
    channels: int, kernel: int
) -> None:
    assert eca_kernel(channels) == kernel


@pytest.mark.parametrize("channels", [1, 8, 100])
@pytest.mark.parametrize("side", [1, 5])
def test_attentions_keep_the_shape(channels: int, side: int) -> None:
    x = torch.randn(2, channels, side, side)
    assert SqueezeExcite(channels, 4)(x).shape == x.shape
    assert EfficientChannelAttention(channels)(x).shape == x.shape


@pytest.mark.parametrize(
    ("name", "kind"),
    [("relu", nn.ReLU), ("relu6", nn.ReLU6), ("hardswish", nn.Hardswish), ("silu", nn.SiLU)],
)
def test_each_part_has_the_activation_it_asks_for(name: Activation, kind: type[nn.Module]) -> None:
    other, other_kind = ("silu", nn.SiLU) if name == "relu" else ("relu", nn.ReLU)
    rest = Block(3, 8, 4, "none", other, 1)  # type: ignore[arg-type]
    block = Block(3, 8, 4, "se", name, 1, squeeze=2)

    def in_blocks(network: nn.Module) -> list[type[nn.Module]]:
        return [
            type(m.get_submodule("activation"))
            for m in network.modules()
            if isinstance(m, ConvNorm) and "activation" in dict(m.named_children())
        ]

    network = build_network(replace(TOY, stem=Stem(4, other), blocks=(block, rest), head=Head(10, 6, other)))  # type: ignore[arg-type]
    # stem; expand and depthwise of both blocks, the projection being linear; features
    assert in_blocks(network) == [other_kind, kind, kind, other_kind, other_kind, other_kind]
    network = build_network(replace(TOY, stem=Stem(4, name), blocks=(rest,), head=Head(10, 6, name)))
    assert in_blocks(network) == [kind, other_kind, other_kind, kind]
    assert network.hidden is not None
    assert [type(m) for m in network.hidden] == [nn.Linear, kind]


def test_the_hidden_layer_is_there_where_the_head_has_one() -> None:
    assert build_network(TOY).hidden is None
    network = build_network(replace(TOY, head=Head(10, hidden=6)))
    assert network.classifier.in_features == 6


def test_dropout_acts_before_the_classifier_while_training_alone() -> None:
    network = build_network(TOY, dropout=1.0)
    nn.init.ones_(network.classifier.bias)
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(network.train()(images), torch.ones(2, 2))
    assert not torch.equal(network.eval()(images), torch.ones(2, 2))


def test_weights_start_as_torch_draws_them() -> None:
    torch.manual_seed(0)
    network = build_network(published_architecture("mobilenet_v3_large"))
    # evenly from -1 / sqrt(fan in) to 1 / sqrt(fan in), so with a standard deviation of 1 / sqrt(3 fan in);
    # the filters of block 14 have 5 * 5 inputs of their own, the 1x1 filters of its expansion 160
    for name, fan_in in (
        ("blocks.13.depthwise.conv", 25),
        ("blocks.13.expand.conv", 160),
        ("hidden.0", 960),
        ("classifier", 1280),
    ):
        weight = network.get_parameter(f"{name}.weight")
        assert weight.abs().max().item() <= fan_in**-0.5
        # 24,000 draws and more: a standard deviation is off by 0.5% or so
        assert weight.std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.02)


def test_the_eps_and_momentum_asked_for_reach_every_normalisation() -> None:
    network = build_network(TOY, norm_eps=1e-3, norm_momentum=0.01)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    # stem, three of block 1, two of block 2 (which has no expansion), features
    assert [(m.eps, m.momentum) for m in norms] == [(1e-3, 0.01)] * 7


# Parts

SIDES = (8, 9, 11, 15, 17, 33)


def measure_layers(network: Network) -> list[NetworkPart]:
    """In the order they run."""
    return [NetworkPart(network, name) for name in cost_breakdown(network.architecture)]


def odd(side: int, stem_stride: int) -> Architecture:
    """A block with residual and attention, one without expansion, and strides on odd sides."""
    blocks = (
        Block(3, 12, 8, "se", "hardswish", 1, squeeze=4),
        Block(5, 8, 10, "eca", "relu", 2),
        Block(7, 20, 6, "none", "silu", 2),
    )
    return Architecture(side, Stem(8, "relu6", stride=stem_stride), blocks, Head(14, 9), 2, 5)


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("side", SIDES)
def test_the_parts_of_a_network_one_after_another_give_its_logits(side: int, stem_stride: int) -> None:
    network = build_network(odd(side, stem_stride))
    lively(network)
    images = torch.randn(3, 2, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(images)
        maps = images
        for part in measure_layers(network):
            # a part says which maps it takes
            assert maps.shape == (3, *part.input_shape), part.name
            maps = part(maps)
    assert expected.shape == (3, 5)
    assert expected.std() > 0.1
    assert maps.equal(expected)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small@0.5", "mnasnet_a1"])
def test_the_parts_of_published_networks_give_their_logits(name: str) -> None:
    network = build_network(replace(published_architecture(name), resolution_px=45))
    lively(network)
    images = torch.randn(2, 3, 45, 45, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        maps = images
        for part in measure_layers(network):
            assert maps.shape == (2, *part.input_shape), part.name
            maps = part(maps)
        assert maps.equal(network(images))


def test_the_maps_between_the_parts_of_mobilenet_v3_small_are_those_of_the_paper() -> None:
    # Howard et al. 2019, table 2: input of each row
    shapes = {
        part.name: part.input_shape
        for part in measure_layers(build_network(published_architecture("mobilenet_v3_small")))
    }
    assert shapes == {
        "stem": (3, 224, 224),
        "block 1": (16, 112, 112),
        "block 2": (16, 56, 56),
        "block 3": (24, 28, 28),
        "block 4": (24, 28, 28),
        "block 5": (40, 14, 14),
        "block 6": (40, 14, 14),
        "block 7": (40, 14, 14),
        "block 8": (48, 14, 14),
        "block 9": (48, 14, 14),
        "block 10": (96, 7, 7),
        "block 11": (96, 7, 7),
        "head": (96, 7, 7),
    }


def test_a_part_has_the_networks_own_weights_and_mode() -> None:
    network = build_network(TOY)
    lively(network)
    part = NetworkPart(network, "block 2")
    maps = example_input(part)
    with torch.inference_mode():
        before = part(maps)
        assert not network.blocks[1].training
        for parameter in network.blocks[0].parameters():
            parameter.fill_(0)
        assert part(maps).equal(before)
        for parameter in network.blocks[1].parameters():
            parameter.fill_(0)
        assert not part(maps).equal(before)
    part.train()
    assert network.training


@pytest.mark.parametrize("name", ["stem", "block 1", "block 2", "head"])
def test_the_example_of_a_part_is_noise_of_its_shape_and_always_the_same(name: str) -> None:
    part = NetworkPart(build_network(TOY), name)
    one, three = example_input(part), example_input(part, 3)
    assert one.shape == (1, *part.input_shape)
    assert three.shape == (3, *part.input_shape)
    assert 0 <= three.min() < 0.1 < 0.9 < three.max() <= 1
    torch.manual_seed(5)
    assert example_input(part, 3).equal(three)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.rand(3).equal(after)


def test_the_example_of_a_network_is_that_of_its_architecture() -> None:
    assert example_input(build_network(TOY), 4).equal(example_images(TOY, 4))
    assert example_images(TOY, 4).shape == (4, 3, 8, 8)
