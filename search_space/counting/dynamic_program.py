"""How many networks keep a limit, at most: a dynamic program over a space's cost graph."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .cost_graph import ADDITIVE_COSTS, CostGraph, Floats, Integers

BUCKETS = 1000
MIXTURE_STEPS = 8  # of the one limit and the other in a mixture of both
WEIGHT_RESOLUTION = 1024  # of a mixture's weights, which are whole numbers


@dataclass(frozen=True, eq=False)
class CountUpperBound:
    """How many networks there are at most with a weighted sum of costs within a limit.

    Attributes:
        reduced_costs: by node, how far each step misses the least way on.
        slack: what the least network leaves of the limit.
        bucket_width: of a bucket; with 1 the bound is exact.
        upper_bounds: by node and buckets left, how many ways on there are at most.
    """

    reduced_costs: list[Integers]
    slack: int
    bucket_width: int
    upper_bounds: Floats

    @classmethod
    def of(cls, graph: CostGraph, weight_vector: Integers, limit: int) -> "CountUpperBound | None":
        """None where no network stays within the limit."""
        min_cost_to_go, reduced_costs = graph.min_cost_to_go(weight_vector)
        slack = limit - int(min_cost_to_go[-1])
        if slack < 0:
            return None
        bucket_width = slack // BUCKETS + 1
        buckets = slack // bucket_width + 1
        upper_bounds = np.zeros((len(graph.nodes), buckets))
        upper_bounds[0] = 1
        for row, node, edge_reduced_costs in zip(
            upper_bounds[1:], graph.nodes[1:], reduced_costs[1:], strict=True
        ):
            # only what is dearer than the least way on is rounded, so that a tight limit stays tight
            feasible = edge_reduced_costs <= slack
            edges = np.column_stack([node.successors, edge_reduced_costs // bucket_width])[feasible]
            unique_edges, inverse = np.unique(edges, axis=0, return_inverse=True)
            multiplicities = np.bincount(inverse.ravel(), node.multiplicities[feasible])
            for (successors, bucket_shift), count in zip(
                unique_edges.tolist(), multiplicities.tolist(), strict=True
            ):
                row[bucket_shift:] += count * upper_bounds[successors, : buckets - bucket_shift]
        return cls(reduced_costs, slack, bucket_width, upper_bounds)

    @property
    def total(self) -> float:
        return float(self.upper_bounds[-1, -1])

    def successor_bounds(self, number: int, successors: Integers, slack_left: int) -> tuple[Integers, Floats]:
        """What each step of a node leaves, and how many ways on there are at most behind it.

        Times the counts of the steps these add up to no more than the bound at the node itself.
        """
        remaining_slack = slack_left - self.reduced_costs[number]
        completions = self.upper_bounds[successors, np.maximum(remaining_slack, 0) // self.bucket_width]
        return remaining_slack, np.where(remaining_slack >= 0, completions, 0)


def weight_vector(by_quantity: Mapping[str, int]) -> Integers:
    """Weights in the order of `ADDITIVE_COSTS`."""
    return np.array([by_quantity.get(name, 0) for name in ADDITIVE_COSTS], np.int64)


def aggregated_limits(limits: Mapping[str, int]) -> Iterator[tuple[Integers, int]]:
    """Limits on weighted sums that follow from the given ones: the first, mixtures of both, the last.

    Where two limits hold together, a mixture may leave far fewer networks than either.
    """
    shares: list[tuple[int, ...]] = [(1,) * len(limits)]
    if len(limits) == 2:
        shares = [(MIXTURE_STEPS - part, part) for part in range(MIXTURE_STEPS + 1)]
    largest = max(limits.values(), default=1)
    for parts in shares:
        weighted_limits = zip(limits.items(), parts, strict=True)
        mixed_weights = {
            name: round(WEIGHT_RESOLUTION * part * largest / limit) for (name, limit), part in weighted_limits
        }
        divisor = math.gcd(*mixed_weights.values()) or 1
        mixed_weights = {name: weight // divisor for name, weight in mixed_weights.items()}
        yield (
            weight_vector(mixed_weights),
            sum(weight * limits[name] for name, weight in mixed_weights.items()),
        )
