"""The space of pretrained networks: which one, at which resolution, and how much of it is tuned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import cast

from .architecture import (
    MAX_CLASSES,
    MAX_IMAGE_CHANNELS,
    TUNED,
    Architecture,
    FineTuning,
    Tuned,
    require_between,
)
from .candidate_space import CandidateSpace
from .choices import Choice, Genes, require_unique
from .errors import ArchitectureError, SpaceError

MIN_RESOLUTION_PX = 32
FINE_STEP_PX, COARSE_STEP_PX, FINE_BELOW_PX = 16, 32, 128


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


@dataclass(frozen=True)
class PretrainedSpace(CandidateSpace):
    """Every parent at every resolution up to its own, with all, its last stage or its head tuned.

    A resolution above that of a parent stands for the parent's own.
    """

    parents: tuple[Parent, ...]
    resolution_px: tuple[int, ...]
    tuned: tuple[Tuned, ...] = TUNED
    image_channels: int = 3
    classes: int = 1000
    name: str = "pretrained"

    def __post_init__(self) -> None:
        require_unique("parents", tuple(parent.name for parent in self.parents))
        require_unique("resolution_px", self.resolution_px)
        require_unique("tuned", self.tuned)
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
        parent = self._parents[str(chosen["parent"])]
        return replace(
            parent.architecture,
            resolution_px=min(int(chosen["resolution_px"]), parent.resolution_px),
            image_channels=self.image_channels,
            classes=self.classes,
            fine_tuning=FineTuning(parent.name, cast("Tuned", chosen["tuned"])),
        )

    def encode(self, architecture: Architecture) -> Genes:
        if architecture not in self.candidates:
            raise SpaceError(f"space {self.name} does not contain network {architecture.key}")
        return self.candidates[architecture]

    def with_all_tuned(self, architecture: Architecture) -> Architecture:
        """The same network and resolution with all of it tuned."""
        assert architecture.fine_tuning
        return replace(architecture, fine_tuning=FineTuning(architecture.fine_tuning.parent))

    @property
    def size(self) -> int:
        return len(self.candidates)

    @cached_property
    def candidates(self) -> dict[Architecture, Genes]:
        """All networks with their genes, the lowest resolutions of the first parent first."""
        free = {gene.name for gene in self.genes}
        found: dict[Architecture, Genes] = {}
        for parent in self.parents:
            for side in self.resolution_px:
                for tuned in self.tuned:
                    chosen: Genes = {"parent": parent.name, "resolution_px": side, "tuned": tuned}
                    genes = {name: value for name, value in chosen.items() if name in free}
                    found.setdefault(self.decode(genes), genes)
        return found

    @cached_property
    def _parents(self) -> dict[str, Parent]:
        return {parent.name: parent for parent in self.parents}


def pretrained_space(parents: Sequence[Parent], max_resolution_px: int | None = None) -> PretrainedSpace:
    """The space of these parents: steps of 16 px below 128 px and of 32 px above, up to their own resolution.

    Args:
        max_resolution_px: highest resolution, if not that of the parents.
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
    return PretrainedSpace(tuple(parents), (*sides[:-1], min(sides[-1], highest)))


def candidate_text(architecture: Architecture) -> str:
    """`efficientnet_lite0 at 96 px, head tuned`; empty for a network that is trained from scratch."""
    tuning = architecture.fine_tuning
    if tuning is None:
        return ""
    return f"{tuning.parent} at {architecture.resolution_px} px, {tuning.tuned.replace('-', ' ')} tuned"
