"""Which networks are trained in each step of a supernet."""

import json
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from ...search_space import Choice, Genes, NoFeasibleNetworkError, SearchSpace, cost
from ..objectives import short_count
from .config import SupernetSettings

BESIDE_THE_ENDS = 2
_TRIES = 1000
_TRIES_A_ROUND = 100
_LEAST_SHARE = 0.02


class Drawing:
    """Networks within the limit on MACs, one step's after another's, by the strategy and the seed.

    Raises:
        NoFeasibleNetworkError: hardly any network keeps the limit; says what to relax.
    """

    def __init__(self, space: SearchSpace, settings: SupernetSettings) -> None:
        self.space, self.strategy = space, settings.strategy
        self.most_macs = settings.most_macs or math.inf
        _require_enough_within(space, self.most_macs)
        self._rng = random.Random(settings.seed)
        self._left: dict[str, list[Choice]] = {}
        self._ends: tuple[Genes, ...] = ()
        if self.strategy == "sandwich":
            self._ends = (largest(space, self.most_macs, settings.seed), smallest(space))

    def step(self) -> list[Genes]:
        """The networks of the next step, the largest one first."""
        if self.strategy == "balanced":
            return [self._balanced()]
        if self.strategy == "uniform":
            return [self._uniform()]
        return [*self._ends, *(self._uniform() for _ in range(BESIDE_THE_ENDS))]

    def state(self) -> Tensor:
        """What the next step follows from, `n` uint8."""
        _, numbers, _ = self._rng.getstate()
        words = json.dumps({"random": numbers, "left": self._left})
        return torch.tensor(list(words.encode()), dtype=torch.uint8)

    def restore(self, state: Tensor) -> None:
        """Go on from what `state` told, with the same space and settings."""
        words = json.loads(bytes(state.tolist()))
        self._rng.setstate((3, tuple(words["random"]), None))
        self._left = words["left"]

    def _within(self, draw: Callable[[], Genes], tries: int = _TRIES) -> Genes:
        for _ in range(tries):
            genes = draw()
            if _macs(self.space, genes) <= self.most_macs:
                return genes
        raise NoFeasibleNetworkError(
            f"none of {tries:,} networks drawn from space {self.space.name} stays under "
            f"{short_count(self.most_macs)} MACs; raise the limit"
        )

    def _uniform(self) -> Genes:
        return self._within(lambda: self.space.sample(self._rng))

    def _balanced(self) -> Genes:
        """Of every gene a choice that its round has left, at random; each round holds all choices once.

        A round that cannot go on within the limit is given up. After FairNAS (Chu et al. 2021,
        arXiv 1907.01845), whose rounds are one step, and whose genes have equally many choices.
        """
        for _ in range(_TRIES // _TRIES_A_ROUND):
            for gene in self.space.genes:
                if not self._left.get(gene.name):
                    self._left[gene.name] = list(gene.choices)
            try:
                genes = self._within(self._from_those_left, _TRIES_A_ROUND)
            except NoFeasibleNetworkError:
                self._left = {}
                continue
            for name, choice in genes.items():
                self._left[name].remove(choice)
            return genes
        return self._uniform()

    def _from_those_left(self) -> Genes:
        return {name: self._rng.choice(left) for name, left in self._left.items()}


def smallest(space: SearchSpace) -> Genes:
    """Genes of which no single one can be changed for fewer MACs."""
    genes: Genes = {gene.name: gene.choices[0] for gene in space.genes}
    while True:
        before = _macs(space, genes)
        for gene in space.genes:
            genes = min(
                ({**genes, gene.name: choice} for choice in gene.choices), key=lambda each: _macs(space, each)
            )
        if _macs(space, genes) == before:
            return genes


def largest(space: SearchSpace, most_macs: float = math.inf, seed: int = 0) -> Genes:
    """Genes of which no single one can be changed for more MACs within the limit.

    They grow from the smallest network gene by gene, each by the least step, so that none takes all.
    """
    genes, order = smallest(space), list(space.genes)
    random.Random(seed).shuffle(order)
    grown = True
    while grown:
        grown = False
        for gene in order:
            now = _macs(space, genes)
            steps = [(_macs(space, {**genes, gene.name: choice}), choice) for choice in gene.choices]
            steps = [(macs, choice) for macs, choice in steps if now < macs <= most_macs]
            if steps:
                genes = {**genes, gene.name: min(steps, key=lambda step: step[0])[1]}
                grown = True
    return genes


def _macs(space: SearchSpace, genes: Genes) -> int:
    return cost(space.decode(genes)).macs


def _require_enough_within(space: SearchSpace, most_macs: float) -> None:
    if most_macs == math.inf:
        return
    rng = random.Random(0)
    macs = sorted(_macs(space, space.sample(rng)) for _ in range(_TRIES))
    enough = macs[round(_LEAST_SHARE * _TRIES) - 1]
    if enough > most_macs:
        within = sum(each <= most_macs for each in macs)
        raise NoFeasibleNetworkError(
            f"{within} of {_TRIES:,} networks drawn from space {space.name} stay under "
            f"{short_count(most_macs)} MACs, too few to train a supernet on; "
            f"raise --max-macs to at least {enough}, or narrow the space"
        )
