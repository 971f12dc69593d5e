"""The space of pretrained networks: which one, its resolution and depth, and how much of it is tuned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from statistics import fmean
from typing import Literal, cast

from .architecture import (
    MAX_BLOCKS,
    MAX_CLASSES,
    MAX_IMAGE_CHANNELS,
    TUNED,
    Architecture,
    FineTuning,
    Head,
    Tuned,
    require_between,
)
from .candidate_space import CandidateSpace
from .choices import Choice, Genes, require_unique
from .errors import ArchitectureError, SpaceError
from .pretrained_weights import pretrained_weights

Origin = Literal["pretrained", "cut", "from scratch"]

MIN_RESOLUTION_PX = 32
FINE_STEP_PX, COARSE_STEP_PX, FINE_BELOW_PX = 16, 32, 128
DROPPED_BLOCKS = (0, 2, 4, 6, 8)
DROPPED_STAGES = (0, 1, 2, 3)
_CUTS = ("dropped_blocks", "dropped_stages")


@dataclass(frozen=True)
class Parent:
    """A network whose weights a training can start from.

    Attributes:
        architecture: as it was trained, with its own resolution and classes.
        pixel_mean, pixel_std: normalisation of pixels (0 to 255) that it was trained with.
        imagenet_top1: published accuracy on ImageNet, a fraction; None if there is none.
        file: file of the weights; empty for those that bneck finds by the name.
    """

    name: str
    architecture: Architecture
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    imagenet_top1: float | None = None
    file: str = ""

    @property
    def resolution_px(self) -> int:
        return self.architecture.resolution_px

    def normalization(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """`pixel_mean` and `pixel_std` for images with this number of channels; of grey ones the mean."""
        if len(self.pixel_mean) == channels:
            return self.pixel_mean, self.pixel_std
        return (fmean(self.pixel_mean),) * channels, (fmean(self.pixel_std),) * channels


def published_parent(name: str) -> Parent:
    """A published network as a parent; its weights are not read.

    Raises:
        ArchitectureError: there are no weights by this name.
    """
    known = pretrained_weights(name)
    return Parent(name, known.architecture, known.pixel_mean, known.pixel_std, known.top1 / 100)


@dataclass(frozen=True)
class PretrainedSpace(CandidateSpace):
    """Every parent at every resolution up to its own, with all, its last stage or its head tuned.

    Where all is tuned, stages may be dropped (`drop_stages`), and residual blocks of those that remain
    (`drop_residual_blocks`). A resolution above that of a parent stands for the parent's own, and more
    dropped stages or blocks than it has for all of them.
    """

    parents: tuple[Parent, ...]
    resolution_px: tuple[int, ...]
    tuned: tuple[Tuned, ...] = TUNED
    dropped_blocks: tuple[int, ...] = (0,)
    dropped_stages: tuple[int, ...] = (0,)
    image_channels: int = 3
    classes: int = 1000
    name: str = "pretrained"

    def __post_init__(self) -> None:
        require_unique("parents", tuple(parent.name for parent in self.parents))
        require_unique("resolution_px", self.resolution_px)
        require_unique("tuned", self.tuned)
        for name in _CUTS:
            require_unique(name, getattr(self, name))
            for count in getattr(self, name):
                require_between(name, count, 0, MAX_BLOCKS)
        require_between("image_channels", self.image_channels, 1, MAX_IMAGE_CHANNELS)
        require_between("classes", self.classes, 2, MAX_CLASSES)
        for parent in self.parents:
            channels = {parent.architecture.image_channels}
            if {len(parent.pixel_mean), len(parent.pixel_std)} != channels:
                raise ArchitectureError("pixel_mean", f"of {parent.name} must have one value a channel")

    @cached_property
    def all_choices(self) -> dict[str, tuple[Choice, ...]]:
        return {
            "parent": tuple(parent.name for parent in self.parents),
            "resolution_px": self.resolution_px,
            "tuned": self.tuned,
            "dropped_blocks": self.dropped_blocks,
            "dropped_stages": self.dropped_stages,
        }

    def for_data(self, image_channels: int, classes: int) -> "PretrainedSpace":
        return replace(self, image_channels=image_channels, classes=classes)

    def parent(self, name: str) -> Parent:
        """The parent of this name.

        Raises:
            SpaceError: it is not in the space.
        """
        if name not in self._parents:
            raise SpaceError(f"space {self.name} has no network {name}; it has {', '.join(self._parents)}")
        return self._parents[name]

    def decode(self, genes: Mapping[str, Choice]) -> Architecture:
        chosen = self.with_fixed_choices(genes)
        parent, tuned = self._parents[str(chosen["parent"])], cast("Tuned", chosen["tuned"])
        n_blocks, n_stages = (int(chosen[name]) if tuned == "all" else 0 for name in _CUTS)
        n_stages = min(n_stages, len(stage_starts(parent.architecture)))
        truncated = drop_stages(parent.architecture, n_stages)
        shallower = drop_residual_blocks(truncated, n_blocks)
        return replace(
            shallower,
            resolution_px=min(int(chosen["resolution_px"]), parent.resolution_px),
            image_channels=self.image_channels,
            classes=self.classes,
            fine_tuning=FineTuning(
                parent.name, tuned, len(truncated.blocks) - len(shallower.blocks), n_stages
            ),
        )

    def is_active(self, gene: str, genes: Mapping[str, Choice]) -> bool:
        return gene not in _CUTS or genes.get("tuned", self.tuned[0]) == "all"

    def encode(self, architecture: Architecture) -> Genes:
        if architecture not in self.candidates:
            raise SpaceError(f"space {self.name} does not contain network {architecture.key}")
        return self.candidates[architecture]

    def with_all_tuned(self, architecture: Architecture) -> Architecture:
        """The same network and resolution with all of it tuned."""
        assert architecture.fine_tuning
        return replace(architecture, fine_tuning=replace(architecture.fine_tuning, tuned="all"))

    @property
    def size(self) -> int:
        return len(self.candidates)

    @cached_property
    def candidates(self) -> dict[Architecture, Genes]:
        """All networks with their genes, the lowest resolutions of the first parent first."""
        free = {gene.name for gene in self.genes}
        found: dict[Architecture, Genes] = {}
        for choices in product(*self.all_choices.values()):
            genes = {
                name: value for name, value in zip(self.all_choices, choices, strict=True) if name in free
            }
            found.setdefault(self.decode(genes), genes)
        return found

    @cached_property
    def _parents(self) -> dict[str, Parent]:
        return {parent.name: parent for parent in self.parents}


def drop_residual_blocks(architecture: Architecture, count: int) -> Architecture:
    """The network without some of its residual blocks: depth scaling in reverse.

    Each time the last block of the longest run of residual blocks is dropped, of equally long runs the one
    nearest to the head, until none is left.
    """
    for _ in range(count):
        run, runs = 0, list[int]()  # number of residual blocks in a row up to each block
        for channels_in, block in architecture.blocks_with_in_channels():
            run = run + 1 if block.stride == 1 and block.out == channels_in else 0
            runs.append(run)
        place = max(range(len(runs)), key=lambda index: (runs[index], index))
        if not runs[place] or len(runs) == 1:
            break
        blocks = architecture.blocks
        architecture = replace(architecture, blocks=blocks[:place] + blocks[place + 1 :])
    return architecture


def drop_stages(architecture: Architecture, count: int) -> Architecture:
    """The network without its last stages (`end_before`), but with its first block."""
    starts = stage_starts(architecture)
    count = min(count, len(starts))
    return end_before(architecture, starts[-count]) if count else architecture


def stage_starts(architecture: Architecture) -> list[int]:
    """Indices of the blocks that a network can end before: with an expansion, without a residual."""
    return [
        index
        for index, (channels_in, block) in enumerate(architecture.blocks_with_in_channels())
        if index and block.expanded != channels_in and not (block.stride == 1 and block.out == channels_in)
    ]


def end_before(architecture: Architecture, index: int) -> Architecture:
    """The network up to the expansion of a block, which becomes the 1x1 convolution before the pooling.

    The classifier follows the pooling; there is no hidden layer.
    """
    block = architecture.blocks[index]
    head = Head(block.expanded, activation=block.activation)
    return replace(architecture, blocks=architecture.blocks[:index], head=head)


def pretrained_space(
    parents: Sequence[Parent],
    max_resolution_px: int | None = None,
    dropped_blocks: Sequence[int] = (0,),
    dropped_stages: Sequence[int] = (0,),
) -> PretrainedSpace:
    """The space of these parents: steps of 16 px below 128 px and of 32 px above, up to their own resolution.

    Args:
        max_resolution_px: highest resolution, if not that of the parents.
        dropped_blocks, dropped_stages: numbers of residual blocks and of stages to drop.
    Raises:
        ArchitectureError: no parent, two of the same name, or a resolution below 32 px.
    """
    highest = max((parent.resolution_px for parent in parents), default=MIN_RESOLUTION_PX)
    highest = min(highest, max_resolution_px or highest)
    if highest < MIN_RESOLUTION_PX:
        raise ArchitectureError("resolution_px", f"must be at least {MIN_RESOLUTION_PX}, got {highest}")
    sides = [MIN_RESOLUTION_PX]
    while sides[-1] < highest:
        sides.append(sides[-1] + (FINE_STEP_PX if sides[-1] < FINE_BELOW_PX else COARSE_STEP_PX))
    return PretrainedSpace(
        tuple(parents),
        (*sides[:-1], min(sides[-1], highest)),
        dropped_blocks=tuple(dropped_blocks),
        dropped_stages=tuple(dropped_stages),
    )


def origin_of(architecture: Architecture) -> Origin:
    """Whether a network is a whole pretrained one, a cut one, or from scratch."""
    tuning = architecture.fine_tuning
    return "from scratch" if tuning is None else "cut" if tuning.is_cut else "pretrained"


def candidate_text(architecture: Architecture) -> str:
    """`efficientnet_lite0 at 96 px, 1 stage and 2 blocks dropped, all tuned`; empty if from scratch."""
    tuning = architecture.fine_tuning
    if tuning is None:
        return ""
    counts = {"stage": tuning.dropped_stages, "block": tuning.dropped_blocks}
    dropped = " and ".join(f"{n} {part}{'s' if n > 1 else ''}" for part, n in counts.items() if n)
    cut = f"{dropped} dropped, " if dropped else ""
    return f"{tuning.parent} at {architecture.resolution_px} px, {cut}{tuning.tuned.replace('-', ' ')} tuned"
