"""Published networks, exact to the channel, with width multipliers.

The attention's gate is the hard sigmoid of MobileNetV3, in MnasNet too, whose logistic sigmoid has
the same parameters and the same MACs; EfficientNet has its own.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from .architecture import Activation, Architecture, Attention, Block, Head, Stem, make_divisible
from .errors import ArchitectureError, UnknownNameError

# kernel, expanded, out, attention, activation, stride
AbsoluteRow = tuple[int, int, int, Attention, Activation, int]
# expansion, out, blocks, stride of the first, kernel, attention
RatioRow = tuple[int, int, int, int, int, Attention]

# Howard et al. 2019, arXiv 1905.02244v5, table 1.
MOBILENET_V3_LARGE: tuple[AbsoluteRow, ...] = (
    (3, 16, 16, "none", "relu", 1),  # 112 px
    (3, 64, 24, "none", "relu", 2),  # 112 -> 56
    (3, 72, 24, "none", "relu", 1),  # 56
    (5, 72, 40, "se", "relu", 2),  # 56 -> 28
    (5, 120, 40, "se", "relu", 1),  # 28
    (5, 120, 40, "se", "relu", 1),  # 28
    (3, 240, 80, "none", "hardswish", 2),  # 28 -> 14
    (3, 200, 80, "none", "hardswish", 1),  # 14
    (3, 184, 80, "none", "hardswish", 1),  # 14
    (3, 184, 80, "none", "hardswish", 1),  # 14
    (3, 480, 112, "se", "hardswish", 1),  # 14
    (3, 672, 112, "se", "hardswish", 1),  # 14
    (5, 672, 160, "se", "hardswish", 2),  # 14 -> 7
    (5, 960, 160, "se", "hardswish", 1),  # 7
    (5, 960, 160, "se", "hardswish", 1),  # 7
)

# Howard et al. 2019, arXiv 1905.02244v5, table 2.
MOBILENET_V3_SMALL: tuple[AbsoluteRow, ...] = (
    (3, 16, 16, "se", "relu", 2),  # 112 -> 56 px
    (3, 72, 24, "none", "relu", 2),  # 56 -> 28
    (3, 88, 24, "none", "relu", 1),  # 28
    (5, 96, 40, "se", "hardswish", 2),  # 28 -> 14
    (5, 240, 40, "se", "hardswish", 1),  # 14
    (5, 240, 40, "se", "hardswish", 1),  # 14
    (5, 120, 48, "se", "hardswish", 1),  # 14
    (5, 144, 48, "se", "hardswish", 1),  # 14
    (5, 288, 96, "se", "hardswish", 2),  # 14 -> 7
    (5, 576, 96, "se", "hardswish", 1),  # 7
    (5, 576, 96, "se", "hardswish", 1),  # 7
)

# Sandler et al. 2018, arXiv 1801.04381, table 2.
MOBILENET_V2: tuple[RatioRow, ...] = (
    (1, 16, 1, 1, 3, "none"),  # 112 px
    (6, 24, 2, 2, 3, "none"),  # 112 -> 56
    (6, 32, 3, 2, 3, "none"),  # 56 -> 28
    (6, 64, 4, 2, 3, "none"),  # 28 -> 14
    (6, 96, 3, 1, 3, "none"),  # 14
    (6, 160, 3, 2, 3, "none"),  # 14 -> 7
    (6, 320, 1, 1, 3, "none"),  # 7
)

# Tan et al. 2019, arXiv 1807.11626, figure 7(a); squeeze widths as in timm's `semnasnet_100`.
MNASNET_A1: tuple[RatioRow, ...] = (
    (1, 16, 1, 1, 3, "none"),  # 112 px
    (6, 24, 2, 2, 3, "none"),  # 112 -> 56
    (3, 40, 3, 2, 5, "se"),  # 56 -> 28
    (6, 80, 4, 2, 3, "none"),  # 28 -> 14
    (6, 112, 2, 1, 3, "se"),  # 14
    (6, 160, 3, 2, 5, "se"),  # 14 -> 7
    (6, 320, 1, 1, 3, "none"),  # 7
)

# Tan et al. 2019, as in torchvision's `mnasnet1_0` and timm's `mnasnet_100`.
MNASNET_B1: tuple[RatioRow, ...] = (
    (1, 16, 1, 1, 3, "none"),  # 112 px
    (3, 24, 3, 2, 3, "none"),  # 112 -> 56
    (3, 40, 3, 2, 5, "none"),  # 56 -> 28
    (6, 80, 3, 2, 5, "none"),  # 28 -> 14
    (6, 96, 2, 1, 3, "none"),  # 14
    (6, 192, 4, 2, 5, "none"),  # 14 -> 7
    (6, 320, 1, 1, 3, "none"),  # 7
)

# Tan and Le 2019, arXiv 1905.11946, table 1. EfficientNet-Lite has it without SE and with ReLU6.
EFFICIENTNET_B0: tuple[RatioRow, ...] = (
    (1, 16, 1, 1, 3, "se"),  # 112 px
    (6, 24, 2, 2, 3, "se"),  # 112 -> 56
    (6, 40, 2, 2, 5, "se"),  # 56 -> 28
    (6, 80, 3, 2, 3, "se"),  # 28 -> 14
    (6, 112, 3, 1, 5, "se"),  # 14
    (6, 192, 4, 2, 5, "se"),  # 14 -> 7
    (6, 320, 1, 1, 3, "se"),  # 7
)


def squeeze_v3(expanded: int) -> int:
    """A quarter of the expanded channels, in steps of 8 (MobileNetV3)."""
    return make_divisible(expanded // 4)


def squeeze_mnasnet(in_channels: int) -> int:
    """A quarter of the block's input channels (MnasNet)."""
    return max(1, round(in_channels / 4))


