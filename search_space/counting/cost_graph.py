"""A space as a graph of parts: every path from the root is one network, and its edges add up to its cost.

The subset construction of the automaton contains every network once. States with the same
continuations are merged into one node per map size, and blocks that differ only in their activation
into one edge, so that a few hundred nodes represent 1e45 networks.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..architecture import Architecture, Attention, Block, Head, Stem
from ..automaton import StateSet, automaton_of
from ..cost import Cost, block_cost, conv_output_size, head_cost, stem_cost
from ..space import SearchSpace

ADDITIVE_COSTS = ("macs", "params", "activation_bytes", "depth")

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Choose = Callable[[Sequence[Any]], Any]
BlockShape = Block  # with any activation
_CostVector = tuple[int, ...]  # by `ADDITIVE_COSTS`
_Edge = tuple[Any, int, _CostVector, int]  # part, node after it, costs, count


class Node(NamedTuple):
    """A node with its `n` outgoing edges.

    Attributes:
        parts: the part that each edge adds, without its activation: resolution and stem at the root,
            then block shapes, then a head.
        successors: `n` node indices, lower than the node's own.
        costs: `n x 4`, by `ADDITIVE_COSTS`.
        multiplicities: `n`, number of activation choices of each edge.
    """

    parts: list[Any]
    successors: Integers
    costs: Integers
    multiplicities: Floats


class _StateClass(NamedTuple):
    """States with the same continuations: block shapes with the class after them, and possibly a head."""

    channels: int
    may_end: bool
    multiplicities: dict[tuple[int, BlockShape], int]


class CostGraph:
    """The graph of a space.

    Attributes:
        nodes: the last is the root; all paths end in the first.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._automaton = automaton_of(space.stages)
        self._state_classes: list[_StateClass] = []
        self._class_ids: dict[object, int] = {}
        self._shape = cache(_shape)
        self._transitions = cache(self._compute_transitions)
        self._state_class = cache(self._compute_state_class)
        self._node = cache(self._add_node)
        self.nodes = [_node([])]
        self.nodes.append(_node(list(self._root_edges())))

    def min_cost_to_go(self, weights: Integers) -> tuple[Integers, list[Integers]]:
        """Minimum cost to go at every node, and by how much each edge exceeds it (its reduced cost).

        Args:
            weights: integer weights of `ADDITIVE_COSTS`, so that sums are exact.
        """
        min_cost_to_go = np.zeros(len(self.nodes), np.int64)
        reduced_costs = [np.zeros(0, np.int64)]
        for number, node in enumerate(self.nodes[1:], start=1):
            totals = node.costs @ weights + min_cost_to_go[node.successors]
            min_cost_to_go[number] = totals.min()
            reduced_costs.append(totals - min_cost_to_go[number])
        return min_cost_to_go, reduced_costs

    def decode_path(self, steps: Sequence[int], choose: Choose) -> Architecture:
        """A network on a path.

        Args:
            steps: edge index at each node, from the root to the end.
            choose: picks one of several activations, or of blocks that differ in activation.
        """
        space = self.space
        node = self.nodes[-1]
        map_size, open_stem = node.parts[steps[0]]
        stem = Stem(open_stem.out, choose(space.stem.activation), open_stem.kernel, open_stem.stride)
        resolution_px, map_size = map_size, conv_output_size(map_size, stem.stride)
        states = self._initial_states(stem.out)
        node = self.nodes[node.successors[steps[0]]]
        blocks: list[Block] = []
        for step in steps[1:-1]:
            shape, target = node.parts[step], node.successors[step]
            map_size = conv_output_size(map_size, shape.stride)
            candidates = [
                (block, successors)
                for successors, blocks_by_states in self._transitions(states)[shape].items()
                if self._node(self._state_class(successors, shape.out), map_size) == target
                for block in blocks_by_states
            ]
            block, states = choose(candidates)
            blocks.append(block)
            node = self.nodes[target]
        last = node.parts[steps[-1]]
        head = Head(last.features, last.hidden, choose(space.head.activation))
        return Architecture(resolution_px, stem, tuple(blocks), head, space.image_channels, space.classes)

    def _root_edges(self) -> Iterator[_Edge]:
        stem = self.space.stem
        for map_size, out, kernel, stride in product(
            self.space.resolution_px, stem.out, stem.kernel, stem.stride
        ):
            part = Stem(out, kernel=kernel, stride=stride)
            successors = self._node(
                self._state_class(self._initial_states(out), out), conv_output_size(map_size, stride)
            )
            costs = _costs(stem_cost(part, self.space.image_channels, map_size))
            yield (map_size, part), successors, costs, len(stem.activation)

    def _initial_states(self, channels: int) -> StateSet:
        """States after a stem."""
        return frozenset(self._automaton.entry_states(0, channels))

    def _compute_transitions(self, states: StateSet) -> dict[BlockShape, dict[StateSet, list[Block]]]:
        """Allowed blocks by their shape and the states after them."""
        transitions: dict[BlockShape, dict[StateSet, list[Block]]] = {}
        for successors, blocks in self._automaton.transitions(states).items():
            for block in blocks:
                shape = self._shape(
                    block.kernel, block.expanded, block.out, block.attention, block.stride, block.squeeze
                )
                transitions.setdefault(shape, {}).setdefault(successors, []).append(block)
        return transitions

    def _compute_state_class(self, states: StateSet, channels: int) -> int:
        multiplicities: Counter[tuple[int, BlockShape]] = Counter()
        for shape, blocks_by_states in self._transitions(states).items():
            for successors, blocks in blocks_by_states.items():
                multiplicities[self._state_class(successors, shape.out), shape] += len(blocks)
        may_end = self._automaton.accepting_state in states
        number = self._class_ids.setdefault(
            (channels, may_end, frozenset(multiplicities.items())), len(self._state_classes)
        )
        if number == len(self._state_classes):
            self._state_classes.append(_StateClass(channels, may_end, multiplicities))
        return number

    def _add_node(self, state_class: int, map_size: int) -> int:
        self.nodes.append(_node(list(self._edges(self._state_classes[state_class], map_size))))
        return len(self.nodes) - 1

    def _edges(self, state_class: _StateClass, map_size: int) -> Iterator[_Edge]:
        for (successors, shape), count in state_class.multiplicities.items():
            node = self._node(successors, conv_output_size(map_size, shape.stride))
            yield shape, node, _costs(block_cost(shape, state_class.channels, map_size)), count
        if state_class.may_end:
            head = self.space.head
            for features, hidden in product(head.features, head.hidden):
                part = Head(features, hidden)
                costs = _costs(head_cost(part, state_class.channels, map_size, self.space.classes))
                yield part, 0, costs, len(head.activation)


@lru_cache(maxsize=8)
def cost_graph(space: SearchSpace) -> CostGraph:
    """The graph of a space, built once (in two seconds for the largest preset)."""
    return CostGraph(space)


def _node(steps: list[_Edge]) -> Node:
    return Node(
        parts=[part for part, *_ in steps],
        successors=np.array([successors for _, successors, _, _ in steps], np.int64),
        costs=np.array([costs for _, _, costs, _ in steps], np.int64).reshape(-1, len(ADDITIVE_COSTS)),
        multiplicities=np.array([count for *_, count in steps], np.float64),
    )


def _shape(
    kernel: int, expanded: int, out: int, attention: Attention, stride: int, squeeze: int
) -> BlockShape:
    return Block(kernel, expanded, out, attention, "relu", stride, squeeze)


def _costs(cost: Cost) -> _CostVector:
    return tuple(getattr(cost, name) for name in ADDITIVE_COSTS)
