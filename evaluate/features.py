"""What may tell of a network's accuracy without training it: few quantities, each in closed form."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from ..search_space import Architecture, cost

MACS = "log_macs"


def analytic_features(architecture: Architecture) -> dict[str, float]:
    """Quantities by name; logarithms are natural, shares lie between 0 and 1.

    `log_widths` is of the channels that all blocks expand to and put out, added up; `kernel` and
    `expansion` are mean logarithms over the blocks; `smooth_share` counts hardswish and silu;
    `log_last_side` and `log_last_width` tell the maps that the last block puts out.
    """
    own, blocks = cost(architecture), architecture.blocks
    given = [channels for channels, _ in architecture.blocks_with_inputs()]
    side = architecture.resolution_px
    for stride in (architecture.stem.stride, *(block.stride for block in blocks)):
        side = -(-side // stride)
    pairs = list(zip(given, blocks, strict=True))
    return {
        MACS: math.log(own.macs),
        "log_params": math.log(own.params),
        "log_activation_bytes": math.log(own.activation_bytes),
        "log_blocks": math.log(len(blocks)),
        "log_widths": math.log(sum(block.expanded + block.out for block in blocks)),
        "kernel": fmean(math.log(block.kernel) for block in blocks),
        "expansion": fmean(math.log(block.expanded / channels) for channels, block in pairs),
        "se_share": fmean(block.attention == "se" for block in blocks),
        "eca_share": fmean(block.attention == "eca" for block in blocks),
        "smooth_share": fmean(block.activation in ("hardswish", "silu") for block in blocks),
        "residual_share": fmean(block.stride == 1 and block.out == channels for channels, block in pairs),
        "log_resolution": math.log(architecture.resolution_px),
        "log_last_side": math.log(side),
        "log_last_width": math.log(blocks[-1].out),
    }


def feature_matrix(architectures: Sequence[Architecture]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The names, and a row for each network.

    Raises:
        ValueError: no network.
    """
    if not architectures:
        raise ValueError("features need at least one network, got none")
    rows = [analytic_features(architecture) for architecture in architectures]
    return tuple(rows[0]), np.array([list(row.values()) for row in rows])
