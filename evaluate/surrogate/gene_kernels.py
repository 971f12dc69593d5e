"""What a network's genes and sizes tell of its accuracy, as covariances between networks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..statistics.reliability import Array
from .architecture_features import MACS
from .gene_features import part_of

SIZES, BEND, GENES, WHOLE = "sizes", "bend", "genes", "whole"
PART = "part "  # begins the name of what the genes of one part of a network tell
SIZE_NAMES = (MACS, "log_params", "log_activation_bytes")

_MOST = 3.0
_LEAST = 1e-9  # what is less is rounding
_WIDE = 2.0  # length of the smooth function of all genes, in deviations


@dataclass(frozen=True, eq=False)
class GenePlaces:
    """Networks where the model sees them; all columns scaled.

    Attributes:
        sizes: `n x 3` logarithms of MACs, parameters and activation bytes.
        parts: `n x g` genes of each part of a network, by its name: resolution, stem, every stage, head.
    """

    sizes: Array
    parts: Mapping[str, Array]

    @property
    def count(self) -> int:
        """Of all columns of genes."""
        return sum(genes.shape[1] for genes in self.parts.values())


@dataclass(frozen=True, eq=False)
class Spread:
    """Some columns less their mean, over their deviation.

    Attributes:
        places: of the columns.
        centre, scale: of each.
    """

    places: tuple[int, ...]
    centre: Array
    scale: Array

    @classmethod
    def of(cls, places: Sequence[int], features: Array) -> "Spread":
        """As the trained networks lie; columns that are constant stay 0."""
        columns = features[:, places]
        centre, scale = columns.mean(0), columns.std(0)
        return cls(tuple(places), centre, np.where(scale > _LEAST * np.abs(centre), scale, np.inf))

    def even(self, features: Array) -> Array:
        """What lies far outside counts as at the edge."""
        found: Array = np.clip((features[:, self.places] - self.centre) / self.scale, -_MOST, _MOST)
        return found


@dataclass(frozen=True, eq=False)
class GeneScaling:
    """From columns in their units to `GenePlaces`."""

    sizes: Spread
    parts: Mapping[str, Spread]

    @classmethod
    def of(cls, names: Sequence[str], features: Array) -> "GeneScaling | None":
        """As the trained networks lie; None where no column is a gene's."""
        parts: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            if part := part_of(name):
                parts.setdefault(part, []).append(place)
        if not parts:
            return None
        sizes = [place for place, name in enumerate(names) if name in SIZE_NAMES]
        own = {part: Spread.of(places, features) for part, places in parts.items()}
        return cls(Spread.of(sizes, features), own)

    def places(self, features: Array) -> GenePlaces:
        return GenePlaces(
            self.sizes.even(features), {name: part.even(features) for name, part in self.parts.items()}
        )


def gene_covariances(one: GenePlaces, other: GenePlaces) -> dict[str, Array]:
    """`n x m` between two groups of networks for each part at variance 1.

    Straight lines and a smooth function of the sizes; straight lines in all genes and a smooth function of
    them; for each part a smooth function of its genes, for what a choice does depends most on the other
    choices of its stage, and some stages matter more than others.
    """
    pairs = {name: (mine, other.parts[name]) for name, mine in one.parts.items()}
    apart = {name: _squares(mine, theirs) for name, (mine, theirs) in pairs.items()}
    width = one.sizes.shape[1]
    return {
        SIZES: one.sizes @ other.sizes.T / width,
        BEND: np.exp(-_squares(one.sizes, other.sizes) / (2 * width)),
        GENES: added(mine @ theirs.T for mine, theirs in pairs.values()) / one.count,
        WHOLE: np.exp(-added(apart.values()) / (2 * _WIDE**2 * one.count)),
        **{PART + name: np.exp(-each / (2 * one.parts[name].shape[1])) for name, each in apart.items()},
    }


def added(tables: Iterable[Array]) -> Array:
    """The sum of tables of one shape, at least one, without a copy of them all."""
    first, *others = tables
    found = first.copy()
    for table in others:
        found += table
    return found


def _squares(one: Array, other: Array) -> Array:
    """`n x m` squared distances."""
    found: Array = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.maximum(found, 0)
