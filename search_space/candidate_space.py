"""What all spaces have in common: genes, which are choices by name, and the networks that they select."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Self

from .architecture import Architecture
from .choices import Choice, Gene, Genes, join_values
from .errors import SpaceError


class CandidateSpace(ABC):
    """The networks that a search chooses from.

    A gene is a choice with more than one value. Different genes may give the same network: compare
    `Architecture`s, not genes.

    Attributes:
        resolution_px: sides of the images, in ascending order or not.
    """

    name: str
    resolution_px: tuple[int, ...]
    image_channels: int
    classes: int

    @property
    @abstractmethod
    def all_choices(self) -> Mapping[str, tuple[Choice, ...]]:
        """All choices by name, including those with a single value."""

    @abstractmethod
    def decode(self, genes: Mapping[str, Choice]) -> Architecture:
        """The network that these genes select.

        Raises:
            SpaceError: a gene is missing, unknown or has a value outside its choices.
        """

    @abstractmethod
    def encode(self, architecture: Architecture) -> Genes:
        """Genes that decode to this network; inactive genes have their first choice.

        Raises:
            SpaceError: the network is not in the space.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """Exact number of different networks."""

    @abstractmethod
    def for_data(self, image_channels: int, classes: int) -> Self:
        """The same space for data with other channels and classes."""

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """The free choices, in the order of the network."""
        return tuple(Gene(name, choices) for name, choices in self.all_choices.items() if len(choices) > 1)

    def with_fixed_choices(self, genes: Mapping[str, Choice]) -> Genes:
        """All choices by name, with the fixed ones filled in.

        Raises:
            SpaceError: a gene is missing, unknown or has a value outside its choices.
        """
        free = {gene.name for gene in self.genes}
        for name in genes:
            if name not in free:
                raise SpaceError(f"space {self.name}: unknown gene {name}")
        full: Genes = {}
        for name, choices in self.all_choices.items():
            if name in free and name not in genes:
                raise SpaceError(
                    f"space {self.name}: gene {name} is missing; its choices are {join_values(choices)}"
                )
            value = genes.get(name, choices[0])
            if value not in choices or type(value) is not type(choices[choices.index(value)]):
                raise SpaceError(f"space {self.name}: {name} must be {join_values(choices)}, got {value}")
            full[name] = value
        return full

    def is_active(self, gene: str, genes: Mapping[str, Choice]) -> bool:
        """Whether the block or stage of a gene exists; inactive genes do not change the network."""
        return True

    def contains(self, architecture: Architecture) -> bool:
        """Whether the network is a point of the space."""
        try:
            self.encode(architecture)
        except SpaceError:
            return False
        return True

    def sample(self, rng: random.Random) -> Genes:
        """Genes drawn uniformly and independently (networks are not equally likely)."""
        return {gene.name: rng.choice(gene.choices) for gene in self.genes}

    def mutate(self, genes: Mapping[str, Choice], rng: random.Random) -> Genes:
        """Genes of a different network, with one gene changed.

        Raises:
            SpaceError: no change of one gene gives another network.
        """
        before = self.decode(genes)
        for mutant in self.neighbours(genes, rng):
            if self.decode(mutant) != before:
                return mutant
        raise SpaceError(f"space {self.name}: no change of one gene gives another network")

    def neighbours(self, genes: Mapping[str, Choice], rng: random.Random) -> Iterator[Genes]:
        """All genes at Hamming distance 1, in random order."""
        changes = [(g.name, c) for g in self.genes for c in g.choices if c != genes[g.name]]
        rng.shuffle(changes)
        for name, choice in changes:
            yield {**genes, name: choice}

    def crossover(
        self, parent_a: Mapping[str, Choice], parent_b: Mapping[str, Choice], rng: random.Random
    ) -> Genes:
        """Uniform crossover: every gene from either parent with equal probability."""
        return {gene.name: rng.choice((parent_a, parent_b))[gene.name] for gene in self.genes}
