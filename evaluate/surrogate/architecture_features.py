"""What may tell of a network's accuracy without training it: few quantities, each in closed form."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...search_space import Architecture, Block, Cost
from ...search_space.cost import block_cost, blocks_on_maps, head_cost, last_map, stem_cost

MACS = "log_macs"


class Terms(NamedTuple):
    """What a part adds to a network; from `kernel` on, what is averaged over its blocks."""

    macs: int
    params: int
    activation_bytes: int
    blocks: int = 0
    widths: int = 0
    kernel: float = 0.0
    expansion: float = 0.0
    se_share: float = 0.0
    eca_share: float = 0.0
    smooth_share: float = 0.0
    residual_share: float = 0.0


MEANS = Terms._fields[5:]
NOTHING = Terms(0, 0, 0)


def analytic_features(architecture: Architecture) -> dict[str, float]:
    """Quantities by name; logarithms are natural, shares lie between 0 and 1.

    `log_widths` is of the channels that all blocks expand to and put out, added up; `kernel` and
    `expansion` are mean logarithms over the blocks; `smooth_share` counts hardswish and silu;
    `log_last_side` and `log_last_width` tell the maps that the last block puts out.
    """
    last_width, last_side = last_map(architecture)
    ends = [
        stem_cost(architecture.stem, architecture.image_channels, architecture.resolution_px),
        head_cost(architecture.head, last_width, last_side, architecture.classes),
    ]
    terms = [*map(end_terms, ends), *(block_terms(*placed) for placed in blocks_on_maps(architecture))]
    return features_of(terms, architecture.resolution_px, last_width, last_side)


def features_of(
    terms: Iterable[Terms], resolution_px: int, last_width: int, last_side: int
) -> dict[str, float]:
    """The features of a network from the terms of its parts."""
    whole = together(terms)
    return {
        MACS: math.log(whole.macs),
        "log_params": math.log(whole.params),
        "log_activation_bytes": math.log(whole.activation_bytes),
        "log_blocks": math.log(whole.blocks),
        "log_widths": math.log(whole.widths),
        **{name: total / whole.blocks for name, total in zip(MEANS, whole[5:], strict=True)},
        "log_resolution": math.log(resolution_px),
        "log_last_side": math.log(last_side),
        "log_last_width": math.log(last_width),
    }


def together(terms: Iterable[Terms]) -> Terms:
    """Of parts, none or more, as one."""
    return Terms(*map(sum, zip(NOTHING, *terms, strict=True)))


def block_terms(block: Block, channels: int, side: int) -> Terms:
    """Of a block that is given maps of so many channels and this side."""
    own = block_cost(block, channels, side)
    return Terms(
        own.macs,
        own.params,
        own.activation_bytes,
        1,
        block.expanded + block.out,
        math.log(block.kernel),
        math.log(block.expanded / channels),
        block.attention == "se",
        block.attention == "eca",
        block.activation in ("hardswish", "silu"),
        block.stride == 1 and block.out == channels,
    )


def end_terms(own: Cost) -> Terms:
    """Of a stem or a head."""
    return Terms(own.macs, own.params, own.activation_bytes)


def feature_matrix(architectures: Sequence[Architecture]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The names, and a row for each network.

    Raises:
        ValueError: no network.
    """
    if not architectures:
        raise ValueError("features need at least one network, got none")
    rows = [analytic_features(architecture) for architecture in architectures]
    return tuple(rows[0]), np.array([list(row.values()) for row in rows])
