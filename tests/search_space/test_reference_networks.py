from collections.abc import Callable

import pytest
import torch
import torchvision.models as tv
from torch import nn
from torchvision.models.mobilenetv3 import MobileNetV3, _mobilenet_v3_conf

from bneck.search_space import (
    PUBLISHED_NAMES,
    ArchitectureError,
    UnknownNameError,
    cost,
    published_architecture,
)
from bneck.search_space.network import build_network, example_images

from .helpers import fvcore_macs


def v3(name: str, width: float) -> nn.Module:
    rows, last_channel = _mobilenet_v3_conf(name, width_mult=width)
    return MobileNetV3(rows, last_channel)  # type: ignore[no-any-return]


WIDTHS: dict[str, tuple[Callable[[float], nn.Module], tuple[float, ...]]] = {
    "mobilenet_v3_large": (lambda width: v3("mobilenet_v3_large", width), (0.35, 0.5, 0.75, 1.0, 1.25)),
    "mobilenet_v3_small": (lambda width: v3("mobilenet_v3_small", width), (0.35, 0.5, 0.75, 1.0, 1.25)),
    "mobilenet_v2": (lambda width: tv.mobilenet_v2(width_mult=width), (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)),
    "mnasnet_b1": (lambda width: tv.MNASNet(width), (0.35, 0.5, 0.75, 1.0, 1.3)),
}


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        # torchvision's documentation; MACs counted with fvcore, convolutions and linear layers alone
        ("mobilenet_v3_large", 5_483_032, 216_589_760),
        ("mobilenet_v3_small", 2_542_856, 56_510_400),
        ("mobilenet_v2", 3_504_872, 300_774_272),
        ("efficientnet_b0", 5_288_548, 385_814_752),
    ],
)
def test_parameters_and_macs_are_those_published(name: str, params: int, macs: int) -> None:
    assert (cost(published_architecture(name)).params, cost(published_architecture(name)).macs) == (
        params,
        macs,
    )


def test_mnasnet_a1_has_the_size_of_timms_semnasnet() -> None:
    assert cost(published_architecture("mnasnet_a1")).params == 3_887_038
    assert round(cost(published_architecture("mnasnet_a1")).macs / 1e6, 1) == 311.6
    assert cost(published_architecture("mnasnet_a1@0.75")).params == 2_912_278


@pytest.mark.parametrize(
    ("name", "params_m", "macs_m"),
    [
        # table 3 of arXiv 1905.02244: 4.0M and 155M, 2.0M and 44M; the digits from timm's networks
        ("mobilenet_v3_large_paper@0.75", 3.994, 154.6),
        ("mobilenet_v3_small_paper@0.75", 2.042, 43.4),
    ],
)
def test_the_papers_own_scaling_keeps_the_hidden_layer(name: str, params_m: float, macs_m: float) -> None:
    scaled = cost(published_architecture(name))
    assert (round(scaled.params / 1e6, 3), round(scaled.macs / 1e6, 1)) == (params_m, macs_m)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_both_scalings_of_mobilenet_v3_agree_at_width_1(name: str) -> None:
    assert published_architecture(name) == published_architecture(f"{name}_paper")


def test_the_papers_scaling_keeps_a_narrow_stem_at_16() -> None:
    # timm's `fix_stem` below width 0.75; torchvision has make_divisible(16 * 0.5) = 8
    assert published_architecture("mobilenet_v3_large_paper@0.5").stem.out == 16
    assert published_architecture("mobilenet_v3_large@0.5").stem.out == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width"), [(name, width) for name, (_, widths) in WIDTHS.items() for width in widths]
)
def test_every_tensor_has_torchvisions_shape_at_every_width(name: str, width: float) -> None:
    architecture = published_architecture(f"{name}@{width}")
    with torch.device("meta"):
        theirs = WIDTHS[name][0](width)
        ours = build_network(architecture)
    expected = list(theirs.parameters())
    assert [p.shape for p in ours.parameters()] == [p.shape for p in expected]
    assert cost(architecture).params == sum(p.numel() for p in expected)


@pytest.mark.parametrize("width", WIDTHS["mobilenet_v3_large"][1])
@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_mobilenet_v3_has_torchvisions_rows(name: str, width: float) -> None:
    rows, hidden = _mobilenet_v3_conf(name, width_mult=width)
    architecture = published_architecture(f"{name}@{width}")
    assert [
        (channels, b.kernel, b.expanded, b.out, b.attention == "se", b.activation == "hardswish", b.stride)
        for channels, b in architecture.blocks_with_in_channels()
    ] == [
        (r.input_channels, r.kernel, r.expanded_channels, r.out_channels, r.use_se, r.use_hs, r.stride)
        for r in rows
    ]
    assert {b.activation for b in architecture.blocks} == {"relu", "hardswish"}
    assert architecture.head.hidden == hidden


