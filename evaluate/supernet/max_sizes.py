"""The largest sizes that a space allows at each of its places."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from ...search_space import Attention, SearchSpace
from ...search_space.cost import eca_kernel
from ...search_space.space import StageChoices, make_block


@dataclass(frozen=True)
class BlockSizes:
    """The largest of each size of the networks' blocks at one place.

    Attributes:
        channels_in: input channels where there is an expansion; 0 where no network has one here.
        squeeze: width of squeeze-and-excitation; 0 where no network has it.
        eca_kernel: 0 where no network has ECA.
    """

    channels_in: int
    expanded: int
    out: int
    kernel: int
    squeeze: int
    eca_kernel: int


def stage_sizes(space: SearchSpace) -> tuple[tuple[BlockSizes, ...], ...]:
    """For each stage the sizes of its blocks, the deepest network's last one included."""
    found: list[tuple[BlockSizes, ...]] = []
    given = set(space.stem.out)
    for stage in space.stages:
        following = [_block_sizes(stage, set(stage.out))] * (max(stage.depth) - 1)
        found.append((_block_sizes(stage, given), *following))
        given = set(stage.out) | (given if 0 in stage.depth else set())
    return tuple(found)


def last_channels(space: SearchSpace) -> int:
    """The most channels that the blocks hand to the head."""
    most = max(space.stem.out)
    for stage in space.stages:
        most = max(*stage.out, most if 0 in stage.depth else 0)
    return most


def _block_sizes(stage: StageChoices, given: Iterable[int]) -> BlockSizes:
    attentions: tuple[Attention, ...] = stage.attention
    pairs = [
        (channels, make_block(channels, 1, 1, 3, expansion, attention, squeeze, "relu"))
        for channels, expansion, squeeze, attention in product(
            given, stage.expansion, stage.squeeze, attentions
        )
    ]
    return BlockSizes(
        channels_in=max((channels for channels, block in pairs if block.expanded != channels), default=0),
        expanded=max(block.expanded for _, block in pairs),
        out=max(stage.out),
        kernel=max(stage.kernel),
        squeeze=max(block.squeeze for _, block in pairs),
        eca_kernel=max(eca_kernel(block.expanded) if block.attention == "eca" else 0 for _, block in pairs),
    )
