"""Terms of the latency predictor, compared with sums by hand, the closed-form cost and torch modules."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate.latency.predictor_features import DETAILED_TERMS, TERMS, Layer, features, layers
from bneck.search_space import (
    PRESETS,
    PUBLISHED_NAMES,
    Architecture,
    Block,
    Head,
    Stem,
    cost,
    operators,
    published_architecture,
)
from bneck.search_space.network import (
    Bneck,
    EfficientChannelAttention,
    SqueezeExcite,
    build_network,
    example_images,
)

from ...search_space.helpers import TOY, random_networks
from ..example_setup import crooked_networks

# 9 px, stem at stride 1: 81 pixels; block 1 at stride 2: 25 pixels
ODD = Architecture(
    9,
    Stem(5, "silu", kernel=5, stride=1),
    (Block(7, 17, 5, "eca", "silu", 2), Block(3, 20, 5, "none", "relu6", 1)),
    Head(33, 12, "silu"),
    image_channels=1,
    classes=3,
)
NETWORKS = {
    **{name: published_architecture(name) for name in PUBLISHED_NAMES},
    **{
        f"{preset} {n}": net for preset in PRESETS for n, net in enumerate(random_networks(preset, 2, seed=4))
    },
    **{f"crooked {n}": net for n, net in enumerate(crooked_networks(8, seed=4))},
    "toy": TOY,
    "odd": ODD,
}


def test_every_term_of_a_network_with_squeeze_and_excitation_is_the_sum_by_hand() -> None:
    # stem 4x4 px; block 1 expands 4 to 8 and back, added to its input; block 2 has no expansion
    # and ends at 2x2 px; no hidden layer
    assert features(TOY) == {
        "network": 1,
        "layers": 1 + (3 + 1) + 2 + 1,
        "stem_macs": 9 * 3 * 4 * 16,
        "pointwise_macs": 4 * 8 * 16 + 8 * 4 * 16 + 4 * 6 * 4 + 6 * 10 * 4,
        "depthwise_macs": 9 * 8 * 16 + 25 * 4 * 4,
        "head_macs": 10 * 2,
        "pointwise_elements": (4 + 8) * 16 + (8 + 4) * 16 + (4 + 6) * 4 + (6 + 10) * 4,
        "depthwise_elements": 8 * 16 + 4 * 4,
        "attentions": 1,
        "attention_elements": 8 * 16,
        "hardswish_elements": 4 * 16 + 4 * 4 + 10 * 4,  # stem, depthwise of block 2, head
        "silu_elements": 0,
        "pointwise_elements_read": 4 * 16 + 8 * 16 + 4 * 4 + 6 * 4,
        "depthwise_elements_read": 8 * 16 + 4 * 16,
        "pointwise_weights": 4 * 8 + 8 * 4 + 4 * 6 + 6 * 10,
        "depthwise_macs_5x5": 25 * 4 * 4,
        "depthwise_macs_7x7": 0,
        "residual_elements": 4 * 16,
    }


def test_every_term_of_a_network_with_channel_attention_and_a_hidden_layer_is_the_sum_by_hand() -> None:
    assert features(ODD) == {
        "network": 1,
        "layers": 1 + (3 + 1) + 3 + 1,
        "stem_macs": 25 * 1 * 5 * 81,
        "pointwise_macs": 5 * 17 * 81 + 17 * 5 * 25 + 5 * 20 * 25 + 20 * 5 * 25 + 5 * 33 * 25,
        "depthwise_macs": 49 * 17 * 25 + 9 * 20 * 25,
        "head_macs": 33 * 12 + 12 * 3,
        "pointwise_elements": (5 + 17) * 81 + (17 + 5 + 5 + 20 + 20 + 5 + 5 + 33) * 25,
        "depthwise_elements": 17 * 25 + 20 * 25,
        "attentions": 1,
        "attention_elements": 17 * 25,
        "hardswish_elements": 0,
        "silu_elements": 5 * 81 + 17 * 81 + 17 * 25 + 33 * 25,  # stem, block 1 twice, head
        "pointwise_elements_read": 5 * 81 + 17 * 25 + 5 * 25 + 20 * 25 + 5 * 25,
        "depthwise_elements_read": 17 * 81 + 20 * 25,
        "pointwise_weights": 5 * 17 + 17 * 5 + 5 * 20 + 20 * 5 + 5 * 33,
        "depthwise_macs_5x5": 0,
        "depthwise_macs_7x7": 49 * 17 * 25,
        "residual_elements": 5 * 25,
    }


def test_channels_just_above_a_vector_take_a_second_one() -> None:
    # 5, 17, 20 and 33 channels count as 16, 32, 32 and 48
    assert features(ODD, 16) == {
        "network": 1,
        "layers": 9,
        "stem_macs": 25 * 1 * 16 * 81,
        "pointwise_macs": 16 * 32 * 81 + 3 * 16 * 32 * 25 + 16 * 48 * 25,
        "depthwise_macs": 49 * 32 * 25 + 9 * 32 * 25,
        "head_macs": 33 * 12 + 12 * 3,
        "pointwise_elements": (16 + 32) * 81 + 3 * (16 + 32) * 25 + (16 + 48) * 25,
        "depthwise_elements": 2 * 32 * 25,
        "attentions": 1,
        "attention_elements": 32 * 25,
        "hardswish_elements": 0,
        "silu_elements": 16 * 81 + 32 * 81 + 32 * 25 + 48 * 25,
        "pointwise_elements_read": 16 * 81 + (32 + 16 + 32 + 16) * 25,
        "depthwise_elements_read": 32 * 81 + 32 * 25,
        "pointwise_weights": 5 * 17 + 17 * 5 + 5 * 20 + 20 * 5 + 5 * 33,
        "depthwise_macs_5x5": 0,
        "depthwise_macs_7x7": 49 * 32 * 25,
        "residual_elements": 16 * 25,
    }


def test_the_details_follow_the_terms_of_the_plain_model() -> None:
    assert tuple(features(TOY)) == DETAILED_TERMS
    assert DETAILED_TERMS[: len(TERMS)] == TERMS
    assert len(set(DETAILED_TERMS)) == len(DETAILED_TERMS)


@pytest.mark.parametrize("width", [1, 4, 8, 16, 32])
def test_channels_that_fill_their_vectors_count_as_they_are(width: int) -> None:
    blocks = (Block(3, 96, 32, "se", "relu", 1, squeeze=7), Block(5, 64, 64, "eca", "silu", 2))
    full = Architecture(17, Stem(32), blocks, Head(160, hidden=9))
    assert features(full, width) == features(full)
    # of 65 channels the last one is alone in its vector
    one_more = replace(full, head=Head(161, hidden=9))
    assert features(one_more, width)["pointwise_macs"] == features(full)["pointwise_macs"] + 64 * width * 25


def test_the_layers_of_a_network_in_the_order_they_run() -> None:
    assert list(layers(TOY)) == [
        Layer("stem", 3, 3, 4, 64, 16, "hardswish"),
        Layer("pointwise", 1, 4, 8, 16, 16, "relu"),
        Layer("depthwise", 3, 8, 8, 16, 16, "relu"),
        Layer("attention", 1, 8, 8, 16, 16),
        Layer("pointwise", 1, 8, 4, 16, 16, None, residual=True),
        Layer("depthwise", 5, 4, 4, 16, 4, "hardswish"),
        Layer("pointwise", 1, 4, 6, 4, 4),
        Layer("pointwise", 1, 6, 10, 4, 4, "hardswish"),
    ]


def assert_the_macs_are_those_of_the_closed_form(architecture: Architecture) -> None:
    """Only attention's MACs are in no term; the last layers of the head are in one of their own."""
    terms = features(architecture)
    by_name = {operator.name: operator.macs for operator in operators(architecture)}
    attentions = sum(macs for name, macs in by_name.items() if ".attention." in name)
    pointwise = ("expand", "project", "features")
    assert terms["stem_macs"] == by_name["stem"]
    assert terms["pointwise_macs"] == sum(macs for name, macs in by_name.items() if name.endswith(pointwise))
    assert terms["depthwise_macs"] == sum(
        macs for name, macs in by_name.items() if name.endswith("depthwise")
    )
    assert terms["head_macs"] == by_name.get("hidden", 0) + by_name["classifier"]
    macs = sum(terms[term] for term in ("stem_macs", "pointwise_macs", "depthwise_macs", "head_macs"))
    assert macs == cost(architecture).macs - attentions