def _v3_torchvision(rows: Sequence[AbsoluteRow], hidden: int, width: float) -> Architecture:
    """Every width is scaled, that of the hidden layer too (torchvision `_mobilenet_v3_conf`)."""

    def scaled(channels: int) -> int:
        return make_divisible(channels * width)

    blocks = tuple(
        Block(k, scaled(expanded), scaled(out), se, act, s, squeeze_v3(scaled(expanded)) if se == "se" else 0)
        for k, expanded, out, se, act, s in rows
    )
    head = Head(6 * blocks[-1].out, scaled(hidden), "hardswish")
    return Architecture(224, Stem(scaled(16)), blocks, head)


def _v3_paper(rows: Sequence[AbsoluteRow], hidden: int, width: float) -> Architecture:
    """The expansion *ratios* are kept, the hidden layer and a narrow stem are not scaled.

    So do TensorFlow's slim and timm, which come to the paper's 4.0M parameters and 155M MACs
    for Large at width 0.75.
    """
    stem = Stem(16 if width < 0.75 else make_divisible(16 * width))
    blocks: list[Block] = []
    published_in = 16
    for kernel, published_expanded, published_out, se, activation, stride in rows:
        in_channels = blocks[-1].out if blocks else stem.out
        expanded = make_divisible(in_channels * published_expanded / published_in)
        squeeze = squeeze_v3(expanded) if se == "se" else 0
        out = make_divisible(published_out * width)
        blocks.append(Block(kernel, expanded, out, se, activation, stride, squeeze))
        published_in = published_out
    features = make_divisible(6 * rows[-1][2] * width)
    return Architecture(224, stem, tuple(blocks), Head(features, hidden, "hardswish"))


def _by_ratio(
    rows: Sequence[RatioRow], activation: Activation, round_channels: Callable[[float], int], features: int
) -> Architecture:
    stem = Stem(round_channels(32), activation)
    blocks: list[Block] = []
    for expansion, published_out, repeats, first_stride, kernel, se in rows:
        for repeat in range(repeats):
            in_channels = blocks[-1].out if blocks else stem.out
            stride = 1 if repeat else first_stride
            squeeze = squeeze_mnasnet(in_channels) if se == "se" else 0
            out = round_channels(published_out)
            blocks.append(Block(kernel, in_channels * expansion, out, se, activation, stride, squeeze))
    return Architecture(224, stem, tuple(blocks), Head(features, 0, activation))


def _v2(width: float) -> Architecture:
    features = make_divisible(1280 * max(1.0, width))
    return _by_ratio(MOBILENET_V2, "relu6", lambda c: make_divisible(c * width), features)


def _mnasnet(rows: Sequence[RatioRow], width: float) -> Architecture:
    return _by_ratio(rows, "relu", lambda c: make_divisible(c * width), 1280)


def _efficientnet(width: float, depth: float = 1.0, resolution_px: int = 224) -> Architecture:
    rows = [(e, out, math.ceil(depth * repeats), s, k, se) for e, out, repeats, s, k, se in EFFICIENTNET_B0]
    network = _by_ratio(rows, "silu", lambda c: make_divisible(c * width), 4 * make_divisible(320 * width))
    blocks = tuple(replace(block, gate="sigmoid") for block in network.blocks)
    return replace(network, blocks=blocks, resolution_px=resolution_px)


