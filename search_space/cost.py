"""What a network costs, in closed form: MACs, parameters, activation bytes, depth. No torch.

A MAC is one multiply-add of a convolution or a linear layer, in evaluation mode, for one image.
The papers of this field call MACs "FLOPs" (facebookresearch/fvcore issue 69).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .architecture import Architecture

BYTES_PER_ELEMENT = 4  # fp32


class Operator(NamedTuple):
    """One convolution or linear layer, with the batch normalisation that follows it.

    Attributes:
        name: of the module in the network that `build_network` makes.
        macs: multiply-adds for one image.
        params: weights, biases, and the two parameters a channel of the normalisation.
        elements: of the output.
        live_elements: input, output, and what a residual or an attention keeps for later.
    """

    name: str
    macs: int
    params: int
    elements: int
    live_elements: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a network or of a part of it, for one image.

    Attributes:
        activation_bytes: fp32 outputs of all convolutions and linear layers together;
            normalisation and activation are taken as fused into them.
        peak_activation_bytes: the most that is alive at once when the operators run in order.
        depth: convolutions and linear layers in series, attention's included.
    """

    macs: int
    params: int
    activation_bytes: int
    peak_activation_bytes: int
    depth: int


def eca_kernel(channels: int) -> int:
    """The kernel of ECA's 1-d convolution, for gamma 2 and b 1.

    Source: Wang et al. 2020, arXiv 1910.03151, equation 12.
    """
    nearest = int((math.log2(channels) + 1) / 2)
    return nearest if nearest % 2 else nearest + 1


def operators(architecture: Architecture) -> Iterator[Operator]:
    """The convolutions and linear layers in the order they run."""
    side = _after(architecture.resolution_px, architecture.stem.stride)
    channels = architecture.stem.out
    pixels = side * side
    weights = architecture.stem.kernel**2 * architecture.image_channels * channels
    image = architecture.image_channels * architecture.resolution_px**2
    out = channels * pixels
    yield Operator("stem", weights * pixels, weights + 2 * channels, out, image + out)

    for number, block in enumerate(architecture.blocks):
        name = f"blocks.{number}."
        expanded = block.expanded
        given = channels * pixels
        residual = given if block.stride == 1 and block.out == channels else 0
        beside = 0
        if expanded != channels:
            weights = channels * expanded
            out = expanded * pixels
            yield Operator(name + "expand", weights * pixels, weights + 2 * expanded, out, given + out)
            given, beside = out, residual
        side = _after(side, block.stride)
        pixels = side * side
        weights = block.kernel**2 * expanded
        out = expanded * pixels
        yield Operator(
            name + "depthwise", weights * pixels, weights + 2 * expanded, out, beside + given + out
        )
        wide = residual + out
        if block.attention == "se":
            squeeze = block.squeeze
            weights = expanded * squeeze
            live = wide + expanded + squeeze
            yield Operator(name + "attention.reduce", weights, weights + squeeze, squeeze, live)
            yield Operator(name + "attention.restore", weights, weights + expanded, expanded, live)
        elif block.attention == "eca":
            weights = eca_kernel(expanded)
            yield Operator(
                name + "attention.conv", weights * expanded, weights, expanded, wide + 2 * expanded
            )
        channels = block.out
        weights = expanded * channels
        out = channels * pixels
        yield Operator(name + "project", weights * pixels, weights + 2 * channels, out, wide + out)

    head = architecture.head
    weights = channels * head.features
    out = head.features * pixels
    yield Operator("features", weights * pixels, weights + 2 * head.features, out, channels * pixels + out)
    channels = head.features
    for name, width in (("hidden", head.hidden), ("classifier", architecture.classes)):
        if width:
            weights = channels * width
            yield Operator(name, weights, weights + width, width, channels + width)
            channels = width


def cost(architecture: Architecture) -> Cost:
    """The cost of the whole network."""
    return _total(list(operators(architecture)))


def cost_by_part(architecture: Architecture) -> dict[str, Cost]:
    """The cost of `stem`, `block 1` and so on, and `head`; all but the peak add up to the total."""
    parts: dict[str, list[Operator]] = {}
    for operator in operators(architecture):
        first, *rest = operator.name.split(".")
        part = f"block {int(rest[0]) + 1}" if first == "blocks" else "stem" if first == "stem" else "head"
        parts.setdefault(part, []).append(operator)
    return {part: _total(group) for part, group in parts.items()}


def _after(side: int, stride: int) -> int:
    """The side of the map after a convolution padded by half its kernel."""
    return -(-side // stride)


def _total(group: list[Operator]) -> Cost:
    _, macs, params, elements, live = zip(*group, strict=True)
    return Cost(
        macs=sum(macs),
        params=sum(params),
        activation_bytes=BYTES_PER_ELEMENT * sum(elements),
        peak_activation_bytes=BYTES_PER_ELEMENT * max(live),
        depth=len(group),
    )
