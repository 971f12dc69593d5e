"""What accuracy a pretrained network is expected to have before any training."""

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from ...search_space import Architecture, PretrainedSpace
from ...search_space.pretrained_space import drop_residual_blocks

MAP_LOSS = 0.2  # of accuracy if the last maps are of 1 px; a quarter of it at 2 px
BLOCKS_LOSS = 0.05  # if all residual blocks are dropped; a quarter of it for half of them
STAGES_LOSS = 0.05  # if three stages are dropped; a ninth of it for one
HEAD_LOSS = 0.08  # if the head alone is tuned


@dataclass(frozen=True)
class ExpectedAccuracy:
    """The published accuracy of a network's parent, less what its cuts cost.

    The losses are rough fits to two data sets of photos (docs/decisions/0019-photos.md). Expected accuracies
    are comparable within a space; they are not those on the images of a search.
    """

    space: PretrainedSpace

    def __call__(self, network: Architecture) -> float:
        tuning = network.fine_tuning
        assert tuning
        n_blocks = self._residual_blocks[tuning.parent]
        return (
            self._published[tuning.parent]
            - MAP_LOSS * (total_stride(network) / network.resolution_px) ** 2
            - BLOCKS_LOSS * (tuning.dropped_blocks / max(1, n_blocks)) ** 2
            - STAGES_LOSS * (tuning.dropped_stages / 3) ** 2
            - HEAD_LOSS * (tuning.tuned == "head")
        )

    @cached_property
    def _residual_blocks(self) -> dict[str, int]:
        return {parent.name: _residual_blocks(parent.architecture) for parent in self.space.parents}

    @cached_property
    def _published(self) -> dict[str, float]:
        """Of a parent without one the mean of the others."""
        known = {parent.name: parent.imagenet_top1 for parent in self.space.parents}
        mean = fmean([top1 for top1 in known.values() if top1 is not None] or [0.0])
        return {name: mean if top1 is None else top1 for name, top1 in known.items()}


def _residual_blocks(whole: Architecture) -> int:
    return len(whole.blocks) - len(drop_residual_blocks(whole, len(whole.blocks)).blocks)


def total_stride(network: Architecture) -> int:
    """Of the maps before the pooling, in pixels of the image."""
    return network.stem.stride * math.prod(block.stride for block in network.blocks)
