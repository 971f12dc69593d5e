"""A space as a graph of parts: each path from the root is one network, and its steps add up to its cost.

The subset construction of the space's automaton spells every network once. Positions from which the
same can follow are one node (for each side of the map), and blocks that differ in their activation
alone are one step, so that some hundred nodes hold 1e45 networks.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..architecture import Architecture, Attention, Block, Head, Stem
from ..cost import Cost, block_cost, head_cost, side_after, stem_cost
from ..space import SearchSpace
from .automaton import Positions, automaton_of

ADDITIVE = ("macs", "params", "activation_bytes", "depth")

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Choose = Callable[[Sequence[Any]], Any]
Shape = Block  # with any activation
_Costs = tuple[int, ...]  # by `ADDITIVE`
_Step = tuple[Any, int, _Costs, int]  # part, node after it, costs, count


class Node(NamedTuple):
    """A point on the way through a network, with the `n` steps that lead on.

    Attributes:
        parts: what each step adds to the network, its activation left open: the side of the image and
            the stem from the root, then shapes of blocks, and at last a head.
        after: `n` numbers of nodes, lower than the node's own.
        costs: `n x 4`, by `ADDITIVE`.
        counts: `n`, in how many activations each step comes.
    """

    parts: list[Any]
    after: Integers
    costs: Integers
    counts: Floats


class _Kind(NamedTuple):
    """What can follow some positions: shapes of blocks with the kind after them, and maybe a head."""

    channels: int
    may_end: bool
    counts: dict[tuple[int, Shape], int]


class CostGraph:
    """The graph of a space.

    Attributes:
        nodes: all paths end in the first and begin in the last.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._automaton = automaton_of(space)
        self._kinds: list[_Kind] = []
        self._numbers: dict[object, int] = {}
        self._shape = cache(_shape)
        self._moves = cache(self._moves_from)
        self._kind = cache(self._kind_of)
        self._node = cache(self._node_at)
        self.nodes = [_node([])]
        self.nodes.append(_node(list(self._starts())))

    def least(self, weights: Integers) -> tuple[Integers, list[Integers]]:
        """The least that is still to come at every node, and by how much each of its steps misses it.

        Args:
            weights: of the quantities of `ADDITIVE`; whole numbers, so that sums are exact.
        """
        least = np.zeros(len(self.nodes), np.int64)
        excess = [np.zeros(0, np.int64)]
        for number, node in enumerate(self.nodes[1:], start=1):
            totals = node.costs @ weights + least[node.after]
            least[number] = totals.min()
            excess.append(totals - least[number])
        return least, excess

    def spell(self, steps: Sequence[int], choose: Choose) -> Architecture:
        """A network of a path.

        Args:
            steps: by their place in each node, from the root to the end.
            choose: takes activations, or blocks that differ in theirs, and gives one.
        """
        space = self.space
        node = self.nodes[-1]
        side, open_stem = node.parts[steps[0]]
        stem = Stem(open_stem.out, choose(space.stem.activation), open_stem.kernel, open_stem.stride)
        resolution_px, side = side, side_after(side, stem.stride)
        positions = self._first(stem.out)
        node = self.nodes[node.after[steps[0]]]
        blocks: list[Block] = []
        for step in steps[1:-1]:
            shape, goal = node.parts[step], node.after[step]
            side = side_after(side, shape.stride)
            following = [
                (block, after)
                for after, alike in self._moves(positions)[shape].items()
                if self._node(self._kind(after, shape.out), side) == goal
                for block in alike
            ]
            block, positions = choose(following)
            blocks.append(block)
            node = self.nodes[goal]
        last = node.parts[steps[-1]]
        head = Head(last.features, last.hidden, choose(space.head.activation))
        return Architecture(resolution_px, stem, tuple(blocks), head, space.image_channels, space.classes)

    def _starts(self) -> Iterator[_Step]:
        stem = self.space.stem
        for side, out, kernel, stride in product(
            self.space.resolution_px, stem.out, stem.kernel, stem.stride
        ):
            part = Stem(out, kernel=kernel, stride=stride)
            after = self._node(self._kind(self._first(out), out), side_after(side, stride))
            costs = _costs(stem_cost(part, self.space.image_channels, side))
            yield (side, part), after, costs, len(stem.activation)

    def _first(self, channels: int) -> Positions:
        """The positions behind a stem."""
        return frozenset(self._automaton.entries(0, channels))

    def _moves_from(self, positions: Positions) -> dict[Shape, dict[Positions, list[Block]]]:
        """The blocks that can follow, by their shape and the positions after them."""
        moves: dict[Shape, dict[Positions, list[Block]]] = {}
        for after, blocks in self._automaton.moves(positions).items():
            for block in blocks:
                shape = self._shape(
                    block.kernel, block.expanded, block.out, block.attention, block.stride, block.squeeze
                )
                moves.setdefault(shape, {}).setdefault(after, []).append(block)
        return moves

    def _kind_of(self, positions: Positions, channels: int) -> int:
        counts: Counter[tuple[int, Shape]] = Counter()
        for shape, alike in self._moves(positions).items():
            for after, blocks in alike.items():
                counts[self._kind(after, shape.out), shape] += len(blocks)
        may_end = self._automaton.end in positions
        number = self._numbers.setdefault((channels, may_end, frozenset(counts.items())), len(self._kinds))
        if number == len(self._kinds):
            self._kinds.append(_Kind(channels, may_end, counts))
        return number

    def _node_at(self, kind: int, side: int) -> int:
        self.nodes.append(_node(list(self._steps(self._kinds[kind], side))))
        return len(self.nodes) - 1

    def _steps(self, kind: _Kind, side: int) -> Iterator[_Step]:
        for (after, shape), count in kind.counts.items():
            node = self._node(after, side_after(side, shape.stride))
            yield shape, node, _costs(block_cost(shape, kind.channels, side)), count
        if kind.may_end:
            head = self.space.head
            for features, hidden in product(head.features, head.hidden):
                part = Head(features, hidden)
                costs = _costs(head_cost(part, kind.channels, side, self.space.classes))
                yield part, 0, costs, len(head.activation)


@lru_cache(maxsize=8)
def cost_graph(space: SearchSpace) -> CostGraph:
    """The graph of a space, made once (in two seconds for the largest preset)."""
    return CostGraph(space)


def _node(steps: list[_Step]) -> Node:
    return Node(
        parts=[part for part, *_ in steps],
        after=np.array([after for _, after, _, _ in steps], np.int64),
        costs=np.array([costs for _, _, costs, _ in steps], np.int64).reshape(-1, len(ADDITIVE)),
        counts=np.array([count for *_, count in steps], np.float64),
    )


def _shape(kernel: int, expanded: int, out: int, attention: Attention, stride: int, squeeze: int) -> Shape:
    return Block(kernel, expanded, out, attention, "relu", stride, squeeze)


def _costs(cost: Cost) -> _Costs:
    return tuple(getattr(cost, name) for name in ADDITIVE)