@pytest.mark.parametrize("name", NETWORKS)
def test_the_macs_add_up_to_the_networks_without_those_of_attention(name: str) -> None:
    assert_the_macs_are_those_of_the_closed_form(NETWORKS[name])


@pytest.mark.parametrize("preset", PRESETS)
def test_the_macs_add_up_on_many_random_networks_of_every_space(preset: str) -> None:
    for architecture in random_networks(preset, 50, seed=9):
        assert_the_macs_are_those_of_the_closed_form(architecture)


def counted_by_torch(architecture: Architecture) -> dict[str, int]:
    """The terms but the MACs of stem and head, from what the modules of a network give and take."""
    seen: Counter[str] = Counter()

    def on(module: nn.Module, count: Callable[[Any, Tensor, Tensor], dict[str, int]]) -> None:
        module.register_forward_hook(lambda m, given, made: seen.update(count(m, given[0], made)))

    def conv(m: nn.Conv2d, given: Tensor, made: Tensor) -> dict[str, int]:
        macs = m.weight[0].numel() * made.numel()
        if m.groups > 1:
            name = f"depthwise_macs_{m.kernel_size[0]}x{m.kernel_size[0]}"
            elements = {"depthwise_elements": made.numel(), "depthwise_elements_read": given.numel()}
            return {"layers": 1, "depthwise_macs": macs, name: macs} | elements
        if m.kernel_size == (1, 1):
            elements = {"pointwise_elements": given.numel() + made.numel()}
            elements["pointwise_elements_read"] = given.numel()
            return {"layers": 1, "pointwise_macs": macs, "pointwise_weights": m.weight.numel()} | elements
        return {"layers": 1}

    # on the meta device shapes are computed and nothing else
    with torch.device("meta"):
        network = build_network(architecture).eval()
    for name, module in network.named_modules():
        if isinstance(module, SqueezeExcite | EfficientChannelAttention):
            on(module, lambda m, x, y: {"layers": 1, "attentions": 1, "attention_elements": x.numel()})
        elif isinstance(module, nn.Conv2d) and ".attention." not in name:
            on(module, conv)
        elif isinstance(module, nn.Hardswish) and not name.startswith("hidden"):
            on(module, lambda m, x, y: {"hardswish_elements": y.numel()})
        elif isinstance(module, nn.SiLU) and not name.startswith("hidden") and ".attention." not in name:
            on(module, lambda m, x, y: {"silu_elements": y.numel()})
        elif isinstance(module, Bneck) and module.residual:
            on(module, lambda m, x, y: {"residual_elements": y.numel()})
    network(example_images(architecture).to("meta"))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_maps_and_weights_are_those_of_torchs_modules(name: str) -> None:
    result, by_torch = features(NETWORKS[name]), counted_by_torch(NETWORKS[name])
    assert len(list(layers(NETWORKS[name]))) == by_torch["layers"]
    terms = set(DETAILED_TERMS) - {"network", "stem_macs", "head_macs"}
    assert {term: result[term] for term in terms} == {term: by_torch[term] for term in terms}