@pytest.mark.parametrize(
    ("name", "squeezes"),
    [
        ("mobilenet_v3_large", [24, 32, 32, 120, 168, 168, 240, 240]),
        ("mobilenet_v3_small", [8, 24, 64, 64, 32, 40, 72, 144, 144]),
        # a quarter of the input: 24, 40, 40, then 80, 112, then 112, 160, 160
        ("mnasnet_a1", [6, 10, 10, 20, 28, 28, 40, 40]),
    ],
)
def test_squeeze_widths_are_those_published(name: str, squeezes: list[int]) -> None:
    assert [b.squeeze for b in published_architecture(name).blocks if b.attention == "se"] == squeezes


def test_mnasnet_b1_has_torchvisions_macs() -> None:
    with_strides_and_resolution = fvcore_macs(tv.mnasnet1_0().eval(), torch.zeros(1, 3, 224, 224))[""]
    assert cost(published_architecture("mnasnet_b1")).macs == with_strides_and_resolution


@pytest.mark.parametrize(
    ("name", "activation"), [("mobilenet_v2", "relu6"), ("mnasnet_a1", "relu"), ("mnasnet_b1", "relu")]
)
def test_the_networks_by_ratio_have_one_activation_throughout(name: str, activation: str) -> None:
    network = published_architecture(name)
    assert {network.stem.activation, network.head.activation} == {activation}
    assert {block.activation for block in network.blocks} == {activation}


def test_every_published_network_takes_colour_images_of_1000_classes_at_its_own_resolution() -> None:
    networks = {name: published_architecture(name) for name in PUBLISHED_NAMES}
    assert {(n.image_channels, n.classes) for n in networks.values()} == {(3, 1000)}
    others = {name: n.resolution_px for name, n in networks.items() if n.resolution_px != 224}
    assert others == {"efficientnet_lite1": 240, "efficientnet_lite2": 260}


@pytest.mark.parametrize(
    ("name", "params", "depth"),
    [
        # parameters of the files on PyPI; blocks: 1, 2, 2, 3, 3, 4, 1, the middle five times 1.1 (1.2),
        # rounded up
        ("efficientnet_lite0", 4_652_008, 16),
        ("efficientnet_lite1", 5_416_680, 1 + 3 + 3 + 4 + 4 + 5 + 1),
        ("efficientnet_lite2", 6_092_072, 1 + 3 + 3 + 4 + 4 + 5 + 1),
    ],
)
def test_efficientnet_lite_has_its_published_size_and_macs_as_fvcore_counts(
    name: str, params: int, depth: int
) -> None:
    network = published_architecture(name)
    assert (cost(network).params, len(network.blocks)) == (params, depth)
    assert cost(network).macs == fvcore_macs(build_network(network), example_images(network))[""]


def test_an_unknown_name_lists_the_nearest_first() -> None:
    with pytest.raises(UnknownNameError) as refusal:
        published_architecture("mobilenet_v3_larg")
    assert str(refusal.value).startswith("unknown network 'mobilenet_v3_larg'; known: mobilenet_v3_large, ")


def test_a_name_like_no_other_lists_all() -> None:
    with pytest.raises(UnknownNameError) as refusal:
        published_architecture("zzz")
    assert str(refusal.value).startswith("unknown network 'zzz'; known: " + ", ".join(PUBLISHED_NAMES))


def test_a_network_of_another_family_gets_the_families_and_no_suggestion() -> None:
    for name in ("resnet18", "shufflenet_v2"):
        with pytest.raises(
            UnknownNameError, match="families MobileNetV2, MobileNetV3, MnasNet and "
        ) as refusal:
            published_architecture(name)
        assert "did you mean" not in str(refusal.value)
    with pytest.raises(UnknownNameError, match=r"did you mean mobilenet_v3_small\?"):
        published_architecture("MobileNetV3_Small")


@pytest.mark.parametrize("width", ["", "wide", "0", "-1", "0.09", "11", "nan", "inf", "0.5@2"])
def test_an_impossible_width_is_refused(width: str) -> None:
    with pytest.raises(ArchitectureError) as refusal:
        published_architecture(f"mobilenet_v2@{width}")
    wanted = f"width must be a number from 0.1 to 10, got '{width}' in 'mobilenet_v2@{width}'"
    assert str(refusal.value) == wanted


def test_width_1_is_the_network_itself() -> None:
    for name in PUBLISHED_NAMES:
        assert published_architecture(f"{name}@1.0") == published_architecture(name)
