"""Upper bound of the number of networks within a limit: a dynamic program over the cost graph."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .cost_graph import ADDITIVE_COSTS, CostGraph, Floats, Integers

BUCKETS = 1000
MIXTURE_STEPS = 8  # mixtures of two limits that are tried
WEIGHT_RESOLUTION = 1024  # scale of the integer weights of a mixture


@dataclass(frozen=True, eq=False)
class CountUpperBound:
    """Upper bound of the number of networks whose weighted cost is within a limit.

    Attributes:
        reduced_costs: by node, excess of each edge over the minimum cost to go.
        slack: limit minus the cost of the cheapest network.
        bucket_width: width of a cost bucket; the bound is exact if it is 1.
        upper_bounds: `nodes x buckets left`, bound of the number of completions.
    """

    reduced_costs: list[Integers]
    slack: int
    bucket_width: int
    upper_bounds: Floats

    @classmethod
    def of(cls, graph: CostGraph, weight_vector: Integers, limit: int) -> "CountUpperBound | None":
        """None if no network is within the limit."""
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
            # only the reduced cost is rounded, so that a tight limit stays tight
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
        """Slack left after each edge of a node, and the bound of the completions behind it.

        Weighted by multiplicity, these bounds add up to at most the bound of the node.
        """
        remaining_slack = slack_left - self.reduced_costs[number]
        completions = self.upper_bounds[successors, np.maximum(remaining_slack, 0) // self.bucket_width]
        return remaining_slack, np.where(remaining_slack >= 0, completions, 0)


def weight_vector(by_quantity: Mapping[str, int]) -> Integers:
    """Weights in the order of `ADDITIVE_COSTS`."""
    return np.array([by_quantity.get(name, 0) for name in ADDITIVE_COSTS], np.int64)


def aggregated_limits(limits: Mapping[str, int]) -> Iterator[tuple[Integers, int]]:
    """Limits on weighted sums that the given limits imply: the first, mixtures of both, the last.

    A mixture of two limits may exclude far more networks than either alone.
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
