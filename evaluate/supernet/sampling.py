"""Sampling of the subnetworks for each supernet training step."""

import json
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from ...search_space import Choice, Genes, NoFeasibleNetworkError, SearchSpace, cost
from ...search_space.cost import format_count
from ...search_space.serialization.bounded_json import load_json
from .config import SupernetConfig

SANDWICH_RANDOM_SUBNETS = 2
_MAX_TRIES = 1000
_MAX_TRIES_PER_ROUND = 100
_MIN_FEASIBLE_FRACTION = 0.02


class SubnetSampler:
    """Samples the networks of each step by strategy and seed, within the MACs limit.

    Raises:
        NoFeasibleNetworkError: fewer than 2% of random networks are within the limit; names a feasible limit.
    """

    def __init__(self, space: SearchSpace, settings: SupernetConfig) -> None:
        self.space, self.strategy = space, settings.strategy
        self.max_macs = settings.max_macs or math.inf
        _require_feasible_fraction(space, self.max_macs)
        self._rng = random.Random(settings.seed)
        self._remaining: dict[str, list[Choice]] = {}
        self._extremes: tuple[Genes, ...] = ()
        if self.strategy == "sandwich":
            self._extremes = (largest_genes(space, self.max_macs, settings.seed), smallest_genes(space))

    def step(self) -> list[Genes]:
        """Genes of the networks of the next step; the first one is trained on the labels."""
        if self.strategy == "balanced":
            return [self._sample_balanced()]
        if self.strategy == "uniform":
            return [self._sample_uniform()]
        return [*self._extremes, *(self._sample_uniform() for _ in range(SANDWICH_RANDOM_SUBNETS))]

    def state(self) -> Tensor:
        """State of the sampler, `n` uint8."""
        _, rng_state, _ = self._rng.getstate()
        content = json.dumps({"random": rng_state, "remaining": self._remaining})
        return torch.tensor(list(content.encode()), dtype=torch.uint8)

    def restore(self, state: Tensor) -> None:
        """Restore a `state` of a sampler with the same space and settings."""
        content = load_json(bytes(state.tolist()))
        self._rng.setstate((3, tuple(content["random"]), None))
        self._remaining = content["remaining"]

    def _sample_feasible(self, draw: Callable[[], Genes], tries: int = _MAX_TRIES) -> Genes:
        for _ in range(tries):
            genes = draw()
            if _macs(self.space, genes) <= self.max_macs:
                return genes
        raise NoFeasibleNetworkError(
            f"none of {tries:,} random networks of space {self.space.name} has at most "
            f"{format_count(self.max_macs)} MACs; raise the limit"
        )

    def _sample_uniform(self) -> Genes:
        return self._sample_feasible(lambda: self.space.sample(self._rng))

    def _sample_balanced(self) -> Genes:
        """A random remaining choice of every gene; a round contains each choice of a gene once.

        A round that cannot be completed within the limit is abandoned. After FairNAS (Chu et al. 2021,
        arXiv 1907.01845), where a round is one step and all genes have equally many choices.
        """
        for _ in range(_MAX_TRIES // _MAX_TRIES_PER_ROUND):
            for gene in self.space.genes:
                if not self._remaining.get(gene.name):
                    self._remaining[gene.name] = list(gene.choices)
            try:
                genes = self._sample_feasible(self._sample_remaining, _MAX_TRIES_PER_ROUND)
            except NoFeasibleNetworkError:
                self._remaining = {}
                continue
            for name, choice in genes.items():
                self._remaining[name].remove(choice)
            return genes
        return self._sample_uniform()

    def _sample_remaining(self) -> Genes:
        return {name: self._rng.choice(remaining) for name, remaining in self._remaining.items()}


def smallest_genes(space: SearchSpace) -> Genes:
    """Local minimum of MACs: no change of a single gene reduces them."""
    genes: Genes = {gene.name: gene.choices[0] for gene in space.genes}
    while True:
        previous_macs = _macs(space, genes)
        for gene in space.genes:
            genes = min(
                ({**genes, gene.name: choice} for choice in gene.choices), key=lambda each: _macs(space, each)
            )
        if _macs(space, genes) == previous_macs:
            return genes


def largest_genes(space: SearchSpace, max_macs: float = math.inf, seed: int = 0) -> Genes:
    """Local maximum of MACs within the limit: no change of a single gene increases them.

    Starts from the smallest network and raises the genes in turn by the smallest step, which spreads the
    MACs over all genes.
    """
    genes, order = smallest_genes(space), list(space.genes)
    random.Random(seed).shuffle(order)
    changed = True
    while changed:
        changed = False
        for gene in order:
            current_macs = _macs(space, genes)
            steps = [(_macs(space, {**genes, gene.name: choice}), choice) for choice in gene.choices]
            steps = [(macs, choice) for macs, choice in steps if current_macs < macs <= max_macs]
            if steps:
                genes = {**genes, gene.name: min(steps, key=lambda step: step[0])[1]}
                changed = True
    return genes


def _macs(space: SearchSpace, genes: Genes) -> int:
    return cost(space.decode(genes)).macs


def _require_feasible_fraction(space: SearchSpace, max_macs: float) -> None:
    if max_macs == math.inf:
        return
    rng = random.Random(0)
    macs = sorted(_macs(space, space.sample(rng)) for _ in range(_MAX_TRIES))
    required_macs = macs[round(_MIN_FEASIBLE_FRACTION * _MAX_TRIES) - 1]
    if required_macs > max_macs:
        n_feasible = sum(each <= max_macs for each in macs)
        raise NoFeasibleNetworkError(
            f"only {n_feasible} of {_MAX_TRIES:,} random networks of space {space.name} have at most "
            f"{format_count(max_macs)} MACs, too few to train a supernet; "
            f"raise --max-macs to at least {required_macs} or narrow the space"
        )
