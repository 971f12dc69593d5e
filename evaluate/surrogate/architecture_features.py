"""Closed-form features of architectures."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...search_space import Architecture, Block, Cost
from ...search_space.cost import block_cost, blocks_with_input_shapes, final_map_shape, head_cost, stem_cost

MACS = "log_macs"


class PartSums(NamedTuple):
    """Contribution of a part to sums over the network; from `kernel` on, averaged over the blocks."""

    macs: int
    params: int
    activation_bytes: int
    blocks: int = 0
    widths: int = 0
    kernel: float = 0.0
    expansion: float = 0.0
    se_fraction: float = 0.0
    eca_fraction: float = 0.0
    smooth_activation_fraction: float = 0.0
    residual_fraction: float = 0.0


AVERAGED_FIELDS = PartSums._fields[5:]
ZERO_SUMS = PartSums(0, 0, 0)


def analytic_features(architecture: Architecture) -> dict[str, float]:
    """Features by name; logarithms are natural, fractions are from 0 to 1.

    `log_widths` is the log of the total expanded and output channels of all blocks. `kernel` and
    `expansion` are mean logarithms over the blocks. `smooth_activation_fraction` counts hardswish and silu.
    `log_last_side` and `log_last_width` are the size (px) and channels of the last block's output.
    """
    last_width, last_side = final_map_shape(architecture)
    ends = [
        stem_cost(architecture.stem, architecture.image_channels, architecture.resolution_px),
        head_cost(architecture.head, last_width, last_side, architecture.classes),
    ]
    parts = [
        *map(stem_or_head_sums, ends),
        *(block_sums(*placed) for placed in blocks_with_input_shapes(architecture)),
    ]
    return features_from_sums(parts, architecture.resolution_px, last_width, last_side)


def features_from_sums(
    parts: Iterable[PartSums], resolution_px: int, last_width: int, last_side: int
) -> dict[str, float]:
    """Features of a network from the sums of its parts."""
    sums = sum_parts(parts)
    return {
        MACS: math.log(sums.macs),
        "log_params": math.log(sums.params),
        "log_activation_bytes": math.log(sums.activation_bytes),
        "log_blocks": math.log(sums.blocks),
        "log_widths": math.log(sums.widths),
        **{name: total / sums.blocks for name, total in zip(AVERAGED_FIELDS, sums[5:], strict=True)},
        "log_resolution": math.log(resolution_px),
        "log_last_side": math.log(last_side),
        "log_last_width": math.log(last_width),
    }


def sum_parts(parts: Iterable[PartSums]) -> PartSums:
    """Sum of any number of parts."""
    return PartSums(*map(sum, zip(ZERO_SUMS, *parts, strict=True)))


def block_sums(block: Block, channels: int, side: int) -> PartSums:
    """Sums of a block for `channels` input maps of size `side`."""
    part_cost = block_cost(block, channels, side)
    return PartSums(
        part_cost.macs,
        part_cost.params,
        part_cost.activation_bytes,
        1,
        block.expanded + block.out,
        math.log(block.kernel),
        math.log(block.expanded / channels),
        block.attention == "se",
        block.attention == "eca",
        block.activation in ("hardswish", "silu"),
        block.stride == 1 and block.out == channels,
    )


def stem_or_head_sums(part_cost: Cost) -> PartSums:
    """Sums of a stem or head."""
    return PartSums(part_cost.macs, part_cost.params, part_cost.activation_bytes)


def feature_matrix(architectures: Sequence[Architecture]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names of the features, and `n x p` features of the networks.

    Raises:
        ValueError: no network.
    """
    if not architectures:
        raise ValueError("features need at least one network, got none")
    rows = [analytic_features(architecture) for architecture in architectures]
    return tuple(rows[0]), np.array([list(row.values()) for row in rows])
