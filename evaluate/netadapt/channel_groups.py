"""The widths of a network that can be cut, and the narrower networks that come of it. No torch.

Channels that are added, or multiplied one by one, are one place and are cut together: the bottlenecks
along a chain of residuals, and the depthwise channels of a block without an expansion. A cut keeps the
structure: no residual and no expansion comes or goes because two widths happen to agree.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ...search_space import Architecture, Block, NoFeasibleNetworkError
from ...search_space.architecture import make_divisible
from ...search_space.choices import SQUEEZE_RULES

CHANNEL_DIVISOR = 8
CostFunction = Callable[[Architecture], float]
_N_MULTIPLIERS = 1000
_MIN_WIDTH_FRACTION = 0.3
_SQUEEZES: Mapping[str, Callable[[int, int], int]] = SQUEEZE_RULES


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are cut together.

    Attributes:
        kind: `chain` is the output of the blocks `first` to `last`, where 0 stands for the stem;
            `expansion` is that of block `first`.
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
    """The outputs of stem and blocks, those that a residual adds to each other in one place."""
    groups = [ChannelGroup("chain")]
    for number, (channels_in, block) in enumerate(architecture.blocks_with_in_channels(), start=1):
        if block.stride == 1 and block.out == channels_in:
            groups[-1] = replace(groups[-1], last=number)
        else:
            groups.append(ChannelGroup("chain", number, number))
    return groups


def channel_groups(architecture: Architecture) -> list[ChannelGroup]:
    """All that can be cut, in the order of the network, the head last."""
    expansions = [
        ChannelGroup("expansion", number)
        for number, (channels_in, block) in enumerate(architecture.blocks_with_in_channels(), start=1)
        if block.expanded != channels_in
    ]
    head = [ChannelGroup("features"), *([ChannelGroup("hidden")] if architecture.head.hidden else [])]
    return [*sorted([*residual_groups(architecture), *expansions], key=lambda group: group.first), *head]


def group_width(architecture: Architecture, group: ChannelGroup) -> int:
    """Channels at a place."""
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
    """The network with other widths at some places; squeeze-and-excitation follows by its rule."""
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
    features, hidden = (
        widths.get(ChannelGroup("features"), head.features),
        widths.get(ChannelGroup("hidden"), head.hidden),
    )
    return replace(
        architecture,
        stem=replace(architecture.stem, out=channels_out[0]),
        blocks=tuple(blocks),
        head=replace(head, features=features, hidden=hidden),
    )


def _squeeze(block: Block, channels_in: int, new_channels_in: int, expanded: int) -> int:
    """The squeeze width by the rule that the block follows, else in its ratio to the expansion."""
    if not block.squeeze:
        return 0
    for rule in _SQUEEZES.values():
        if rule(channels_in, block.expanded) == block.squeeze:
            return rule(new_channels_in, expanded)
    return max(1, round(block.squeeze * expanded / block.expanded))


def same_structure(one: Architecture, other: Architecture) -> bool:
    """Whether the same blocks have an expansion and a residual."""
    return _structure(one) == _structure(other)


def _structure(architecture: Architecture) -> list[tuple[bool, bool]]:
    return [
        (block.expanded != channels_in, block.stride == 1 and block.out == channels_in)
        for channels_in, block in architecture.blocks_with_in_channels()
    ]


def narrower_networks(architecture: Architecture, group: ChannelGroup) -> Iterator[Architecture]:
    """The networks with fewer channels at one place, a multiple of 8 of them, the widest first."""
    for width in _smaller_widths(group_width(architecture, group)):
        narrower = with_widths(architecture, {group: width})
        if same_structure(architecture, narrower):
            yield narrower


def _smaller_widths(width: int) -> range:
    return range((width - 1) // CHANNEL_DIVISOR * CHANNEL_DIVISOR, 0, -CHANNEL_DIVISOR)


def narrowest(architecture: Architecture) -> Architecture:
    """The network after as many cuts as can be made, one place after the other."""
    before = None
    while architecture != before:
        before = architecture
        for group in channel_groups(architecture):
            *_, architecture = architecture, *narrower_networks(architecture, group)
    return architecture


def sample_narrower_network(architecture: Architecture, rng: random.Random) -> Architecture:
    """A network with fewer channels at some places; some such networks keep nearly all, others a third."""
    keep_fraction = rng.uniform(_MIN_WIDTH_FRACTION, 1)
    shuffled = channel_groups(architecture)
    rng.shuffle(shuffled)
    for group in shuffled:
        current_width = group_width(architecture, group)
        width = rng.choice(
            [
                current_width,
                *(each for each in _smaller_widths(current_width) if each >= keep_fraction * current_width),
            ]
        )
        narrower = with_widths(architecture, {group: width})
        architecture = narrower if same_structure(architecture, narrower) else architecture
    return architecture


def scale_width(architecture: Architecture, factor: float) -> Architecture:
    """All widths times a factor, rounded as in the papers of this family, at least 8.

    Two widths may come to agree, and with them a residual may come or an expansion go, as in theirs.
    """
    return with_widths(
        architecture,
        {
            group: make_divisible(group_width(architecture, group) * factor, CHANNEL_DIVISOR)
            for group in channel_groups(architecture)
        },
    )


def scale_width_to_limit(architecture: Architecture, cost_of: CostFunction, limit: float) -> Architecture:
    """The network that one width multiplier for all places makes: the widest within a limit.

    What is cut place by place must beat this. Costs are taken to rise with the multiplier, and are asked
    of about ten networks.

    Raises:
        NoFeasibleNetworkError: 8 channels everywhere still cost more.
    """
    factors = (number / _N_MULTIPLIERS for number in range(1, _N_MULTIPLIERS + 1))
    # At factor 1 too the widths are rounded, which the network itself need not be.
    candidates = list(
        dict.fromkeys([*(scale_width(architecture, factor) for factor in factors), architecture])
    )
    n_feasible = bisect_right(candidates, limit, key=cost_of)
    if not n_feasible:
        least = f"{cost_of(candidates[0]):.4g}"
        raise NoFeasibleNetworkError(
            f"no width multiplier brings network {architecture.key} under {limit:.4g}: 8 channels "
            f"everywhere cost {least}; raise the limit"
        )
    return candidates[n_feasible - 1]
