"""Cost of a network in closed form: MACs, parameters, activation bytes, depth. No torch.

A MAC is one multiply-add of a convolution or a linear layer, in evaluation mode, for one image.
The papers of this field call MACs "FLOPs" (facebookresearch/fvcore issue 69).
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .architecture import Architecture, Block, Head, Stem

BYTES_PER_ELEMENT = 4  # fp32
COST_CACHE_SIZE = 2**15  # networks of a search share most of their parts


class Operator(NamedTuple):
    """One convolution or linear layer, with the batch normalisation that follows it.

    Attributes:
        name: name of the module in the network that `build_network` returns.
        macs: multiply-adds for one image.
        params: weights, biases, and two parameters per channel for the normalization.
        output_elements: number of elements of the output.
        live_elements: elements in memory while it runs: input, output, and tensors that a later residual or
            attention needs.
    """

    name: str
    macs: int
    params: int
    output_elements: int
    live_elements: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a network or of a part of it, for one image.

    Attributes:
        activation_bytes: total size of the fp32 outputs of all convolutions and linear layers;
            normalization and activation count as fused into them.
        peak_activation_bytes: largest total size of live tensors when the operators run in order.
        depth: convolutions and linear layers in series, attention's included.
    """

    macs: int
    params: int
    activation_bytes: int
    peak_activation_bytes: int
    depth: int


def eca_kernel(channels: int) -> int:
    """Kernel size of ECA's 1-d convolution, for gamma = 2 and b = 1.

    Source: Wang et al. 2020, arXiv 1910.03151, equation 12.
    """
    kernel = int((math.log2(channels) + 1) / 2)
    return kernel if kernel % 2 else kernel + 1


def operators(architecture: Architecture) -> Iterator[Operator]:
    """The convolutions and linear layers in execution order."""
    yield from stem_operators(architecture.stem, architecture.image_channels, architecture.resolution_px)
    for number, (block, channels, map_size) in enumerate(blocks_with_input_shapes(architecture)):
        for each in block_operators(block, channels, map_size):
            yield each._replace(name=f"blocks.{number}.{each.name}")
    yield from head_operators(architecture.head, *final_map_shape(architecture), architecture.classes)


def cost(architecture: Architecture) -> Cost:
    """The cost of the whole network."""
    return _sequential_cost(cost_breakdown(architecture).values())


def training_macs(architecture: Architecture) -> int:
    """MACs of a training step for one image: a forward pass, and twice as many back through what is tuned.

    The last stage is all from the last block of stride 2 on, the head what follows the pooling.
    """
    whole = cost(architecture).macs
    tuned = architecture.fine_tuning.tuned if architecture.fine_tuning else "all"
    if tuned == "all":
        return 3 * whole
    if tuned == "head":
        layers = operators(architecture)
        return whole + 2 * sum(each.macs for each in layers if each.name in ("hidden", "classifier"))
    strided = (number for number, block in enumerate(architecture.blocks, start=1) if block.stride > 1)
    parts = list(cost_breakdown(architecture).values())  # stem, blocks, head
    return whole + 2 * sum(part.macs for part in parts[max(strided, default=1) :])


def cost_breakdown(architecture: Architecture) -> dict[str, Cost]:
    """Cost by part: `stem`, `block 1`, ..., `head`; all fields but the peak add up to the total."""
    parts = {"stem": stem_cost(architecture.stem, architecture.image_channels, architecture.resolution_px)}
    for number, placed in enumerate(blocks_with_input_shapes(architecture), start=1):
        parts[f"block {number}"] = block_cost(*placed)
    parts["head"] = head_cost(architecture.head, *final_map_shape(architecture), architecture.classes)
    return parts


def blocks_with_input_shapes(architecture: Architecture) -> Iterator[tuple[Block, int, int]]:
    """Each block with the channels and the size (in px) of its input maps."""
    map_size = conv_output_size(architecture.resolution_px, architecture.stem.stride)
    for channels, block in architecture.blocks_with_in_channels():
        yield block, channels, map_size
        map_size = conv_output_size(map_size, block.stride)


def final_map_shape(architecture: Architecture) -> tuple[int, int]:
    """Channels and size (in px) of the maps after the last block."""
    *_, (block, _, map_size) = blocks_with_input_shapes(architecture)
    return block.out, conv_output_size(map_size, block.stride)


