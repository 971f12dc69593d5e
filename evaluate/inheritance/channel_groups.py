"""Groups of channels that are pruned together, and the narrower networks that result. No torch.

Channels that are added or multiplied elementwise form one group: the bottlenecks along a chain of residuals,
and the depthwise channels of a block without an expansion. Pruning preserves the structure: no residual or
expansion appears or disappears because two widths happen to be equal.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ...search_space import Architecture, Block
from ...search_space.choices import SQUEEZE_RULES

CHANNEL_DIVISOR = 8
_MIN_WIDTH_FRACTION = 0.3
_SQUEEZES: Mapping[str, Callable[[int, int], int]] = SQUEEZE_RULES


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are pruned together.

    Attributes:
        kind: `chain` for the output of blocks `first` to `last`, 0 being the stem; `expansion` for the
            expanded channels of block `first`; `features` or `hidden` for a layer of the head.
    """

    kind: Literal["chain", "expansion", "features", "hidden"]
    first: int = 0
    last: int = 0

    def __str__(self) -> str:
        if self.kind == "expansion":
            return f"expansion of block {self.first}"
        if self.kind != "chain":
            return f"{self.kind} of the head"
        if self.first:
            return f"output of block{f's {self.first} to' if self.last > self.first else ''} {self.last}"
        return f"output of the stem{f' to block {self.last}' if self.last else ''}"


def residual_groups(architecture: Architecture) -> list[ChannelGroup]:
    """The outputs of stem and blocks; outputs connected by residuals form one group."""
    groups = [ChannelGroup("chain")]
    for number, (channels_in, block) in enumerate(architecture.blocks_with_in_channels(), start=1):
        if block.stride == 1 and block.out == channels_in:
            groups[-1] = replace(groups[-1], last=number)
        else:
            groups.append(ChannelGroup("chain", number, number))
    return groups


def channel_groups(architecture: Architecture) -> list[ChannelGroup]:
    """All groups in network order, the head last."""
    expansions = [
        ChannelGroup("expansion", number)
        for number, (channels_in, block) in enumerate(architecture.blocks_with_in_channels(), start=1)
        if block.expanded != channels_in
    ]
    head = [ChannelGroup("features"), *([ChannelGroup("hidden")] if architecture.head.hidden else [])]
    return [*sorted([*residual_groups(architecture), *expansions], key=lambda group: group.first), *head]


def group_width(architecture: Architecture, group: ChannelGroup) -> int:
    """Number of channels of a group."""
    match group.kind:
        case "chain":
            return architecture.blocks[group.first - 1].out if group.first else architecture.stem.out
        case "expansion":
            return architecture.blocks[group.first - 1].expanded
        case "features":
            return architecture.head.features
        case "hidden":
            return architecture.head.hidden


def with_widths(architecture: Architecture, widths: Mapping[ChannelGroup, int]) -> Architecture:
    """The network with other widths; squeeze widths follow by the rule of their block."""
    channels_out = [architecture.stem.out, *(block.out for block in architecture.blocks)]
    for group, width in widths.items():
        if group.kind == "chain":
            channels_out[group.first : group.last + 1] = [width] * (group.last + 1 - group.first)
    blocks = []
    for number, (channels_in, block) in enumerate(architecture.blocks_with_in_channels(), start=1):
        new_channels_in = channels_out[number - 1]
        expanded = widths.get(ChannelGroup("expansion", number), block.expanded)
        if block.expanded == channels_in:
            expanded = new_channels_in
        squeeze = _squeeze(block, channels_in, new_channels_in, expanded)
        blocks.append(replace(block, expanded=expanded, out=channels_out[number], squeeze=squeeze))
    head = architecture.head
    features = widths.get(ChannelGroup("features"), head.features)
    hidden = widths.get(ChannelGroup("hidden"), head.hidden)
    return replace(
        architecture,
        stem=replace(architecture.stem, out=channels_out[0]),
        blocks=tuple(blocks),
        head=replace(head, features=features, hidden=hidden),
    )


def _squeeze(block: Block, channels_in: int, new_channels_in: int, expanded: int) -> int:
    """Squeeze width by the rule that the block follows, else in proportion to the expansion."""
    if not block.squeeze:
        return 0
    for rule in _SQUEEZES.values():
        if rule(channels_in, block.expanded) == block.squeeze:
            return rule(new_channels_in, expanded)
    return max(1, round(block.squeeze * expanded / block.expanded))


def same_structure(one: Architecture, other: Architecture) -> bool:
    """Whether the same blocks have an expansion and the same blocks a residual."""
    return _structure(one) == _structure(other)


def _structure(architecture: Architecture) -> list[tuple[bool, bool]]:
    return [
        (block.expanded != channels_in, block.stride == 1 and block.out == channels_in)
        for channels_in, block in architecture.blocks_with_in_channels()
    ]


def smaller_widths(width: int) -> range:
    """Multiples of 8 below a width, descending."""
    return range((width - 1) // CHANNEL_DIVISOR * CHANNEL_DIVISOR, 0, -CHANNEL_DIVISOR)


def narrower_networks(architecture: Architecture, group: ChannelGroup) -> Iterator[Architecture]:
    """Networks of the same structure with fewer channels in one group, multiples of 8, widest first."""
    for width in smaller_widths(group_width(architecture, group)):
        narrower = with_widths(architecture, {group: width})
        if same_structure(architecture, narrower):
            yield narrower


def narrowest(architecture: Architecture) -> Architecture:
    """The network with every group pruned as far as the structure permits."""
    before = None
    while architecture != before:
        before = architecture
        for group in channel_groups(architecture):
            *_, architecture = architecture, *narrower_networks(architecture, group)
    return architecture


def sample_narrower_network(architecture: Architecture, rng: random.Random) -> Architecture:
    """A random narrower network; the minimum fraction of channels is drawn between 0.3 and 1."""
    keep_fraction = rng.uniform(_MIN_WIDTH_FRACTION, 1)
    shuffled = channel_groups(architecture)
    rng.shuffle(shuffled)
    for group in shuffled:
        width = group_width(architecture, group)
        widths = [width, *(each for each in smaller_widths(width) if each >= keep_fraction * width)]
        narrower = with_widths(architecture, {group: rng.choice(widths)})
        architecture = narrower if same_structure(architecture, narrower) else architecture
    return architecture
