"""Costs and sums of features of many networks of a space at once, as arrays.

The formulas are those of `search_space.cost`, for all blocks of all networks; tests compare both.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...search_space import Cost, Head, SearchSpace, Stem
from ...search_space.architecture import ACTIVATIONS, ATTENTIONS, make_divisible
from ...search_space.choices import SQUEEZE_RULES, Choice
from ...search_space.cost import BYTES_PER_ELEMENT, COST_CACHE_SIZE, eca_kernel, head_cost, stem_cost
from ..statistics.arrays import Array, Indices

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

_BLOCK_CHOICES = ("expansion", "out", "stride", "kernel", "attention", "squeeze", "activation")
_CODED = {"attention": ATTENTIONS, "activation": ACTIVATIONS, "squeeze": tuple(SQUEEZE_RULES)}
_SE, _ECA = ATTENTIONS.index("se"), ATTENTIONS.index("eca")
_SMOOTH = [ACTIVATIONS.index("hardswish"), ACTIVATIONS.index("silu")]
_COSTS = tuple(field.name for field in fields(Cost))
_PEAK = _COSTS.index("peak_activation_bytes")
_BITS = 15  # of a number of channels


@dataclass(frozen=True, eq=False)
class NetworkSums:
    """Sums over the parts of `n` networks.

    Attributes:
        identities: `n`, equal only for equal networks.
        costs: `n x 5`, in the order of the fields of `Cost`.
        stage_macs: `n x k`, MACs of each stage.
        terms: `n x 8`, sums over the blocks in the order of `BlockTerms`.
        shapes: `n x 3`: resolution, and size (px) and channels of the last block's output.
    """

    identities: list[bytes]
    costs: Integers
    stage_macs: Integers
    terms: Array
    shapes: Integers


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Blocks of `n` networks, `n x b` each: as many of a stage as its greatest depth.

    Attributes:
        exists: whether the depth of the stage includes the block.
        channels, side: number and size (px) of the input maps.
        attention, activation: indices of `ATTENTIONS` and `ACTIVATIONS`.
        squeeze: 0 without squeeze-and-excitation.
    """

    exists: Booleans
    channels: Integers
    side: Integers
    kernel: Integers
    expanded: Integers
    out: Integers
    attention: Integers
    activation: Integers
    stride: Integers
    squeeze: Integers

    def costs(self) -> Integers:
        """`n x b x 5`: see `search_space.cost.block_operators`; 0 for blocks that do not exist."""
        channels, expanded, squeeze = self.channels, self.expanded, self.squeeze
        pixels, pixels_out = self.side**2, (-(-self.side // self.stride)) ** 2
        expands, se, eca = expanded != channels, self.attention == _SE, self.attention == _ECA
        inputs, depthwise_out, out = channels * pixels, expanded * pixels_out, self.out * pixels_out
        expand_out = expands * expanded * pixels
        residual = self.residual * inputs
        depthwise, project = self.kernel**2 * expanded, expanded * self.out
        expand, attention = expands * channels * expanded, 2 * expanded * squeeze
        eca_weights = eca * _each(eca_kernel, expanded)
        macs = expand * pixels + (depthwise + project) * pixels_out + attention + eca_weights * expanded
        params = expand + depthwise + project + 2 * (expands * expanded + expanded + self.out)
        params += attention + squeeze + se * expanded + eca_weights
        elements = expand_out + depthwise_out + squeeze + (se | eca) * expanded + out
        peak = np.max(
            [
                expands * inputs + expand_out,
                np.where(expands, residual + expand_out, inputs) + depthwise_out,
                residual + depthwise_out + squeeze + (se + 2 * eca) * expanded,
                residual + depthwise_out + out,
            ],
            axis=0,
        )
        depth = 2 + expands + 2 * se + eca
        columns = (macs, params, BYTES_PER_ELEMENT * elements, BYTES_PER_ELEMENT * peak, depth)
        return np.stack(columns, axis=2) * self.exists[:, :, None]

    def terms(self) -> Array:
        """`n x 8`, in the order of `BlockTerms`."""
        columns = (
            self.exists,
            self.expanded + self.out,
            np.log(self.kernel),
            np.log(self.expanded / self.channels),
            self.attention == _SE,
            self.attention == _ECA,
            np.isin(self.activation, _SMOOTH),
            self.residual,
        )
        return np.column_stack([np.where(self.exists, column, 0.0).sum(1) for column in columns])

    @property
    def residual(self) -> Booleans:
        """Whether there is a residual."""
        residual: Booleans = (self.stride == 1) & (self.out == self.channels)
        return residual

    def codes(self) -> Integers:
        """A number for each block that holds all fields of `Block`."""
        codes = self.kernel
        for field, bits in (
            (self.stride, 2),
            (self.attention, 2),
            (self.activation, 2),
            (self.expanded, _BITS),
            (self.out, _BITS),
            (self.squeeze, _BITS),
        ):
            codes = codes << bits | field
        return codes


class NetworkSummer:
    """Computes the sums of networks of a space."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._column = {name: column for column, name in enumerate(space.all_choices)}
        self._genes = [self._column[gene.name] for gene in space.genes]
        self._stem_choices, self._head_choices = (
            [column for name, column in self._column.items() if name.startswith(prefix)]
            for prefix in ("stem.", "head.")
        )
        self._starts = np.cumsum([0, *(max(stage.depth) for stage in space.stages)])
        names = list(zip(*_block_choices(space), strict=True))
        self._block_columns = [np.array([self._column[name] for name in row]) for row in names]
        self._block_values = [
            _table(field, [space.all_choices[name] for name in row])
            for field, row in zip(_BLOCK_CHOICES, names, strict=True)
        ]
        self._stem = lru_cache(COST_CACHE_SIZE)(self._stem_sums)
        self._head = lru_cache(COST_CACHE_SIZE)(self._head_sums)

    def __call__(self, choices: Indices) -> NetworkSums:
        """Sums of networks from `n x g` indices of the choices of their genes."""
        full = np.zeros((len(choices), len(self._column)), dtype=np.int64)
        full[:, self._genes] = choices
        resolution = self._values("resolution_px", full)
        blocks, width, side = self._blocks(full, resolution)
        stems = [
            self._stem(*row) for row in np.column_stack([resolution, full[:, self._stem_choices]]).tolist()
        ]
        heads = [
            self._head(*row) for row in np.column_stack([width, side, full[:, self._head_choices]]).tolist()
        ]
        block_costs = blocks.costs()
        costs = np.concatenate(
            [[[cost] for _, cost in stems], block_costs, [[cost] for _, cost in heads]], axis=1
        )
        totals = costs.sum(1)
        totals[:, _PEAK] = costs[:, :, _PEAK].max(1)
        return NetworkSums(
            [
                stem + head + codes[exists].tobytes()
                for (stem, _), (head, _), codes, exists in zip(
                    stems, heads, blocks.codes(), blocks.exists, strict=True
                )
            ],
            totals,
            np.add.reduceat(block_costs[:, :, 0], self._starts[:-1], axis=1),
            blocks.terms(),
            np.column_stack([resolution, side, width]),
        )

    def _blocks(self, full: Integers, resolution: Integers) -> tuple[_Blocks, Integers, Integers]:
        """The blocks of networks, and `n` channels and sizes (px) of the last one's output."""
        count = self._starts[-1]
        expansion, *others = (
            values[np.arange(count), full[:, columns]]
            for columns, values in zip(self._block_columns, self._block_values, strict=True)
        )
        out, stride, kernel, attention, squeeze, activation = (each.astype(np.int64) for each in others)
        exists = np.zeros(out.shape, dtype=np.bool_)
        channels, sides = np.ones_like(out), np.ones_like(out)
        width, side = self._values("stem.out", full), -(-resolution // self._values("stem.stride", full))
        for number, (start, end) in enumerate(pairwise(self._starts.tolist()), start=1):
            depth = self._values(f"stage{number}.depth", full)
            exists[:, start:end] = np.arange(end - start) < depth[:, None]
            channels[:, start], sides[:, start] = width, side
            width = np.where(depth, out[:, start], width)
            side = np.where(depth, -(-side // stride[:, start]), side)
            channels[:, start + 1 : end], sides[:, start + 1 : end] = width[:, None], side[:, None]
            stride[:, start + 1 : end] = 1
        expanded = np.where(expansion == 1, channels, _each(make_divisible, channels * expansion))
        squeezed = np.zeros_like(channels)
        for number, width_of in enumerate(SQUEEZE_RULES.values()):
            used = (attention == _SE) & (squeeze == number)
            pairs = channels[used] << _BITS | expanded[used]
            squeezed[used] = _each(partial(_of_pair, width_of), pairs)
        blocks = _Blocks(
            exists, channels, sides, kernel, expanded, out, attention, activation, stride, squeezed
        )
        return blocks, width, side

    def _values(self, name: str, full: Integers) -> Integers:
        """`n` values of a choice that is a whole number."""
        return np.array(self.space.all_choices[name], dtype=np.int64)[full[:, self._column[name]]]

    def _stem_sums(self, resolution_px: int, *chosen: int) -> tuple[bytes, tuple[int, ...]]:
        """Identity and cost of a stem."""
        stem = Stem(*self._chosen("stem.", chosen))
        cost = stem_cost(stem, self.space.image_channels, resolution_px)
        return f"{resolution_px} {stem} ".encode(), astuple(cost)

    def _head_sums(self, channels: int, side: int, *chosen: int) -> tuple[bytes, tuple[int, ...]]:
        """Identity and cost of a head."""
        head = Head(*self._chosen("head.", chosen))
        return f"{head} ".encode(), astuple(head_cost(head, channels, side, self.space.classes))

    def _chosen(self, prefix: str, chosen: Sequence[int]) -> list[Any]:
        own = [choices for name, choices in self.space.all_choices.items() if name.startswith(prefix)]
        return [choices[choice] for choices, choice in zip(own, chosen, strict=True)]


def _block_choices(space: SearchSpace) -> list[list[str]]:
    """Names of the choices of each block, in the order of `_BLOCK_CHOICES`."""
    return [
        [
            f"stage{number}.{name}"
            if name in ("out", "stride", *stage.shared)
            else f"stage{number}.block{block}.{name}"
            for name in _BLOCK_CHOICES
        ]
        for number, stage in enumerate(space.stages, start=1)
        for block in range(1, max(stage.depth) + 1)
    ]


def _table(field: str, rows: Sequence[Sequence[Choice]]) -> Array:
    """Choices as numbers, one row a block, filled up with zeros; words become indices."""
    words = _CODED.get(field)
    table = np.zeros((len(rows), max(map(len, rows))))
    for filled, row in zip(table, rows, strict=True):
        filled[: len(row)] = [words.index(str(each)) for each in row] if words else row
    return table


def _of_pair(function: Callable[[int, int], int], pair: int) -> int:
    return function(pair >> _BITS, pair % 2**_BITS)


def _each(function: Callable[[Any], int], values: NDArray[Any]) -> Integers:
    """A function of every value, called once for equal ones."""
    different, inverse = np.unique(values.ravel(), return_inverse=True)
    results = np.array([function(value) for value in different.tolist()], dtype=np.int64)
    return results[inverse].reshape(values.shape)
