"""Features of the latency predictor: sums over the layers of a network, in closed form.

Processors compute whole vectors: with 16 elements per vector, 24 channels take as long as 32. Channels are
therefore rounded up to a vector width, which the predictor selects.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ...search_space import Activation, Architecture
from ...search_space.cost import conv_output_size

VECTOR_WIDTHS = (1, 4, 8, 16, 32)

TERMS = (
    "network",
    "layers",
    "stem_macs",
    "pointwise_macs",
    "depthwise_macs",
    "head_macs",
    "pointwise_elements",
    "depthwise_elements",
    "attentions",
    "attention_elements",
    "hardswish_elements",
    "silu_elements",
)
DETAILED_TERMS = (
    *TERMS,
    "pointwise_elements_read",
    "depthwise_elements_read",
    "pointwise_weights",
    "depthwise_macs_5x5",
    "depthwise_macs_7x7",
    "residual_elements",
)


@dataclass(frozen=True)
class Layer:
    """One convolution or attention.

    Attributes:
        pixels_in, pixels_out: height times width of the input and output maps.
        residual: whether a residual is added to the output.
    """

    kind: Literal["stem", "pointwise", "depthwise", "attention"]
    kernel: int
    in_channels: int
    out_channels: int
    pixels_in: int
    pixels_out: int
    activation: Activation | None = None
    residual: bool = False


def layers(architecture: Architecture) -> Iterator[Layer]:
    """The layers on feature maps in execution order."""
    stem, head = architecture.stem, architecture.head
    pixels_in = architecture.resolution_px**2
    side = conv_output_size(architecture.resolution_px, stem.stride)
    pixels = side * side
    yield Layer(
        "stem", stem.kernel, architecture.image_channels, stem.out, pixels_in, pixels, stem.activation
    )
    for channels, block in architecture.blocks_with_in_channels():
        expanded_channels, act = block.expanded, block.activation
        if expanded_channels != channels:
            yield Layer("pointwise", 1, channels, expanded_channels, pixels, pixels, act)
        side = conv_output_size(side, block.stride)
        pixels_in, pixels = pixels, side * side
        yield Layer("depthwise", block.kernel, expanded_channels, expanded_channels, pixels_in, pixels, act)
        if block.attention != "none":
            yield Layer("attention", 1, expanded_channels, expanded_channels, pixels, pixels)
        residual = block.stride == 1 and block.out == channels
        yield Layer("pointwise", 1, expanded_channels, block.out, pixels, pixels, None, residual)
    yield Layer("pointwise", 1, architecture.blocks[-1].out, head.features, pixels, pixels, head.activation)


def features(architecture: Architecture, vector_width: int = 1) -> dict[str, float]:
    """Term values by name; channels in MACs and elements are rounded up to the vector width."""
    head = architecture.head
    terms = dict.fromkeys(DETAILED_TERMS, 0.0)
    terms["network"] = 1
    width = head.hidden or head.features
    terms["head_macs"] = (head.features * head.hidden if head.hidden else 0) + width * architecture.classes
    for layer in layers(architecture):
        padded_in = -(-layer.in_channels // vector_width) * vector_width
        padded_out = -(-layer.out_channels // vector_width) * vector_width
        read, written = padded_in * layer.pixels_in, padded_out * layer.pixels_out
        terms["layers"] += 1
        if layer.activation in ("hardswish", "silu"):
            terms[f"{layer.activation}_elements"] += written
        if layer.residual:
            terms["residual_elements"] += written
        match layer.kind:
            case "stem":
                terms["stem_macs"] += layer.kernel**2 * layer.in_channels * written
            case "pointwise":
                terms["pointwise_macs"] += padded_in * written
                terms["pointwise_elements"] += read + written
                terms["pointwise_elements_read"] += read
                terms["pointwise_weights"] += layer.in_channels * layer.out_channels
            case "depthwise":
                macs = layer.kernel**2 * written
                terms["depthwise_macs"] += macs
                terms["depthwise_elements"] += written
                terms["depthwise_elements_read"] += read
                if layer.kernel > 3:
                    terms[f"depthwise_macs_{layer.kernel}x{layer.kernel}"] += macs
            case "attention":
                terms["attentions"] += 1
                terms["attention_elements"] += read
    return terms
