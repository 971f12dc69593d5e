"""Features of the networks of a space that lists them: size, resolution and what is known of the parent."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import NamedTuple

import numpy as np

from ...search_space import Cost, PretrainedSpace, cost
from ...search_space.choices import Choice
from ..statistics.arrays import Array, Indices
from .architecture_features import MACS
from .gene_features import GeneFeatures

FEATURES = (MACS, "log_params", "log_activation_bytes", "log_resolution", "imagenet_top1")


class ListedNetwork(NamedTuple):
    """A network with its encoding.

    Attributes:
        choices: `g` indices of the choices of the genes that the space lists it by.
        identity: its key, as bytes.
        features: `p`, in the order of `ListedNetworks.names`.
    """

    choices: Indices
    identity: bytes
    cost: Cost
    features: Array


@dataclass(frozen=True)
class ListedNetworks:
    """Encodings of the networks of a space, each computed once.

    A parent without a published accuracy gets the mean of the others.
    """

    space: PretrainedSpace
    genes: GeneFeatures

    @property
    def names(self) -> tuple[str, ...]:
        return (*FEATURES, *self.genes.names)

    def __call__(self, choices: Indices) -> list[ListedNetwork]:
        """Encodings of `n x g` indices of choices."""
        return [self._encode(tuple(own)) for own in choices.tolist()]

    def _encode(self, choices: tuple[int, ...]) -> ListedNetwork:
        if choices not in self._encoded:
            genes: Mapping[str, Choice] = {
                gene.name: gene.choices[choice]
                for gene, choice in zip(self.space.genes, choices, strict=True)
            }
            network = self.space.decode(genes)
            whole, listed = cost(network), self.genes.indices([self.space.encode(network)])
            assert network.fine_tuning
            features = [
                math.log(whole.macs),
                math.log(whole.params),
                math.log(whole.activation_bytes),
                math.log(network.resolution_px),
                self._top1[network.fine_tuning.parent],
            ]
            row = np.concatenate([features, self.genes.columns(listed)[0]])
            self._encoded[choices] = ListedNetwork(listed[0], network.key.encode(), whole, row)
        return self._encoded[choices]

    @cached_property
    def _encoded(self) -> dict[tuple[int, ...], ListedNetwork]:
        return {}

    @cached_property
    def _top1(self) -> dict[str, float]:
        known = {parent.name: parent.imagenet_top1 for parent in self.space.parents}
        mean = fmean([top1 for top1 in known.values() if top1 is not None] or [0.0])
        return {name: mean if top1 is None else top1 for name, top1 in known.items()}
