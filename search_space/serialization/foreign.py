"""Architectures in the notation of other projects: a timm `arch_def`, a configuration of Once-for-All.

Sources: timm `models/_efficientnet_builder.py`; Cai et al. 2020, arXiv 1908.09791, and its
`ofa/imagenet_classification/elastic_nn/networks/ofa_mbv3.py`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from ..architecture import MAX_BLOCKS, Activation, Architecture, Block, Gate, Head, Stem, make_divisible
from ..errors import ArchitectureError
from .yaml_nodes import YamlNode

T = TypeVar("T")

_ACTIVATIONS: Mapping[str, Activation] = {
    "re": "relu",
    "r6": "relu6",
    "hs": "hardswish",
    "sw": "silu",
    "relu": "relu",
    "relu6": "relu6",
    "hard_swish": "hardswish",
    "hardswish": "hardswish",
    "swish": "silu",
    "silu": "silu",
}
_MODELS = ("mobilenetv3", "efficientnet")
_TYPES = ("ir", "ds", "cn")
_OPTION = re.compile(r"([a-z]+)([0-9.]{1,9})")
_OPTIONAL_KEYS = (
    *("model", "stem_size", "fix_stem", "num_features", "act_layer", "channel_multiplier", "se_from_exp"),
    *("resolution_px", "num_classes", "in_chans", "pad_type"),
)
_RESOLUTION_PX = 224

# Once-for-All, MobileNetV3 space: stages of up to four blocks
_OFA_WIDTHS = (16, 16, 24, 40, 80, 112, 160, 960, 1280)
_OFA_STRIDES = (2, 2, 2, 1, 2)
_OFA_ACTIVATIONS: tuple[Activation, ...] = ("relu", "relu", "hardswish", "hardswish", "hardswish")
_OFA_ATTENTION = (False, True, False, True, True)
_OFA_MAX_DEPTH = 4


def is_foreign(entry: YamlNode) -> bool:
    """Whether a file holds a network in one of these notations."""
    return isinstance(entry.value, dict) and (
        "arch_def" in entry.value or {"ks", "e", "d"} <= set(entry.value)
    )


def read_foreign(entry: YamlNode) -> Architecture:
    """The network of such a file.

    Raises:
        FileFormatError: names file, line, key, value and remedy.
    """
    return _read_arch_def(entry) if "arch_def" in entry.value else _read_ofa(entry)


@dataclass(frozen=True)
class _Rules:
    """How a model of timm builds its blocks.

    Attributes:
        v3: `MobileNetV3`: a 1x1 convolution ends the blocks, and gates are hard sigmoids.
        activation: of blocks that name none, and of stem and head.
        width: multiplier of channels.
        se_from_exp: squeeze channels are a share of the expanded channels, not of the input.
    """

    v3: bool
    activation: Activation
    width: float
    se_from_exp: bool

    def scaled(self, channels: int) -> int:
        return make_divisible(channels * self.width)


def _read_arch_def(entry: YamlNode) -> Architecture:
    """Keys besides `arch_def` are arguments of timm's `MobileNetV3` or `EfficientNet`, with its defaults."""
    nodes = entry.mapping(["arch_def"], _OPTIONAL_KEYS)

    def value(key: str, read: Callable[[YamlNode], T], default: T) -> T:
        return read(nodes[key]) if key in nodes else default

    v3 = value("model", lambda node: _one_of(node, _MODELS), "mobilenetv3") == "mobilenetv3"
    default: Activation = "hardswish" if v3 else "relu"
    activation = value("act_layer", lambda node: _ACTIVATIONS[_one_of(node, _ACTIVATIONS)], default)
    width = value("channel_multiplier", YamlNode.number, 1.0)
    rules = _Rules(v3, activation, width, value("se_from_exp", YamlNode.boolean, v3))
    stem = value("stem_size", YamlNode.integer, 16 if v3 else 32)
    stem = stem if value("fix_stem", YamlNode.boolean, False) else rules.scaled(stem)
    blocks, last = _read_stages(nodes["arch_def"], stem, rules)
    wide = value("num_features", YamlNode.integer, 1280)
    with entry.error_context():
        return Architecture(
            resolution_px=value("resolution_px", YamlNode.integer, _RESOLUTION_PX),
            stem=Stem(stem, activation),
            blocks=blocks,
            head=Head(last[0], wide, activation) if last else Head(wide, 0, activation),
            image_channels=value("in_chans", YamlNode.integer, 3),
            classes=value("num_classes", YamlNode.integer, 1000),
            padding="same" if value("pad_type", YamlNode.text, "") == "same" else "symmetric",
        )


def _read_stages(stages: YamlNode, stem: int, rules: _Rules) -> tuple[tuple[Block, ...], tuple[int, ...]]:
    """The blocks, and the channels of the last 1x1 convolution, if there is one."""
    blocks: list[Block] = []
    last: list[int] = []
    for stage in stages.items():
        is_first = True
        for text in stage.items():
            options = _options(text)
            for _ in range(int(options["r"])):
                if len(blocks) == MAX_BLOCKS:
                    raise text.error(f"a network has at most {MAX_BLOCKS} blocks")
                if last:
                    raise text.error("must be before the last 1x1 convolution")
                channels, stride = blocks[-1].out if blocks else stem, int(options["s"]) if is_first else 1
                if options["type"] == "cn":
                    last.append(_last_channels(text, options, rules))
                else:
                    blocks.append(_block(text, options, channels, stride, rules))
                is_first = False
    if bool(last) != rules.v3:
        rule = "ends with a 1x1 convolution (cn)" if rules.v3 else "has no cn"
        raise stages.error(f"the arch_def of this model {rule}")
    return tuple(blocks), tuple(last)


