"""The choices that define a search space, and the block that a set of choices gives."""

from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import product
from typing import Any

from .architecture import (
    ACTIVATIONS,
    ATTENTIONS,
    KERNELS,
    MAX_BLOCKS,
    MAX_CHANNELS,
    STRIDES,
    Activation,
    Attention,
    Block,
    Head,
    Stem,
    make_divisible,
    require_between,
    require_one_of,
    shown,
)
from .errors import ArchitectureError
from .reference_networks import squeeze_mnasnet, squeeze_v3

Choice = int | float | str
Genes = dict[str, Choice]

MAX_EXPANSION = 64
MAX_CHOICES = 64
BLOCK_GENES = ("kernel", "expansion", "attention", "squeeze", "activation")
SQUEEZE_RULES = {
    "expanded/4": lambda in_channels, expanded: squeeze_v3(expanded),
    "input/4": lambda in_channels, expanded: squeeze_mnasnet(in_channels),
}


@dataclass(frozen=True)
class Gene:
    """One free choice of a space, such as `stage3.block2.kernel`."""

    name: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class StageChoices:
    """A run of blocks with the same output channels.

    Attributes:
        out: output channels of every block.
        depth: number of blocks; 0 drops the stage.
        expansion: ratio of expanded to input channels, rounded to multiples of 8; 1 means no expansion.
        squeeze: width of squeeze-and-excitation, `expanded/4` (MobileNetV3) or `input/4` (MnasNet).
        stride: stride of the first block; the other blocks have stride 1.
        shared: those of `BLOCK_GENES` that all blocks of the stage share.
    """

    out: tuple[int, ...]
    kernel: tuple[int, ...]
    expansion: tuple[float, ...]
    depth: tuple[int, ...] = (1,)
    attention: tuple[Attention, ...] = ("none",)
    squeeze: tuple[str, ...] = ("expanded/4",)
    activation: tuple[Activation, ...] = ("relu",)
    stride: tuple[int, ...] = (1,)
    shared: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            require_unique(field.name, getattr(self, field.name))
        for value in self.out:
            require_between("out", value, 1, MAX_CHANNELS)
        for value in self.depth:
            require_between("depth", value, 0, MAX_BLOCKS)
        for ratio in self.expansion:
            if not isinstance(ratio, int | float) or isinstance(ratio, bool) or not ratio > 0:
                raise ArchitectureError("expansion", f"must be above 0, got {shown(ratio)}")
            if ratio > MAX_EXPANSION:
                raise ArchitectureError("expansion", f"must be at most {MAX_EXPANSION}, got {shown(ratio)}")
        allowed: dict[str, Any] = {
            "kernel": KERNELS,
            "attention": ATTENTIONS,
            "squeeze": tuple(SQUEEZE_RULES),
            "activation": ACTIVATIONS,
            "stride": STRIDES,
            "shared": BLOCK_GENES,
        }
        for name, values in allowed.items():
            for value in getattr(self, name):
                require_one_of(name, value, values)
        if max(self.depth) == 0:
            raise ArchitectureError("depth", "must allow at least one block, got 0 alone")

    def choices(self, name: str) -> tuple[Any, ...]:
        values: tuple[Any, ...] = getattr(self, name)
        return values


@dataclass(frozen=True)
class StemChoices:
    out: tuple[int, ...]
    activation: tuple[Activation, ...] = ("hardswish",)
    kernel: tuple[int, ...] = (3,)
    stride: tuple[int, ...] = (2,)

    def __post_init__(self) -> None:
        for field in fields(self):
            require_unique(field.name, getattr(self, field.name))
        for values in product(self.out, self.activation, self.kernel, self.stride):
            Stem(*values)


@dataclass(frozen=True)
class HeadChoices:
    features: tuple[int, ...]
    hidden: tuple[int, ...] = (0,)
    activation: tuple[Activation, ...] = ("hardswish",)

    def __post_init__(self) -> None:
        for field in fields(self):
            require_unique(field.name, getattr(self, field.name))
        for values in product(self.features, self.hidden, self.activation):
            Head(*values)


@lru_cache(maxsize=4096)
def make_block(
    in_channels: int,
    out: int,
    stride: int,
    kernel: int,
    expansion: float,
    attention: Attention,
    squeeze: str,
    activation: Activation,
) -> Block:
    """The block that these choices give."""
    expanded = in_channels if expansion == 1 else make_divisible(in_channels * expansion)
    width = SQUEEZE_RULES[squeeze](in_channels, expanded) if attention == "se" else 0
    return Block(kernel, expanded, out, attention, activation, stride, width)


def require_unique(field: str, values: tuple[object, ...]) -> None:
    if len(values) > MAX_CHOICES:
        raise ArchitectureError(field, f"must hold at most {MAX_CHOICES} choices, got {len(values)}")
    if len(set(values)) < len(values):
        raise ArchitectureError(field, f"holds a choice twice: {join_values(values)}")
    if not values and field != "shared":
        raise ArchitectureError(field, "must hold at least one choice")


def join_values(values: tuple[object, ...]) -> str:
    return ", ".join(str(value) for value in values)
