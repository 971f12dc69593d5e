"""Uniform sampling of the networks within cost limits, and the cheapest networks of a space.

Uniform genes favour networks with many encodings and hardly ever satisfy a tight limit. Here a path of
the cost graph is sampled, which is one network: every edge in proportion to the number of feasible
completions. That number is an upper bound, because costs are rounded down to buckets; the excess is
rejected, and the draw starts again. Every feasible network has the same probability per attempt, one over
the bound at the root (up to floating-point rounding, about 1e-13 of it).

Most networks of a space are deep, and most feasible ones are close to the limit; so are the samples.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from ..architecture import Architecture
from ..choices import Genes
from ..errors import NoFeasibleNetworkError, SpaceError
from ..space import SearchSpace
from .cost_graph import CostGraph, Integers, cost_graph
from .dynamic_program import CountUpperBound, aggregated_limits, weight_vector

AdditiveCost = Literal["macs", "params", "activation_bytes", "depth"]

# In the presets at least a tenth of the attempts succeed under all limits tried; at one in a hundred,
# the probability that all attempts fail is 0.99 ** 10_000 = 2e-44.
MAX_ATTEMPTS = 10_000
QUANTITY_NAMES = {"macs": "MACs", "params": "parameters"}


@dataclass(frozen=True, eq=False)
class UniformArchitectureSampler:
    """Uniform sampler of the feasible networks of a space.

    Attributes:
        count_upper_bound: upper bound of their number; exact without limits.
    """

    space: SearchSpace
    limits: Mapping[str, float]
    count_upper_bound: float
    _graph: CostGraph = field(repr=False)
    _bounds: tuple[CountUpperBound, ...] = field(repr=False)

    @classmethod
    @lru_cache(maxsize=8)
    def of(
        cls, space: SearchSpace, max_macs: float | None = None, max_params: float | None = None
    ) -> "UniformArchitectureSampler":
        """Built once per space and limits, in some seconds for the largest preset.

        Raises:
            NoFeasibleNetworkError: no network satisfies the limits; names the smallest network if a
                single limit is infeasible.
            SpaceError: the space has more than 1e308 networks, too many for floating point.
        """
        requested = {"macs": max_macs, "params": max_params}
        limits = {name: limit for name, limit in requested.items() if limit is not None}
        graph = cost_graph(space)
        binding_limits: dict[str, int] = {}
        for name, limit in limits.items():
            smallest, largest = _cost_range(graph, name)
            if limit < smallest:
                raise NoFeasibleNetworkError(
                    f"no network of space {space.name} stays under {_limits_text({name: limit})}; "
                    f"the smallest has {smallest:,}"
                )
            if limit < largest:
                binding_limits[name] = math.floor(limit)
        bounds: list[CountUpperBound] = []
        with np.errstate(over="ignore"):
            for mixed_weights, limit in aggregated_limits(binding_limits):
                bound = CountUpperBound.of(graph, mixed_weights, limit)
                if bound is None:
                    raise NoFeasibleNetworkError(
                        f"no network of space {space.name} stays under {_limits_text(limits)} together"
                    )
                bounds.append(bound)
        tightest = min(bounds, key=lambda bound: bound.total)
        if math.isinf(tightest.total):
            raise SpaceError(f"space {space.name} has more than 1e308 networks: too many to sample uniformly")
        # the first and the last bound are the limits themselves
        cumulative = tuple(dict.fromkeys((bounds[0], bounds[-1], tightest)))
        return cls(space, limits, tightest.total, graph, cumulative)

    def sample(self, rng: random.Random) -> Genes:
        """Genes of a feasible network; inactive genes have their first choice.

        Raises:
            NoFeasibleNetworkError: no attempt satisfied both limits.
        """
        return self.space.encode(self.sample_architecture(rng))

    def sample_architecture(self, rng: random.Random) -> Architecture:
        """A feasible network; ten times as fast as `sample`.

        Raises:
            NoFeasibleNetworkError: no attempt satisfied both limits.
        """
        for _ in range(MAX_ATTEMPTS):
            steps = self._sample_path(rng)
            if steps is not None:
                return self._graph.decode_path(steps, rng.choice)
        raise NoFeasibleNetworkError(
            f"no network of space {self.space.name} was found under {_limits_text(self.limits)} together, "
            f"in {MAX_ATTEMPTS:,} attempts"
        )

    def _sample_path(self, rng: random.Random) -> list[int] | None:
        """Edge indices of a path; None if it was rejected."""
        nodes = self._graph.nodes
        number, current_bound = len(nodes) - 1, self.count_upper_bound
        slack_left = [bound.slack for bound in self._bounds]
        steps: list[int] = []
        while number:
            successors = nodes[number].successors
            successor_bounds = [
                bound.successor_bounds(number, successors, slack)
                for bound, slack in zip(self._bounds, slack_left, strict=True)
            ]
            completions = np.minimum.reduce([upper_bounds for _, upper_bounds in successor_bounds])
            cumulative = np.cumsum(nodes[number].multiplicities * completions)
            step = int(np.searchsorted(cumulative, rng.random() * current_bound, side="right"))
            if step == len(successors):
                return None
            steps.append(step)
            slack_left = [int(remaining_slack[step]) for remaining_slack, _ in successor_bounds]
            number, current_bound = int(successors[step]), float(completions[step])
        return steps


def smallest_architecture(space: SearchSpace, quantity: AdditiveCost) -> Architecture:
    """The network with the exact minimum of a quantity; the first of several."""
    return _min_cost_architecture(cost_graph(space), weight_vector({quantity: 1}))


def smallest_architectures(space: SearchSpace, limits: Mapping[str, float]) -> list[Architecture]:
    """The networks with the minimum of each limited quantity and of their mixtures."""
    graph = cost_graph(space)
    integer_limits = {
        name: max(1, math.floor(min(limit, _cost_range(graph, name)[1]))) for name, limit in limits.items()
    }
    return list(
        dict.fromkeys(
            _min_cost_architecture(graph, mixed_weights)
            for mixed_weights, _ in aggregated_limits(integer_limits)
        )
    )


def _min_cost_architecture(graph: CostGraph, weight_vector: Integers) -> Architecture:
    _, reduced_costs = graph.min_cost_to_go(weight_vector)
    steps: list[int] = []
    number = len(graph.nodes) - 1
    while number:
        steps.append(int(reduced_costs[number].argmin()))
        number = int(graph.nodes[number].successors[steps[-1]])
    return graph.decode_path(steps, lambda choices: choices[0])


def _cost_range(graph: CostGraph, quantity: str) -> tuple[int, int]:
    """Minimum and maximum of a quantity in the space."""
    unit_weights = weight_vector({quantity: 1})
    return int(graph.min_cost_to_go(unit_weights)[0][-1]), -int(graph.min_cost_to_go(-unit_weights)[0][-1])


def _limits_text(limits: Mapping[str, float]) -> str:
    return " and ".join(f"{limit:,.0f} {QUANTITY_NAMES[name]}" for name, limit in limits.items())
