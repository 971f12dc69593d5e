"""A network drawn block by block, as rows of a page."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ...search_space import Architecture, Block, cost_breakdown
from ...search_space.cost import blocks_with_input_shapes, conv_output_size
from ..text.ablation import value_name
from ..text.formatting import network_lines

KERNEL_COLORS = {3: "#9ECAE1", 5: "#4292C6", 7: "#084594"}


@dataclass(frozen=True)
class DrawnBlock:
    """A row of a drawing.

    Attributes:
        map_px: size of the output maps.
        expansion: ratio of expanded to input channels.
        share: width of the bar, 0 to 1: output channels.
    """

    block: Block
    map_px: int
    expansion: float
    share: float
    macs: int

    @property
    def attention(self) -> str:
        return "" if self.block.attention == "none" else value_name("attention", self.block.attention)

    @property
    def activation(self) -> str:
        return value_name("activation", self.block.activation)


@dataclass(frozen=True)
class Drawing:
    """The blocks of a network with their widths, and its stem and head in words.

    Attributes:
        widest: output channels of a bar of full width; by default those of the widest block.
    """

    architecture: Architecture
    widest: int | None = None

    @cached_property
    def stem(self) -> str:
        return network_lines(self.architecture)[0]

    @cached_property
    def head(self) -> str:
        return network_lines(self.architecture)[-1]

    @cached_property
    def blocks(self) -> list[DrawnBlock]:
        widest = self.widest or widest_block([self.architecture])
        parts = cost_breakdown(self.architecture)
        return [
            DrawnBlock(
                block,
                map_px=conv_output_size(map_size, block.stride),
                expansion=block.expanded / channels,
                share=block.out / widest,
                macs=parts[f"block {number}"].macs,
            )
            for number, (block, channels, map_size) in enumerate(
                blocks_with_input_shapes(self.architecture), start=1
            )
        ]


def widest_block(networks: Iterable[Architecture]) -> int:
    """The most output channels of any block, the common scale of several drawings."""
    return max(block.out for network in networks for block in network.blocks)