def _efficientnet_lite(width: float, depth: float, resolution_px: int) -> Architecture:
    """Stem, head and the number of blocks of the first and the last stage are not scaled.

    Source: tensorflow/tpu `models/official/efficientnet/lite/efficientnet_lite_builder.py`.
    """
    last = len(EFFICIENTNET_B0) - 1
    rows: list[RatioRow] = []
    for number, (expansion, out, repeats, stride, kernel, _) in enumerate(EFFICIENTNET_B0):
        repeats = repeats if number in (0, last) else math.ceil(depth * repeats)
        rows.append((expansion, make_divisible(out * width), repeats, stride, kernel, "none"))
    network = _by_ratio(rows, "relu6", make_divisible, 1280)
    return replace(network, resolution_px=resolution_px, padding="same")


_FAMILIES: dict[str, Callable[[float], Architecture]] = {
    "mobilenet_v3_large": lambda width: _v3_torchvision(MOBILENET_V3_LARGE, 1280, width),
    "mobilenet_v3_small": lambda width: _v3_torchvision(MOBILENET_V3_SMALL, 1024, width),
    "mobilenet_v3_large_paper": lambda width: _v3_paper(MOBILENET_V3_LARGE, 1280, width),
    "mobilenet_v3_small_paper": lambda width: _v3_paper(MOBILENET_V3_SMALL, 1024, width),
    "mobilenet_v2": _v2,
    "mnasnet_a1": lambda width: _mnasnet(MNASNET_A1, width),
    "mnasnet_b1": lambda width: _mnasnet(MNASNET_B1, width),
    "efficientnet_b0": _efficientnet,
    "efficientnet_lite0": lambda width: _efficientnet_lite(width, 1.0, 224),
    "efficientnet_lite1": lambda width: _efficientnet_lite(width, 1.1, 240),
    "efficientnet_lite2": lambda width: _efficientnet_lite(1.1 * width, 1.2, 260),
}

TORCHVISION: dict[str, Callable[[], Architecture]] = {
    **{
        name: partial(_FAMILIES[name], 1.0)
        for name in ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0")
    },
    "mnasnet0_5": partial(_mnasnet, MNASNET_B1, 0.5),
    "mnasnet0_75": partial(_mnasnet, MNASNET_B1, 0.75),
    "mnasnet1_0": partial(_mnasnet, MNASNET_B1, 1.0),
    "mnasnet1_3": partial(_mnasnet, MNASNET_B1, 1.3),
    "efficientnet_b1": partial(_efficientnet, 1.0, 1.1, 240),
    "efficientnet_b2": partial(_efficientnet, 1.1, 1.2, 288),
    "efficientnet_b3": partial(_efficientnet, 1.2, 1.4, 300),
    "efficientnet_b4": partial(_efficientnet, 1.4, 1.8, 380),
    "efficientnet_b5": partial(_efficientnet, 1.6, 2.2, 456),
    "efficientnet_b6": partial(_efficientnet, 1.8, 2.6, 528),
    "efficientnet_b7": partial(_efficientnet, 2.0, 3.1, 600),
}
"""Models of torchvision that are of the family, at the resolution of their weights."""

PUBLISHED_NAMES = tuple(_FAMILIES)
MAX_WIDTH = 10
FAMILIES_HELP = (
    "bneck knows the families MobileNetV2, MobileNetV3, MnasNet and EfficientNet (B0, Lite0 to Lite2), with "
    "a width as in mobilenet_v2@0.5"
)


def published_architecture(name: str) -> Architecture:
    """A published network for 3 channels, 1,000 classes and its own resolution, mostly 224 px.

    Args:
        name: one of `PUBLISHED_NAMES`, with a width multiplier if wanted: `mobilenet_v2@0.75`.
            `mobilenet_v3_*` scales as torchvision does, `mobilenet_v3_*_paper` as the paper does.
    Raises:
        UnknownNameError: no such network.
        ArchitectureError: the width is no number from 0.1 to 10.
    """
    family, _, width = name.partition("@")
    if family not in _FAMILIES:
        raise UnknownNameError("network", name, PUBLISHED_NAMES, FAMILIES_HELP)
    return _FAMILIES[family](_width(width, name) if "@" in name else 1.0)


def torchvision_architecture(name: str) -> Architecture:
    """The architecture of a model of torchvision, such as `mnasnet0_75`.

    Raises:
        UnknownNameError: torchvision has no such model, or it is not of the family.
    """
    if name not in TORCHVISION:
        raise UnknownNameError("network of torchvision", name, TORCHVISION)
    return TORCHVISION[name]()


def _width(text: str, name: str) -> float:
    width = float(text) if re.fullmatch(r"[0-9]+\.?[0-9]*|\.[0-9]+", text) else math.nan
    if not 0.1 <= width <= MAX_WIDTH:
        raise ArchitectureError("width", f"must be a number from 0.1 to 10, got '{text}' in '{name}'")
    return width
