"""How many networks keep a limit, at most: a dynamic program over a space's cost graph."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .cost_graph import ADDITIVE, CostGraph, Floats, Integers

BUCKETS = 1000
SHARES = 8  # of the one limit and the other in a mixture of both
FINENESS = 1024  # of a mixture's weights, which are whole numbers


@dataclass(frozen=True, eq=False)
class Bound:
    """How many networks there are at most with a weighted sum of costs within a limit.

    Attributes:
        excess: by node, how far each step misses the least way on.
        slack: what the least network leaves of the limit.
        width: of a bucket; with 1 the bound is exact.
        most: by node and buckets left, how many ways on there are at most.
    """

    excess: list[Integers]
    slack: int
    width: int
    most: Floats

    @classmethod
    def of(cls, graph: CostGraph, weights: Integers, limit: int) -> "Bound | None":
        """None where no network stays within the limit."""
        least, excess = graph.least(weights)
        slack = limit - int(least[-1])
        if slack < 0:
            return None
        width = slack // BUCKETS + 1
        buckets = slack // width + 1
        most = np.zeros((len(graph.nodes), buckets))
        most[0] = 1
        for row, node, missed in zip(most[1:], graph.nodes[1:], excess[1:], strict=True):
            # only what is dearer than the least way on is rounded, so that a tight limit stays tight
            kept = missed <= slack
            steps = np.column_stack([node.after, missed // width])[kept]
            alike, which = np.unique(steps, axis=0, return_inverse=True)
            counts = np.bincount(which.ravel(), node.counts[kept])
            for (after, shift), count in zip(alike.tolist(), counts.tolist(), strict=True):
                row[shift:] += count * most[after, : buckets - shift]
        return cls(excess, slack, width, most)

    @property
    def total(self) -> float:
        return float(self.most[-1, -1])

    def beyond(self, number: int, after: Integers, left: int) -> tuple[Integers, Floats]:
        """What each step of a node leaves, and how many ways on there are at most behind it.

        Times the counts of the steps these add up to no more than the bound at the node itself.
        """
        rest = left - self.excess[number]
        ways = self.most[after, np.maximum(rest, 0) // self.width]
        return rest, np.where(rest >= 0, ways, 0)


def weights(by_quantity: Mapping[str, int]) -> Integers:
    """Weights in the order of `ADDITIVE`."""
    return np.array([by_quantity.get(name, 0) for name in ADDITIVE], np.int64)


def mixtures(limits: Mapping[str, int]) -> Iterator[tuple[Integers, int]]:
    """Limits on weighted sums that follow from the given ones: the first, mixtures of both, the last.

    Where two limits hold together, a mixture may leave far fewer networks than either.
    """
    shares: list[tuple[int, ...]] = [(1,) * len(limits)]
    if len(limits) == 2:
        shares = [(SHARES - part, part) for part in range(SHARES + 1)]
    largest = max(limits.values(), default=1)
    for parts in shares:
        given = zip(limits.items(), parts, strict=True)
        mixed = {name: round(FINENESS * part * largest / limit) for (name, limit), part in given}
        divisor = math.gcd(*mixed.values()) or 1
        mixed = {name: weight // divisor for name, weight in mixed.items()}
        yield weights(mixed), sum(weight * limits[name] for name, weight in mixed.items())
