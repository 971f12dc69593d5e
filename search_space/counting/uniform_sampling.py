"""Networks within limits on cost, each as likely as any other, and the least networks of a space.

Genes drawn evenly favour networks that many genes name, and hardly ever keep a tight limit. Here a path
of the space's cost graph is drawn, which is one network: each step as often as networks within the
limits go on from it. How many do is known as an upper bound, for costs are rounded down to buckets;
what the bound promised too much is refused, and the draw begins again. So in an attempt every network
within the limits has the same chance, one over the bound at the root (up to the rounding of floating
point, some 1e-13 of it).

Most networks of a space are deep, and most within a limit are near to it: so are those drawn.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from ..architecture import Architecture
from ..errors import NoFeasibleNetworkError, SpaceError
from ..space import Genes, SearchSpace
from .cost_graph import CostGraph, Integers, cost_graph
from .dynamic_program import Bound, mixtures, weights

Additive = Literal["macs", "params", "activation_bytes", "depth"]

# In the presets a tenth of the attempts or more gave a network, under all limits that were tried;
# where one in a hundred does, all of these fail with a chance of 0.99 ** 10_000 = 2e-44.
ATTEMPTS = 10_000
WORDS = {"macs": "MACs", "params": "parameters"}


@dataclass(frozen=True, eq=False)
class UniformDraws:
    """The networks of a space within limits, to be drawn from.

    Attributes:
        at_most: a bound of their number; without limits the number itself.
    """

    space: SearchSpace
    limits: Mapping[str, float]
    at_most: float
    _graph: CostGraph = field(repr=False)
    _bounds: tuple[Bound, ...] = field(repr=False)

    @classmethod
    @lru_cache(maxsize=8)
    def of(
        cls, space: SearchSpace, max_macs: float | None = None, max_params: float | None = None
    ) -> "UniformDraws":
        """Made once for each space and limits, in some seconds for the largest preset.

        Raises:
            NoFeasibleNetworkError: no network keeps the limits; names the smallest there is, where a
                limit cannot be kept alone.
            SpaceError: the networks are more than floating point can count, 1e308.
        """
        given = {"macs": max_macs, "params": max_params}
        limits = {name: limit for name, limit in given.items() if limit is not None}
        graph = cost_graph(space)
        binding: dict[str, int] = {}
        for name, limit in limits.items():
            smallest, largest = _range(graph, name)
            if limit < smallest:
                raise NoFeasibleNetworkError(
                    f"no network of space {space.name} stays under {_worded({name: limit})}; "
                    f"the smallest has {smallest:,}"
                )
            if limit < largest:
                binding[name] = math.floor(limit)
        bounds: list[Bound] = []
        with np.errstate(over="ignore"):
            for mixed, limit in mixtures(binding):
                bound = Bound.of(graph, mixed, limit)
                if bound is None:
                    raise NoFeasibleNetworkError(
                        f"no network of space {space.name} stays under {_worded(limits)} together"
                    )
                bounds.append(bound)
        tightest = min(bounds, key=lambda bound: bound.total)
        if math.isinf(tightest.total):
            raise SpaceError(f"space {space.name} has more than 1e308 networks: too many to draw from evenly")
        # the first and the last are the limits themselves
        kept = tuple(dict.fromkeys((bounds[0], bounds[-1], tightest)))
        return cls(space, limits, tightest.total, graph, kept)

    def draw(self, rng: random.Random) -> Genes:
        """Genes of a network; those without effect have their first choice.

        Raises:
            NoFeasibleNetworkError: as good as no network keeps both limits.
        """
        return self.space.encode(self.draw_network(rng))

    def draw_network(self, rng: random.Random) -> Architecture:
        """A network; ten times as quick as its genes.

        Raises:
            NoFeasibleNetworkError: as good as no network keeps both limits.
        """
        for _ in range(ATTEMPTS):
            steps = self._attempt(rng)
            if steps is not None:
                return self._graph.spell(steps, rng.choice)
        raise NoFeasibleNetworkError(
            f"no network of space {self.space.name} was found under {_worded(self.limits)} together, "
            f"in {ATTEMPTS:,} attempts"
        )

    def _attempt(self, rng: random.Random) -> list[int] | None:
        """The steps of a path; None where it left the limits."""
        nodes = self._graph.nodes
        number, promised = len(nodes) - 1, self.at_most
        left = [bound.slack for bound in self._bounds]
        steps: list[int] = []
        while number:
            after = nodes[number].after
            beyond = [
                bound.beyond(number, after, slack) for bound, slack in zip(self._bounds, left, strict=True)
            ]
            ways = np.minimum.reduce([most for _, most in beyond])
            kept = np.cumsum(nodes[number].counts * ways)
            step = int(np.searchsorted(kept, rng.random() * promised, side="right"))
            if step == len(after):
                return None
            steps.append(step)
            left = [int(rest[step]) for rest, _ in beyond]
            number, promised = int(after[step]), float(ways[step])
        return steps


def least(space: SearchSpace, quantity: Additive) -> Architecture:
    """The network of a space with the least of a quantity, exactly; the first one of several."""
    return _least(cost_graph(space), weights({quantity: 1}))


def nearest(space: SearchSpace, limits: Mapping[str, float]) -> list[Architecture]:
    """The networks that are least by the limited quantities, alone and mixed as their limits are."""
    graph = cost_graph(space)
    wholes = {name: max(1, math.floor(min(limit, _range(graph, name)[1]))) for name, limit in limits.items()}
    return list(dict.fromkeys(_least(graph, mixed) for mixed, _ in mixtures(wholes)))


def _least(graph: CostGraph, weights: Integers) -> Architecture:
    _, excess = graph.least(weights)
    steps: list[int] = []
    number = len(graph.nodes) - 1
    while number:
        steps.append(int(excess[number].argmin()))
        number = int(graph.nodes[number].after[steps[-1]])
    return graph.spell(steps, lambda choices: choices[0])


def _range(graph: CostGraph, quantity: str) -> tuple[int, int]:
    """The least and the most of a quantity in the space."""
    alone = weights({quantity: 1})
    return int(graph.least(alone)[0][-1]), -int(graph.least(-alone)[0][-1])


def _worded(limits: Mapping[str, float]) -> str:
    return " and ".join(f"{limit:,.0f} {WORDS[name]}" for name, limit in limits.items())
