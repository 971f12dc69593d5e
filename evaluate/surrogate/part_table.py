"""Costs and sums of features of many networks at once, from a table of their stems, blocks and heads."""

from dataclasses import dataclass, fields
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...search_space import Block, Cost, Head, SearchSpace, Stem
from ...search_space.choices import BLOCK_GENES, make_block
from ...search_space.cost import block_cost, head_cost, stem_cost
from ..statistics.arrays import Array, Indices
from .architecture_features import BlockTerms

MAX_ROWS = 2**16  # bounds the memory of a table
_MAX_SIDE, _MAX_WIDTH = 2**13, 2**15  # above any size (px) and number of channels
_NO_PART = -1

Integers = NDArray[np.int64]


class _Place(NamedTuple):
    """A place for a part of a network.

    Attributes:
        kind: first and later blocks differ by the stride.
        stage: 0 for stem and head.
        names: the choices that the part depends on.
    """

    kind: Literal["stem", "head", "first", "later"]
    stage: int
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the parts of `n` networks.

    Attributes:
        identities: `n` texts, equal only for equal networks.
        costs: `n x 5`, in the order of the fields of `Cost`.
        stage_macs: `n x k`, MACs of each stage.
        terms: `n x 8`, in the order of `BlockTerms`.
        shapes: `n x 3`: resolution, and size (px) and channels of the last block's output.
    """

    identities: list[str]
    costs: Integers
    stage_macs: Integers
    terms: Array
    shapes: Integers


class PartTable:
    """Parts of the networks of a space, each computed when first needed.

    A code stands for the choices and input maps that a part depends on. Networks of a search share most of
    their parts, so few codes are new.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._names = {name: column for column, name in enumerate(space.all_choices)}
        self._gene_columns = [self._names[gene.name] for gene in space.genes]
        self._places = places = _places(space)
        self._stage_starts = [number for number, place in enumerate(places) if place.kind == "first"]
        sizes = [[len(space.all_choices[name]) for name in place.names] for place in places]
        shape = len(places), max(len(each) for each in sizes)
        self._columns, self._steps = np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.int64)
        for number, place in enumerate(places):
            count = len(place.names)
            self._columns[number, :count] = [self._names[name] for name in place.names]
            self._steps[number, :count] = [prod(sizes[number][:step]) for step in range(count)]
        self._sizes = np.array([prod(each) for each in sizes])
        kinds = list(dict.fromkeys((place.kind, place.stage) for place in places))
        self._kinds = np.array([kinds.index((place.kind, place.stage)) for place in places])
        self._clear()

    def _clear(self) -> None:
        """Leave only the row of places without a part."""
        self._rows = {_NO_PART: 0}
        self._texts = [""]
        self._costs: Integers = np.zeros((1, len(_COSTS)), dtype=np.int64)
        self._terms: Array = np.zeros((1, len(BlockTerms._fields)))

    def sums(self, choices: Indices) -> Sums:
        """Sums of networks from `n x g` indices of the choices of their genes."""
        if len(self._rows) > MAX_ROWS:
            self._clear()
        full = np.zeros((len(choices), len(self._names)), dtype=np.int64)
        full[:, self._gene_columns] = choices
        widths, sides, exists = self._input_maps(full)
        codes = (full[:, self._columns] * self._steps).sum(2)
        codes += self._sizes * (sides + _MAX_SIDE * widths)
        codes = np.where(exists, codes * (self._kinds.max() + 1) + self._kinds, _NO_PART)
        different, first, inverse = np.unique(codes.ravel(), return_index=True, return_inverse=True)
        for code, position in zip(different.tolist(), first.tolist(), strict=True):
            if code not in self._rows:
                network, number = divmod(position, len(self._places))
                maps = int(widths[network, number]), int(sides[network, number])
                self._add(code, self._places[number], full[network], *maps)
        rows = np.array([self._rows[code] for code in different.tolist()])[inverse].reshape(codes.shape)
        costs = self._costs[rows]
        totals = costs.sum(1)
        totals[:, _PEAK] = costs[:, :, _PEAK].max(1)
        return Sums(
            ["".join([self._texts[row] for row in network]) for network in rows.tolist()],
            totals,
            np.add.reduceat(costs[:, :-1, _MACS], self._stage_starts, axis=1),
            self._terms[rows].sum(1),
            np.column_stack([sides[:, 0], sides[:, -1], widths[:, -1]]),
        )

    def _input_maps(self, full: Integers) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """`n x s`, for each place: channels and size (px) of its input maps, and whether it has a part."""
        shape = len(full), len(self._places)
        widths, sides = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        exists = np.ones(shape, dtype=np.bool_)
        widths[:, 0], sides[:, 0] = self.space.image_channels, self._values("resolution_px", full)
        width, side = self._values("stem.out", full), -(-sides[:, 0] // self._values("stem.stride", full))
        for stage, start in enumerate(self._stage_starts, start=1):
            out, depth, stride = (
                self._values(f"stage{stage}.{name}", full) for name in ("out", "depth", "stride")
            )
            end = start + max(self.space.stages[stage - 1].depth)
            exists[:, start:end] = np.arange(end - start) < depth[:, None]
            widths[:, start], sides[:, start] = width, side
            width, side = np.where(depth, out, width), np.where(depth, -(-side // stride), side)
            widths[:, start + 1 : end], sides[:, start + 1 : end] = width[:, None], side[:, None]
        widths[:, -1], sides[:, -1] = width, side
        return widths, sides, exists

    def _values(self, name: str, full: Integers) -> Integers:
        """`n` values of a choice that is a whole number."""
        return np.array(self.space.all_choices[name], dtype=np.int64)[full[:, self._names[name]]]

    def _add(self, code: int, place: _Place, full: Integers, width: int, side: int) -> None:
        chosen: list[Any] = [self.space.all_choices[name][full[self._names[name]]] for name in place.names]
        part: Stem | Block | Head
        terms = BlockTerms()
        if place.kind == "stem":
            part = Stem(*chosen[1:])
            cost = stem_cost(part, width, side)
        elif place.kind == "head":
            part = Head(*chosen)
            cost = head_cost(part, width, side, self.space.classes)
        else:
            stride, out, *others = chosen if place.kind == "first" else (1, *chosen)
            part = make_block(width, out, stride, *others)
            cost, terms = block_cost(part, width, side), BlockTerms.of(part, width)
        self._append(code, f"{side} {part}" if place.kind == "stem" else str(part), cost, terms)

    def _append(self, code: int, text: str, cost: Cost, terms: BlockTerms) -> None:
        row = len(self._texts)
        if row == len(self._costs):
            self._costs, self._terms = np.tile(self._costs, (2, 1)), np.tile(self._terms, (2, 1))
        self._costs[row], self._terms[row] = [getattr(cost, name) for name in _COSTS], terms
        self._texts.append(text)
        self._rows[code] = row


_COSTS = tuple(field.name for field in fields(Cost))
_MACS, _PEAK = _COSTS.index("macs"), _COSTS.index("peak_activation_bytes")


def _places(space: SearchSpace) -> list[_Place]:
    """The places of a space in the order of the network; as many of a stage as its greatest depth."""
    names = list(space.all_choices)
    stem = [name for name in names if name.startswith("stem.")]
    places = [_Place("stem", 0, ("resolution_px", *stem))]
    for number, stage in enumerate(space.stages, start=1):
        prefix = f"stage{number}"
        for block in range(1, max(stage.depth) + 1):
            own = [
                f"{prefix}.{name}" if name in stage.shared else f"{prefix}.block{block}.{name}"
                for name in BLOCK_GENES
            ]
            if block == 1:
                places.append(_Place("first", number, (f"{prefix}.stride", f"{prefix}.out", *own)))
            else:
                places.append(_Place("later", number, (f"{prefix}.out", *own)))
    head = [name for name in names if name.startswith("head.")]
    return [*places, _Place("head", 0, tuple(head))]
