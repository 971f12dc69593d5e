"""What of a network's structure its latency is made of: sums over layers, without any measuring.

Processors compute whole vectors: 24 channels take as long as 32 where a vector holds 16. So channels
are rounded up to a vector width, which the model chooses by what predicts best.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ...search_space import Activation, Architecture
from ...search_space.cost import side_after

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
    "attended_elements",
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
        pixels_in, pixels_out: of the maps.
        residual: whether its output is added to an earlier one.
    """

    kind: Literal["stem", "pointwise", "depthwise", "attention"]
    kernel: int
    channels_in: int
    channels_out: int
    pixels_in: int
    pixels_out: int
    activation: Activation | None = None
    residual: bool = False


def layers(architecture: Architecture) -> Iterator[Layer]:
    """The layers on maps, in the order they run."""
    stem, head = architecture.stem, architecture.head
    pixels_in = architecture.resolution_px**2
    side = side_after(architecture.resolution_px, stem.stride)
    pixels = side * side
    yield Layer(
        "stem", stem.kernel, architecture.image_channels, stem.out, pixels_in, pixels, stem.activation
    )
    for channels, block in architecture.blocks_with_inputs():
        wide, act = block.expanded, block.activation
        if wide != channels:
            yield Layer("pointwise", 1, channels, wide, pixels, pixels, act)
        side = side_after(side, block.stride)
        pixels_in, pixels = pixels, side * side
        yield Layer("depthwise", block.kernel, wide, wide, pixels_in, pixels, act)
        if block.attention != "none":
            yield Layer("attention", 1, wide, wide, pixels, pixels)
        residual = block.stride == 1 and block.out == channels
        yield Layer("pointwise", 1, wide, block.out, pixels, pixels, None, residual)
    yield Layer("pointwise", 1, architecture.blocks[-1].out, head.features, pixels, pixels, head.activation)


def features(architecture: Architecture, vector_width: int = 1) -> dict[str, float]:
    """The terms by name; MACs and elements with channels rounded up to the vector width."""
    head = architecture.head
    found = dict.fromkeys(DETAILED_TERMS, 0.0)
    found["network"] = 1
    width = head.hidden or head.features
    found["head_macs"] = (head.features * head.hidden if head.hidden else 0) + width * architecture.classes
    for layer in layers(architecture):
        given = -(-layer.channels_in // vector_width) * vector_width
        made = -(-layer.channels_out // vector_width) * vector_width
        read, written = given * layer.pixels_in, made * layer.pixels_out
        found["layers"] += 1
        if layer.activation in ("hardswish", "silu"):
            found[f"{layer.activation}_elements"] += written
        if layer.residual:
            found["residual_elements"] += written
        match layer.kind:
            case "stem":
                found["stem_macs"] += layer.kernel**2 * layer.channels_in * written
            case "pointwise":
                found["pointwise_macs"] += given * written
                found["pointwise_elements"] += read + written
                found["pointwise_elements_read"] += read
                found["pointwise_weights"] += layer.channels_in * layer.channels_out
            case "depthwise":
                macs = layer.kernel**2 * written
                found["depthwise_macs"] += macs
                found["depthwise_elements"] += written
                found["depthwise_elements_read"] += read
                if layer.kernel > 3:
                    found[f"depthwise_macs_{layer.kernel}x{layer.kernel}"] += macs
            case "attention":
                found["attentions"] += 1
                found["attended_elements"] += read
    return found
