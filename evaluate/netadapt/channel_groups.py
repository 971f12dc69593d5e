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
from ...search_space.space import SQUEEZES

STEP = 8
CostOf = Callable[[Architecture], float]
_FACTORS = 1000
_LEAST_SHARE = 0.3
_SQUEEZES: Mapping[str, Callable[[int, int], int]] = SQUEEZES


@dataclass(frozen=True)
class Place:
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


def chains(architecture: Architecture) -> list[Place]:
    """The outputs of stem and blocks, those that a residual adds to each other in one place."""
    found = [Place("chain")]
    for number, (given, block) in enumerate(architecture.blocks_with_inputs(), start=1):
        if block.stride == 1 and block.out == given:
            found[-1] = replace(found[-1], last=number)
        else:
            found.append(Place("chain", number, number))
    return found


def places(architecture: Architecture) -> list[Place]:
    """All that can be cut, in the order of the network, the head last."""
    expansions = [
        Place("expansion", number)
        for number, (given, block) in enumerate(architecture.blocks_with_inputs(), start=1)
        if block.expanded != given
    ]
    head = [Place("features"), *([Place("hidden")] if architecture.head.hidden else [])]
    return [*sorted([*chains(architecture), *expansions], key=lambda place: place.first), *head]


def width_at(architecture: Architecture, place: Place) -> int:
    """Channels at a place."""
    match place.kind:
        case "chain":
            return architecture.blocks[place.first - 1].out if place.first else architecture.stem.out
        case "expansion":
            return architecture.blocks[place.first - 1].expanded
        case "features":
            return architecture.head.features
        case "hidden":
            return architecture.head.hidden


def with_widths(architecture: Architecture, widths: Mapping[Place, int]) -> Architecture:
    """The network with other widths at some places; squeeze-and-excitation follows by its rule."""
    outs = [architecture.stem.out, *(block.out for block in architecture.blocks)]
    for place, width in widths.items():
        if place.kind == "chain":
            outs[place.first : place.last + 1] = [width] * (place.last + 1 - place.first)
    blocks = []
    for number, (given, block) in enumerate(architecture.blocks_with_inputs(), start=1):
        now_given = outs[number - 1]
        expanded = widths.get(Place("expansion", number), block.expanded)
        if block.expanded == given:
            expanded = now_given
        squeeze = _squeeze(block, given, now_given, expanded)
        blocks.append(replace(block, expanded=expanded, out=outs[number], squeeze=squeeze))
    head = architecture.head
    features, hidden = (
        widths.get(Place("features"), head.features),
        widths.get(Place("hidden"), head.hidden),
    )
    return replace(
        architecture,
        stem=replace(architecture.stem, out=outs[0]),
        blocks=tuple(blocks),
        head=replace(head, features=features, hidden=hidden),
    )


def _squeeze(block: Block, given: int, now_given: int, expanded: int) -> int:
    """The squeeze width by the rule that the block follows, else in its ratio to the expansion."""
    if not block.squeeze:
        return 0
    for rule in _SQUEEZES.values():
        if rule(given, block.expanded) == block.squeeze:
            return rule(now_given, expanded)
    return max(1, round(block.squeeze * expanded / block.expanded))


def same_structure(one: Architecture, other: Architecture) -> bool:
    """Whether the same blocks have an expansion and a residual."""
    return _structure(one) == _structure(other)


def _structure(architecture: Architecture) -> list[tuple[bool, bool]]:
    return [
        (block.expanded != given, block.stride == 1 and block.out == given)
        for given, block in architecture.blocks_with_inputs()
    ]


def narrowings(architecture: Architecture, place: Place) -> Iterator[Architecture]:
    """The networks with fewer channels at one place, a multiple of 8 of them, the widest first."""
    for width in _smaller(width_at(architecture, place)):
        narrower = with_widths(architecture, {place: width})
        if same_structure(architecture, narrower):
            yield narrower


def _smaller(width: int) -> range:
    return range((width - 1) // STEP * STEP, 0, -STEP)


def narrowest(architecture: Architecture) -> Architecture:
    """The network after as many cuts as can be made, one place after the other."""
    before = None
    while architecture != before:
        before = architecture
        for place in places(architecture):
            *_, architecture = architecture, *narrowings(architecture, place)
    return architecture


def random_narrowing(architecture: Architecture, rng: random.Random) -> Architecture:
    """A network with fewer channels at some places; some such networks keep nearly all, others a third."""
    share = rng.uniform(_LEAST_SHARE, 1)
    drawn = places(architecture)
    rng.shuffle(drawn)
    for place in drawn:
        now = width_at(architecture, place)
        width = rng.choice([now, *(each for each in _smaller(now) if each >= share * now)])
        narrower = with_widths(architecture, {place: width})
        architecture = narrower if same_structure(architecture, narrower) else architecture
    return architecture


def scaled(architecture: Architecture, factor: float) -> Architecture:
    """All widths times a factor, rounded as in the papers of this family, at least 8.

    Two widths may come to agree, and with them a residual may come or an expansion go, as in theirs.
    """
    return with_widths(
        architecture,
        {
            place: make_divisible(width_at(architecture, place) * factor, STEP)
            for place in places(architecture)
        },
    )


def scaled_to(architecture: Architecture, cost_of: CostOf, limit: float) -> Architecture:
    """The network that one width multiplier for all places makes: the widest within a limit.

    What is cut place by place must beat this. Costs are taken to rise with the multiplier, and are asked
    of about ten networks.

    Raises:
        NoFeasibleNetworkError: 8 channels everywhere still cost more.
    """
    factors = (number / _FACTORS for number in range(1, _FACTORS + 1))
    # At factor 1 too the widths are rounded, which the network itself need not be.
    candidates = list(dict.fromkeys([*(scaled(architecture, factor) for factor in factors), architecture]))
    fitting = bisect_right(candidates, limit, key=cost_of)
    if not fitting:
        least = f"{cost_of(candidates[0]):.4g}"
        raise NoFeasibleNetworkError(
            f"no width multiplier brings network {architecture.key} under {limit:.4g}: 8 channels "
            f"everywhere cost {least}; raise the limit"
        )
    return candidates[fitting - 1]