def conv_output_size(map_size: int, stride: int) -> int:
    """Output size of a convolution with padding of half its kernel."""
    return -(-map_size // stride)


def stem_operators(stem: Stem, image_channels: int, resolution_px: int) -> list[Operator]:
    pixels = conv_output_size(resolution_px, stem.stride) ** 2
    weights = stem.kernel**2 * image_channels * stem.out
    out = stem.out * pixels
    live = image_channels * resolution_px**2 + out
    return [Operator("stem", weights * pixels, weights + 2 * stem.out, out, live)]


def block_operators(block: Block, channels: int, map_size: int) -> list[Operator]:
    """The layers of a block, named relative to it, for `channels` input maps of size `map_size`."""
    layers: list[Operator] = []
    pixels = map_size * map_size
    expanded = block.expanded
    input_elements = channels * pixels
    residual_elements = input_elements if block.stride == 1 and block.out == channels else 0
    kept_elements = 0
    if expanded != channels:
        weights = channels * expanded
        out = expanded * pixels
        layers.append(Operator("expand", weights * pixels, weights + 2 * expanded, out, input_elements + out))
        input_elements, kept_elements = out, residual_elements
    pixels = conv_output_size(map_size, block.stride) ** 2
    weights = block.kernel**2 * expanded
    out = expanded * pixels
    live = kept_elements + input_elements + out
    layers.append(Operator("depthwise", weights * pixels, weights + 2 * expanded, out, live))
    elements_at_attention = residual_elements + out
    if block.attention == "se":
        squeeze = block.squeeze
        weights = expanded * squeeze
        live = elements_at_attention + expanded + squeeze
        layers.append(Operator("attention.reduce", weights, weights + squeeze, squeeze, live))
        layers.append(Operator("attention.restore", weights, weights + expanded, expanded, live))
    elif block.attention == "eca":
        weights = eca_kernel(expanded)
        live = elements_at_attention + 2 * expanded
        layers.append(Operator("attention.conv", weights * expanded, weights, expanded, live))
    weights = expanded * block.out
    out = block.out * pixels
    layers.append(
        Operator("project", weights * pixels, weights + 2 * block.out, out, elements_at_attention + out)
    )
    return layers


def head_operators(head: Head, channels: int, map_size: int, classes: int) -> list[Operator]:
    """The layers of a head for `channels` input maps of size `map_size`."""
    pixels = map_size * map_size
    weights = channels * head.features
    out = head.features * pixels
    live = channels * pixels + out
    layers = [Operator("features", weights * pixels, weights + 2 * head.features, out, live)]
    channels = head.features
    for name, width, bias in (("hidden", head.hidden, head.hidden_bias), ("classifier", classes, True)):
        if width:
            weights = channels * width
            layers.append(Operator(name, weights, weights + bias * width, width, channels + width))
            channels = width
    return layers


@lru_cache(maxsize=COST_CACHE_SIZE)
def stem_cost(stem: Stem, image_channels: int, resolution_px: int) -> Cost:
    return _operators_cost(stem_operators(stem, image_channels, resolution_px))


@lru_cache(maxsize=COST_CACHE_SIZE)
def block_cost(block: Block, channels: int, map_size: int) -> Cost:
    return _operators_cost(block_operators(block, channels, map_size))


@lru_cache(maxsize=COST_CACHE_SIZE)
def head_cost(head: Head, channels: int, map_size: int, classes: int) -> Cost:
    return _operators_cost(head_operators(head, channels, map_size, classes))


def _operators_cost(group: list[Operator]) -> Cost:
    _, macs, params, output_elements, live = zip(*group, strict=True)
    return Cost(
        macs=sum(macs),
        params=sum(params),
        activation_bytes=BYTES_PER_ELEMENT * sum(output_elements),
        peak_activation_bytes=BYTES_PER_ELEMENT * max(live),
        depth=len(group),
    )


def _sequential_cost(parts: Iterable[Cost]) -> Cost:
    """Cost of parts that run in sequence."""
    rows = [
        (part.macs, part.params, part.activation_bytes, part.peak_activation_bytes, part.depth)
        for part in parts
    ]
    macs, params, activation_bytes, peaks, depth = zip(*rows, strict=True)
    return Cost(sum(macs), sum(params), sum(activation_bytes), max(peaks), sum(depth))


def format_count(value: float) -> str:
    """A count with a unit: 216.6M, 5.48M, 640K, 12."""
    rounded = float(f"{value:.4g}")
    for suffix, size in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if rounded >= size:
            return f"{rounded / size:.4g}{suffix}"
    return f"{rounded:.4g}"
