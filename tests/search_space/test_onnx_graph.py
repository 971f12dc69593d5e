"""Networks as ONNX models, held against torch by ONNX Runtime."""

import copy
import math
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from bneck.search_space import (
    PRESETS,
    PUBLISHED_NAMES,
    Activation,
    Architecture,
    Attention,
    Block,
    Head,
    Stem,
    cost,
    cost_breakdown,
    published_architecture,
)
from bneck.search_space.architecture import ACTIVATIONS, ATTENTIONS
from bneck.search_space.network import Network, NetworkPart, build_network, count_parameters
from bneck.search_space.onnx_graph import build_onnx_model

from .helpers import TOY, random_networks


def lively(architecture: Architecture) -> Network:
    """Random weights, and statistics of random images, with which every layer shows in the logits.

    With made-up statistics the maps of a deep network grow until rounding shows. Variances are
    about 1, so that the eps of 0.1 matters.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(architecture, norm_eps=0.1, norm_momentum=0.9)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Conv1d | nn.Linear):
                nn.init.normal_(module.weight, 0.0, math.sqrt(2 / module.weight[0].numel()))
                if module.bias is not None:
                    nn.init.normal_(module.bias, 0.0, 0.5)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.7, 2.0)
                nn.init.normal_(module.bias, 0.0, 0.5)
        network(images_for(architecture, count=8))
    return network.eval()


def images_for(architecture: Architecture, count: int = 3) -> Tensor:
    side = architecture.resolution_px
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, architecture.image_channels, side, side, generator=generator)


def logits_of(model: onnx.ModelProto, images: Tensor) -> Tensor:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    return torch.from_numpy(logits)


def assert_the_model_is_the_network(architecture: Architecture) -> None:
    network, images = lively(architecture), images_for(architecture)
    with torch.inference_mode():
        expected = copy.deepcopy(network).double()(images.double()).float()
    scale = expected.std().item()
    assert scale > 0.1
    # the images show in the logits, so that what mixes them up does too
    assert (expected[0] - expected[1]).abs().max() > 0.1 * scale
    model = build_onnx_model(network)
    onnx.checker.check_model(model, full_check=True)
    torch.testing.assert_close(logits_of(model, images), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLISHED_NAMES, "mobilenet_v3_large_paper@0.75"])
def test_published_networks_give_torchs_logits(name: str) -> None:
    assert_the_model_is_the_network(replace(published_architecture(name), resolution_px=64, classes=10))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("number", range(3))
@pytest.mark.slow
def test_random_networks_of_every_space_give_torchs_logits(preset: str, number: int) -> None:
    # an odd side, of which stride and padding leave no rows over
    assert_the_model_is_the_network(
        replace(random_networks(preset, 3, seed=5)[number], resolution_px=45, classes=10)
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logistic_gates_give_torchs_logits(activation: Activation) -> None:
    block = Block(3, 24, 8, "se", activation, 1, squeeze=4, gate="sigmoid")
    assert_the_model_is_the_network(
        Architecture(11, Stem(8, activation), (block, block), Head(20, 12, activation), 2, 5)
    )


@pytest.mark.parametrize("side", [32, 45])
def test_same_padding_gives_torchs_logits(side: int) -> None:
    blocks = tuple(Block(kernel, 16, 8, "none", "relu6", 2) for kernel in (3, 5, 7))
    assert_the_model_is_the_network(
        Architecture(side, Stem(8, "relu6"), blocks, Head(16, 0, "relu6"), 3, 5, padding="same")
    )


@pytest.mark.parametrize(("attention", "activation"), list(product(ATTENTIONS, ACTIVATIONS)))
def test_every_attention_and_activation_gives_torchs_logits(
    attention: Attention, activation: Activation
) -> None:
    block = Block(3, 24, 8, attention, activation, 1, squeeze=4 if attention == "se" else 0)
    assert_the_model_is_the_network(
        Architecture(
            11,
            Stem(8, activation),
            (block, replace(block, kernel=7, stride=2)),
            Head(20, 12, activation),
            2,
            5,
        )
    )


def test_any_number_of_images_gives_the_logits_of_each_alone() -> None:
    architecture = replace(TOY, blocks=(TOY.blocks[0], Block(3, 8, 4, "eca", "silu", 1)))
    model, images = build_onnx_model(lively(architecture)), images_for(architecture, count=7)
    one_by_one = torch.cat([logits_of(model, image[None]) for image in images])
    assert logits_of(model, images).shape == (7, 2)
    torch.testing.assert_close(logits_of(model, images), one_by_one, rtol=0, atol=1e-5)


def test_the_inputs_outputs_and_versions_are_the_same_for_ever() -> None:
    model = build_onnx_model(build_network(replace(TOY, classes=7)))

    def shape(value: onnx.ValueInfoProto) -> tuple[str, list[str | int]]:
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        return value.name, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    assert [shape(value) for value in model.graph.input] == [("images", ["n", 3, 8, 8])]
    assert [shape(value) for value in model.graph.output] == [("logits", ["n", 7])]
    assert model.ir_version == 10
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert model.producer_name == "bneck"


def test_the_operators_of_mobilenet_v3_large_are_those_of_the_paper() -> None:
    # Table 1: 15 blocks of which the first has no expansion, 8 with squeeze-and-excitation;
    # residuals in blocks 1, 3, 5, 6, 8, 9, 10, 12, 14 and 15, where stride is 1 and channels stay.
    # Convolutions: stem, 14 expansions, 15 depthwise, 8 * 2 in attention, 15 projections, features.
    # relu: twice a block in blocks 2 to 6, once in block 1, and once in each attention; hard swish:
    # stem, twice a block in 9 blocks, features, hidden. Pools: one an attention and one at the end.
    operators = Counter(
        node.op_type
        for node in build_onnx_model(build_network(published_architecture("mobilenet_v3_large"))).graph.node
    )
    assert operators == {
        "Conv": 1 + 14 + 15 + 16 + 15 + 1,
        "Relu": 2 * 5 + 1 + 8,
        "HardSwish": 1 + 2 * 9 + 1 + 1,
        "HardSigmoid": 8,
        "Mul": 8,
        "Add": 10,
        "GlobalAveragePool": 8 + 1,
        "Flatten": 1,
        "Gemm": 2,
    }


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mnasnet_a1"])
def test_the_weights_are_the_parameters_with_one_a_channel_for_the_normalisation(name: str) -> None:
    network = build_network(published_architecture(name))
    weights = build_onnx_model(network).graph.initializer
    channels = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert sum(math.prod(weight.dims) for weight in weights) == count_parameters(network) - channels
    assert {weight.data_type for weight in weights} == {onnx.TensorProto.FLOAT}
    # weight and bias of each convolution and linear layer
    assert len(weights) == 2 * cost(published_architecture(name)).depth


def test_a_folded_convolution_is_the_one_worked_out_by_hand() -> None:
    network = build_network(TOY, norm_eps=0.25)
    with torch.no_grad():
        network.stem.get_parameter("conv.weight").fill_(3)
        network.stem.get_parameter("norm.weight").fill_(5)
        network.stem.get_parameter("norm.bias").fill_(7)
        network.stem.get_buffer("norm.running_mean").fill_(2)
        network.stem.get_buffer("norm.running_var").fill_(6)
    weights = {w.name: numpy_helper.to_array(w) for w in build_onnx_model(network).graph.initializer}
    # 5 / sqrt(6 + 0.25) = 2: weights 3 * 2, bias 7 - 2 * 2
    np.testing.assert_allclose(weights["stem.weight"], np.full((4, 3, 3, 3), 6), rtol=1e-6)
    np.testing.assert_allclose(weights["stem.bias"], np.full(4, 3), rtol=1e-6)


def test_writing_leaves_the_network_as_it_was() -> None:
    network = lively(TOY).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    build_onnx_model(network)
    assert network.training
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


def test_a_network_in_channels_last_is_written_to_the_same_bytes() -> None:
    network = lively(TOY)
    plain = build_onnx_model(network).SerializeToString(deterministic=True)
    turned = network.to(memory_format=torch.channels_last)
    assert build_onnx_model(turned).SerializeToString(deterministic=True) == plain


def test_an_activation_without_an_onnx_form_is_named() -> None:
    network = build_network(replace(TOY, head=Head(10, hidden=6)))
    assert network.hidden is not None
    network.hidden[1] = nn.Tanh()
    with pytest.raises(TypeError, match=r"^hidden\.activation: no ONNX form of Tanh$"):
        build_onnx_model(network)


# Parts


def answer_of(model: onnx.ModelProto, maps: Tensor) -> Tensor:
    """The only output, whatever its name."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": maps.numpy()})
    return torch.from_numpy(found)


