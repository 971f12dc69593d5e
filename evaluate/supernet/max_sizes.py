"""Maximum sizes at each block position of a search space."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from ...search_space import Attention, SearchSpace
from ...search_space.choices import StageChoices, make_block
from ...search_space.cost import eca_kernel


@dataclass(frozen=True)
class MaxBlockSizes:
    """Maximum sizes over all blocks at one position.

    Attributes:
        in_channels: input channels of blocks with an expansion; 0 if no block has one.
        squeeze: width of squeeze-and-excitation; 0 if no block has it.
        eca_kernel: kernel of ECA; 0 if no block has it.
    """

    in_channels: int
    expanded: int
    out: int
    kernel: int
    squeeze: int
    eca_kernel: int


def max_stage_sizes(space: SearchSpace) -> tuple[tuple[MaxBlockSizes, ...], ...]:
    """Maximum block sizes by stage and position, up to the maximum depth."""
    sizes: list[tuple[MaxBlockSizes, ...]] = []
    input_channels = set(space.stem.out)
    for stage in space.stages:
        following = [_max_block_sizes(stage, set(stage.out))] * (max(stage.depth) - 1)
        sizes.append((_max_block_sizes(stage, input_channels), *following))
        input_channels = set(stage.out) | (input_channels if 0 in stage.depth else set())
    return tuple(sizes)


def max_last_channels(space: SearchSpace) -> int:
    """Maximum number of channels of the last block."""
    max_channels = max(space.stem.out)
    for stage in space.stages:
        max_channels = max(*stage.out, max_channels if 0 in stage.depth else 0)
    return max_channels


def _max_block_sizes(stage: StageChoices, input_channels: Iterable[int]) -> MaxBlockSizes:
    attentions: tuple[Attention, ...] = stage.attention
    pairs = [
        (channels, make_block(channels, 1, 1, 3, expansion, attention, squeeze, "relu"))
        for channels, expansion, squeeze, attention in product(
            input_channels, stage.expansion, stage.squeeze, attentions
        )
    ]
    return MaxBlockSizes(
        in_channels=max((channels for channels, block in pairs if block.expanded != channels), default=0),
        expanded=max(block.expanded for _, block in pairs),
        out=max(stage.out),
        kernel=max(stage.kernel),
        squeeze=max(block.squeeze for _, block in pairs),
        eca_kernel=max(eca_kernel(block.expanded) if block.attention == "eca" else 0 for _, block in pairs),
    )
