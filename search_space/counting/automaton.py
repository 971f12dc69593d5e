"""Counting a space's networks and finding a network in it, exactly.

Different genes may name the same network: genes of blocks that a depth leaves out, ratios that
round to the same width, a stage dropped here or there. So the space is read as a nondeterministic
automaton whose words are networks, a block a letter: counting walks its subset construction,
and finding genes is a search for an accepting path.
"""

from collections import defaultdict
from dataclasses import fields
from functools import cache, lru_cache
from itertools import product
from typing import Any, NamedTuple

from ..architecture import Architecture, Block, Head, Stem
from ..space import BLOCK_GENES, Choice, Genes, SearchSpace, make_block

Positions = frozenset["Position"]


class Position(NamedTuple):
    """Before a block: `left` more blocks of a stage whose shared choices are fixed.

    A position after the last stage has `stage` equal to the number of stages.
    """

    stage: int
    left: int
    channels_in: int
    out: int
    stride: int
    shared: tuple[Choice, ...]


class Automaton:
    """The space as a reader of blocks, one after the other, that can be at several positions at once."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.end = Position(len(space.stages), 0, 0, 0, 0, ())
        self.entries = cache(self._entries)
        self._letters_at = cache(self._letters)

    def _entries(self, stage: int, channels_in: int) -> tuple[Position, ...]:
        """The positions from which a network can go on when `stage` comes next."""
        if stage == len(self.space.stages):
            return (self.end,)
        choices = self.space.stages[stage]
        positions: list[Position] = []
        shared = [choices.choices(name) for name in BLOCK_GENES if name in choices.shared]
        for depth in choices.depth:
            if depth == 0:
                positions += self.entries(stage + 1, channels_in)
                continue
            for out, stride, *values in product(choices.out, choices.stride, *shared):
                positions.append(Position(stage, depth, channels_in, out, stride, tuple(values)))
        return tuple(positions)

    def _letters(self, position: Position) -> dict[Block, tuple[Choice, ...]]:
        stage = self.space.stages[position.stage]
        fixed = iter(position.shared)
        options = [(next(fixed),) if name in stage.shared else stage.choices(name) for name in BLOCK_GENES]
        blocks: dict[Block, tuple[Choice, ...]] = {}
        for values in product(*options):
            chosen: Any = values
            block = make_block(position.channels_in, position.out, position.stride, *chosen)
            blocks.setdefault(block, values)
        return blocks

    def letters(self, position: Position) -> dict[Block, tuple[Choice, ...]]:
        """The blocks that can stand at a position, each with choices of `BLOCK_GENES` that give it."""
        return self._letters_at(position._replace(left=0))

    def after(self, position: Position) -> tuple[Position, ...]:
        """Where a network can be after the block at this position."""
        if position.left == 1:
            return self.entries(position.stage + 1, position.out)
        return (position._replace(left=position.left - 1, channels_in=position.out, stride=1),)

    def moves(self, positions: Positions) -> dict[Positions, list[Block]]:
        """The blocks that can follow, each once, by the positions where a network can be after them.

        The order is the same in every process.
        """
        alike: defaultdict[Position, set[Position]] = defaultdict(set)
        for position in sorted(positions - {self.end}):
            alike[position._replace(left=0)].update(self.after(position))
        sources: defaultdict[Block, list[Position]] = defaultdict(list)
        for position in alike:
            for block in self.letters(position):
                sources[block].append(position)
        together: defaultdict[tuple[Position, ...], list[Block]] = defaultdict(list)
        for block, where in sources.items():
            together[tuple(where)].append(block)
        moves: defaultdict[Positions, list[Block]] = defaultdict(list)
        for places, blocks in together.items():
            moves[frozenset().union(*(alike[position] for position in places))] += blocks
        return dict(moves)


@lru_cache(maxsize=8)
def automaton_of(space: SearchSpace) -> Automaton:
    """The automaton of a space, made once."""
    return Automaton(space)


def count_networks(space: SearchSpace) -> int:
    """The number of different architectures."""
    automaton = automaton_of(space)

    @cache
    def endings(positions: Positions) -> int:
        """The number of different ways to go on from any of these positions."""
        moves = automaton.moves(positions)
        further = sum(len(blocks) * endings(after) for after, blocks in moves.items())
        return further + (automaton.end in positions)

    stem = space.stem
    stems = len(stem.activation) * len(stem.kernel) * len(stem.stride)
    head = space.head
    heads = len(head.features) * len(head.hidden) * len(head.activation)
    chains = sum(endings(frozenset(automaton.entries(0, out))) for out in stem.out)
    return len(space.resolution_px) * stems * heads * chains


def find_genes(space: SearchSpace, architecture: Architecture) -> Genes | None:
    """Genes that decode to the architecture, or None where it is not in the space."""
    if (architecture.image_channels, architecture.classes) != (space.image_channels, space.classes):
        return None
    found: Genes = {name: choices[0] for name, choices in space.all_choices.items()}
    found["resolution_px"] = architecture.resolution_px
    found |= {f"stem.{field.name}": getattr(architecture.stem, field.name) for field in fields(Stem)}
    found |= {f"head.{field.name}": getattr(architecture.head, field.name) for field in fields(Head)}
    if any(found[name] not in choices for name, choices in space.all_choices.items()):
        return None

    automaton = automaton_of(space)
    path = _path(automaton, automaton.entries(0, architecture.stem.out), architecture.blocks)
    if path is None:
        return None
    found |= {f"stage{number}.depth": 0 for number, stage in enumerate(space.stages, 1) if 0 in stage.depth}
    blocks_of_stage: defaultdict[int, int] = defaultdict(int)
    for position, block in zip(path, architecture.blocks, strict=True):
        number = position.stage + 1
        blocks_of_stage[number] += 1
        place = f"stage{number}"
        shared = space.stages[position.stage].shared
        for name, value in zip(BLOCK_GENES, automaton.letters(position)[block], strict=True):
            found[
                f"{place}.{name}" if name in shared else f"{place}.block{blocks_of_stage[number]}.{name}"
            ] = value
        found[f"{place}.out"] = position.out
        found[f"{place}.depth"] = blocks_of_stage[number]
        if blocks_of_stage[number] == 1:
            found[f"{place}.stride"] = position.stride
    return {gene.name: found[gene.name] for gene in space.genes}


def _path(
    automaton: Automaton, starts: tuple[Position, ...], blocks: tuple[Block, ...]
) -> list[Position] | None:
    """One way to spell the blocks, found from the last block back; None where there is none."""
    reached = [dict.fromkeys(starts)]
    for block in blocks:
        following = (
            after
            for position in reached[-1]
            if position != automaton.end and block in automaton.letters(position)
            for after in automaton.after(position)
        )
        reached.append(dict.fromkeys(following))
    goal = automaton.end
    if goal not in reached[-1]:
        return None
    path: list[Position] = []
    for positions, block in zip(reversed(reached[:-1]), reversed(blocks), strict=True):
        goal = next(
            position
            for position in positions
            if position != automaton.end
            and block in automaton.letters(position)
            and goal in automaton.after(position)
        )
        path.append(goal)
    return path[::-1]