PARTED = {
    # residual with attention, no expansion, and strides on odd sides
    "odd": Architecture(
        17,
        Stem(8, "relu6", kernel=5),
        (
            Block(3, 12, 8, "se", "hardswish", 1, squeeze=4),
            Block(5, 8, 10, "eca", "relu", 2),
            Block(7, 20, 6, "none", "silu", 1),
        ),
        Head(14, 9),
        2,
        5,
    ),
    "toy": TOY,
    "mobilenet_v3_small": replace(published_architecture("mobilenet_v3_small"), resolution_px=45, classes=10),
}
PARTS = [(name, part) for name, architecture in PARTED.items() for part in cost_breakdown(architecture)]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_part_of_a_network_gives_torchs_maps(name: str, part: str) -> None:
    alone = NetworkPart(lively(PARTED[name]), part)
    # each image on another level, so that pooling does not make them alike
    levels = torch.arange(3).reshape(3, 1, 1, 1)
    maps = levels + torch.randn(3, *alone.input_shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = alone(maps)
    scale = expected.std().item()
    assert scale > 0.05
    assert (expected[0] - expected[1]).abs().max() > 0.1 * scale
    torch.testing.assert_close(answer_of(build_onnx_model(alone), maps), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("part", ["stem", "block 1", "head"])
def test_a_part_is_a_valid_model(part: str) -> None:
    onnx.checker.check_model(build_onnx_model(NetworkPart(build_network(TOY), part)), full_check=True)


def test_the_parts_of_a_model_one_after_another_give_its_logits() -> None:
    network = lively(PARTED["odd"])
    images = images_for(network.architecture)
    maps = images
    for part in cost_breakdown(network.architecture):
        maps = answer_of(build_onnx_model(NetworkPart(network, part)), maps)
    torch.testing.assert_close(maps, logits_of(build_onnx_model(network), images), rtol=0, atol=1e-4)


def test_a_part_holds_its_own_layers_alone() -> None:
    # block 2 of the toy: depthwise convolution, hard swish and projection
    model = build_onnx_model(NetworkPart(build_network(TOY), "block 2"))
    assert [node.op_type for node in model.graph.node] == ["Conv", "HardSwish", "Conv"]
    assert [tuple(weight.dims) for weight in model.graph.initializer if len(weight.dims) > 1] == [
        (4, 1, 5, 5),
        (6, 4, 1, 1),
    ]
    given = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in given] == ["n", 4, 4, 4]
