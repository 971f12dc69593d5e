"""Sampling and cheapest networks of a space that lists its candidates, and of any space by the same calls."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..architecture import Architecture
from ..candidate_space import CandidateSpace
from ..choices import Genes
from ..cost import cost, training_macs
from ..errors import NoFeasibleNetworkError
from ..pretrained_space import PretrainedSpace
from ..space import SearchSpace
from . import uniform_sampling
from .uniform_sampling import AdditiveCost, UniformArchitectureSampler


class ArchitectureSampler(Protocol):
    """Samples networks within limits uniformly."""

    def sample(self, rng: random.Random) -> Genes: ...

    def sample_architecture(self, rng: random.Random) -> Architecture: ...


@dataclass(frozen=True, eq=False)
class EnumeratedSampler:
    """Uniform sampler of listed networks, at least one."""

    space: PretrainedSpace
    networks: Sequence[Architecture]

    def sample(self, rng: random.Random) -> Genes:
        return self.space.encode(self.sample_architecture(rng))

    def sample_architecture(self, rng: random.Random) -> Architecture:
        return rng.choice(self.networks)


def architecture_sampler(
    space: CandidateSpace, limits: Mapping[str, float], max_training_macs: float = math.inf
) -> ArchitectureSampler:
    """Uniform sampler of the networks within limits on MACs and parameters.

    Args:
        max_training_macs: limit on `training_macs`, too.
    Raises:
        NoFeasibleNetworkError: no network satisfies the limits.
    """
    if isinstance(space, SearchSpace):  # trains all of a network, which takes three times its MACs
        macs = min(limits.get("macs", math.inf), max_training_macs / 3)
        return UniformArchitectureSampler.of(space, macs if macs < math.inf else None, limits.get("params"))
    networks = [
        network for network in networks_within(space, limits) if training_macs(network) <= max_training_macs
    ]
    if not networks:
        raise NoFeasibleNetworkError(f"no network of space {space.name} satisfies the limits")
    assert isinstance(space, PretrainedSpace)
    return EnumeratedSampler(space, networks)


def networks_within(space: CandidateSpace, limits: Mapping[str, float]) -> list[Architecture]:
    """All networks of a listed space within limits on MACs and parameters."""
    assert isinstance(space, PretrainedSpace)
    return [
        network
        for network in space.candidates
        if all(getattr(cost(network), name) <= limit for name, limit in limits.items())
    ]


def smallest_architecture(space: CandidateSpace, quantity: AdditiveCost) -> Architecture:
    """The network with the exact minimum of a quantity; the first of several."""
    if isinstance(space, SearchSpace):
        return uniform_sampling.smallest_architecture(space, quantity)
    return min(networks_within(space, {}), key=lambda network: int(getattr(cost(network), quantity)))


def smallest_architectures(space: CandidateSpace, limits: Mapping[str, float]) -> list[Architecture]:
    """The networks with the minimum of each limited quantity; of a `SearchSpace` of their mixtures, too."""
    if isinstance(space, SearchSpace):
        return uniform_sampling.smallest_architectures(space, limits)
    networks = networks_within(space, {})
    return list(
        dict.fromkeys(min(networks, key=lambda network: getattr(cost(network), name)) for name in limits)
    )
