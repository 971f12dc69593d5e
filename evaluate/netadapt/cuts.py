"""The cuts that a step of NetAdapt proposes: one place of a network made smaller. No torch."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ...search_space import Architecture
from ...search_space.architecture import GATES, KERNELS
from ..inheritance.channel_groups import (
    channel_groups,
    group_width,
    narrower_networks,
    residual_groups,
    sample_narrower_network,
    smaller_widths,
)

CutKind = Literal["width", "depth", "kernel", "attention", "resolution"]
CUT_KINDS: tuple[CutKind, ...] = get_args(CutKind)
_MIN_RESOLUTION_PX = 32
_MIN_FRACTION = 0.3


@dataclass(frozen=True)
class Cut:
    """A network with one place made smaller.

    Attributes:
        place: description, such as `expansion of block 3`.
        before, after: channels, residual blocks, kernel size or pixels; 1 and 0 for attention.
    """

    place: str
    before: int
    after: int
    architecture: Architecture


def cuts(architecture: Architecture, kinds: Sequence[CutKind] = CUT_KINDS) -> Iterator[Iterator[Cut]]:
    """The cuts of each place, in network order within a kind, the smallest cut of a place first."""
    for kind in kinds:
        yield from _CUTS[kind](architecture)


def smallest_network(architecture: Architecture, kinds: Sequence[CutKind] = CUT_KINDS) -> Architecture:
    """The network with every place cut as far as possible."""
    while last := next((found[-1] for found in map(list, cuts(architecture, kinds)) if found), None):
        architecture = last.architecture
    return architecture


def sample_smaller_network(
    architecture: Architecture, kinds: Sequence[CutKind], rng: random.Random
) -> Architecture:
    """Random cuts of some of the places of each kind, none below 0.3 of what it is."""
    for kind in kinds:
        if kind == "width":
            continue
        n_places = sum(1 for _ in cuts(architecture, [kind]))
        for _ in range(rng.randint(0, n_places)):
            options = [cut for place in cuts(architecture, [kind]) for cut in place if _is_moderate(cut)]
            architecture = rng.choice(options).architecture if options else architecture
    return sample_narrower_network(architecture, rng) if "width" in kinds else architecture


def _is_moderate(cut: Cut) -> bool:
    return cut.before == 1 or cut.after >= _MIN_FRACTION * cut.before


def _width_cuts(architecture: Architecture) -> Iterator[Iterator[Cut]]:
    for group in channel_groups(architecture):
        before = group_width(architecture, group)
        yield (
            Cut(str(group), before, group_width(narrower, group), narrower)
            for narrower in narrower_networks(architecture, group)
        )


def _depth_cuts(architecture: Architecture) -> Iterator[Iterator[Cut]]:
    """One residual block less; blocks that are equal are one place."""
    blocks = architecture.blocks
    for chain in residual_groups(architecture):
        place = f"residual blocks after {f'block {chain.first}' if chain.first else 'the stem'}"
        count = chain.last - chain.first
        removable = range(chain.first, chain.last) if len(blocks) > 1 else ()
        remaining = (blocks[:index] + blocks[index + 1 :] for index in removable)
        for shallower in dict.fromkeys(remaining):
            yield iter([Cut(place, count, count - 1, replace(architecture, blocks=shallower))])


def _kernel_cuts(architecture: Architecture) -> Iterator[Iterator[Cut]]:
    for number, block in enumerate(architecture.blocks, start=1):
        yield (
            Cut(
                f"kernel of block {number}", block.kernel, size, with_block(architecture, number, kernel=size)
            )
            for size in reversed(KERNELS)
            if size < block.kernel
        )


def _attention_cuts(architecture: Architecture) -> Iterator[Iterator[Cut]]:
    for number, block in enumerate(architecture.blocks, start=1):
        if block.attention != "none":
            without = with_block(architecture, number, attention="none", squeeze=0, gate=GATES[0])
            yield iter([Cut(f"attention of block {number}", 1, 0, without)])


def _resolution_cuts(architecture: Architecture) -> Iterator[Iterator[Cut]]:
    before = architecture.resolution_px
    yield (
        Cut("resolution", before, size_px, replace(architecture, resolution_px=size_px))
        for size_px in smaller_widths(before)
        if size_px >= _MIN_RESOLUTION_PX
    )


def with_block(architecture: Architecture, number: int, **changes: object) -> Architecture:
    blocks = list(architecture.blocks)
    blocks[number - 1] = replace(blocks[number - 1], **changes)  # type: ignore[arg-type]
    return replace(architecture, blocks=tuple(blocks))


_CUTS: Mapping[CutKind, Callable[[Architecture], Iterator[Iterator[Cut]]]] = {
    "width": _width_cuts,
    "depth": _depth_cuts,
    "kernel": _kernel_cuts,
    "attention": _attention_cuts,
    "resolution": _resolution_cuts,
}
