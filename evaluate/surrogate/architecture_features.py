"""Closed-form features of architectures."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...search_space import Architecture, Block, cost
from ...search_space.cost import blocks_with_input_shapes, final_map_shape
from ..statistics.arrays import Array

MACS = "log_macs"


class BlockTerms(NamedTuple):
    """Contribution of a block to sums over the network; from `kernel` on, averaged over the blocks."""

    blocks: float = 0
    widths: float = 0
    kernel: float = 0
    expansion: float = 0
    se_fraction: float = 0
    eca_fraction: float = 0
    smooth_activation_fraction: float = 0
    residual_fraction: float = 0

    @classmethod
    def of(cls, block: Block, channels: int) -> "BlockTerms":
        """Terms of a block for `channels` input maps."""
        return cls(
            1,
            block.expanded + block.out,
            math.log(block.kernel),
            math.log(block.expanded / channels),
            block.attention == "se",
            block.attention == "eca",
            block.activation in ("hardswish", "silu"),
            block.stride == 1 and block.out == channels,
        )


FEATURES = (
    MACS,
    "log_params",
    "log_activation_bytes",
    "log_blocks",
    "log_widths",
    *BlockTerms._fields[2:],
    "log_resolution",
    "log_last_side",
    "log_last_width",
)


def analytic_features(architecture: Architecture) -> dict[str, float]:
    """Features by name; logarithms are natural, fractions are from 0 to 1.

    `log_widths` is the log of the total expanded and output channels of all blocks. `kernel` and
    `expansion` are mean logarithms over the blocks. `smooth_activation_fraction` counts hardswish and silu.
    `log_last_side` and `log_last_width` are the size (px) and channels of the last block's output.
    """
    names, rows = feature_matrix([architecture])
    return dict(zip(names, rows[0].tolist(), strict=True))


def feature_matrix(architectures: Sequence[Architecture]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names of the features, and `n x p` features of the networks.

    Raises:
        ValueError: no network.
    """
    if not architectures:
        raise ValueError("features need at least one network, got none")
    costs = [(whole.macs, whole.params, whole.activation_bytes) for whole in map(cost, architectures)]
    terms = [
        np.sum([BlockTerms.of(block, channels) for block, channels, _ in blocks_with_input_shapes(each)], 0)
        for each in architectures
    ]
    shapes = [(each.resolution_px, *reversed(final_map_shape(each))) for each in architectures]
    return FEATURES, features_from_sums(np.array(costs), np.array(terms), np.array(shapes))


def features_from_sums(costs: NDArray[np.int64], terms: Array, shapes: NDArray[np.int64]) -> Array:
    """`n x p` features of networks.

    Args:
        costs: `n x 3`: MACs, parameters and activation bytes.
        terms: `n x 8`, sums over the blocks in the order of `BlockTerms`.
        shapes: `n x 3`: resolution, and size (px) and channels of the last block's output.
    """
    means = terms[:, 2:] / terms[:, :1]
    return np.hstack([np.log(costs), np.log(terms[:, :2]), means, np.log(shapes)])