def _options(node: YamlNode) -> dict[str, str]:
    """`ir_r3_k5_s2_e3_c40_se0.25_nre` as type and options."""
    kind, *words = node.text().split("_")
    if kind not in _TYPES:
        raise node.error(f"must be a block of type {', '.join(_TYPES)}, got {kind}")
    options = {"type": kind}
    for word in words:
        matched = _OPTION.fullmatch(word)
        if word == "noskip":
            options["noskip"] = word
        elif word.startswith("n") and word[1:] in _ACTIVATIONS:
            options["n"] = word[1:]
        elif matched and matched[1] in ("r", "k", "s", "e", "c", "se"):
            options[matched[1]] = matched[2]
        elif word not in ("a1", "p1", "skip"):
            raise node.error(f"bneck's blocks have no {word}")
    for key, number in options.items():
        if key in ("r", "k", "s", "c") and not number.isdigit():
            raise node.error(f"{key} must be a whole number, got {number}")
        if key in ("e", "se") and number.count(".") > 1:
            raise node.error(f"{key} must be a number, got {number}")
    required = {"ir": "rkesc", "ds": "rksc", "cn": "rksc"}[kind]
    if missing := [each for each in required if each not in options]:
        raise node.error(f"needs {', '.join(missing)}, as in ir_r1_k3_s2_e4_c24")
    return options


def _last_channels(node: YamlNode, options: Mapping[str, str], rules: _Rules) -> int:
    if (options["k"], options["s"]) != ("1", "1") or not rules.v3:
        raise node.error("must be the 1x1 convolution of stride 1 that ends MobileNetV3")
    return rules.scaled(int(options["c"]))


def _block(node: YamlNode, options: Mapping[str, str], channels: int, stride: int, rules: _Rules) -> Block:
    with node.error_context():
        expansion = float(options.get("e", 1))
        out = rules.scaled(int(options["c"]))
        expanded = channels if options["type"] == "ds" else make_divisible(channels * expansion)
        if options["type"] == "ir" and expanded == channels:
            raise ArchitectureError("e", "keeps a 1x1 expansion at ratio 1, which bneck's blocks leave out")
        if "noskip" in options and stride == 1 and out == channels:
            raise ArchitectureError("noskip", "bneck's blocks add their input wherever they can")
        activation = _ACTIVATIONS[options["n"]] if "n" in options else rules.activation
        block = Block(int(options["k"]), expanded, out, "none", activation, stride)
        ratio = float(options.get("se", 0))
        if not ratio:
            return block
        if rules.se_from_exp:
            squeeze = make_divisible(expanded * ratio)
        else:
            squeeze = round(expanded * ratio / expansion)
        gate: Gate = "hardsigmoid" if rules.v3 else "sigmoid"
        return replace(block, attention="se", squeeze=squeeze, gate=gate)


def _one_of(node: YamlNode, allowed: Collection[str]) -> str:
    if node.value not in allowed:
        raise node.error(f"must be {', '.join(allowed)}, got {node.value_text}")
    return node.text()


def _read_ofa(entry: YamlNode) -> Architecture:
    """Kernels `ks` and ratios `e` of 20 possible blocks, depths `d` of 5 stages, resolution `r`."""
    nodes = entry.mapping(("ks", "e", "d"), ("r", "w", "wid", "width_mult", "num_classes"))
    width_key = next((key for key in ("w", "width_mult", "wid") if key in nodes), None)
    width = nodes[width_key].number() if width_key and nodes[width_key].value is not None else 1.0
    widths = [make_divisible(channels * width) for channels in _OFA_WIDTHS]
    kernels, ratios, depths = (nodes[key].items() for key in ("ks", "e", "d"))
    stages = len(_OFA_STRIDES)
    for key, items, count in (("ks", kernels, 4 * stages), ("e", ratios, 4 * stages), ("d", depths, stages)):
        if len(items) != count:
            raise nodes[key].error(f"must have {count} values, got {len(items)}")
    blocks = [Block(3, widths[0], widths[1], "none", "relu", 1)]
    for stage, depth in enumerate(depths):
        depth.require_between(1, _OFA_MAX_DEPTH)
        for place in range(depth.integer()):
            position = stage * _OFA_MAX_DEPTH + place
            with kernels[position].error_context():
                channels = blocks[-1].out
                expanded = make_divisible(round(channels * ratios[position].number()))
                se = _OFA_ATTENTION[stage]
                blocks.append(
                    Block(
                        kernels[position].integer(),
                        expanded,
                        widths[2 + stage],
                        "se" if se else "none",
                        _OFA_ACTIVATIONS[stage],
                        1 if place else _OFA_STRIDES[stage],
                        make_divisible(expanded // 4) if se else 0,
                    )
                )
    resolution = nodes.get("r")
    if resolution and isinstance(resolution.value, list):  # a list of one in files of Once-for-All
        [resolution] = resolution.items()
    with entry.error_context():
        return Architecture(
            resolution.integer() if resolution else _RESOLUTION_PX,
            Stem(widths[0]),
            tuple(blocks),
            Head(widths[-2], widths[-1], hidden_bias=False),
            classes=nodes["num_classes"].integer() if "num_classes" in nodes else 1000,
        )
