"""Scores from an untrained network and one batch of training images, in a fraction of a second.

| scorer | asks of an activation | h-swish and SiLU beside ReLU | ReLU6 |
| --- | --- | --- | --- |
| `naswot` | a side that is on | compare; regions of linearity with ReLU alone | its upper bend unseen |
| `jacob_cov` | a derivative | compare; constant in a region with ReLU alone | compares |
| `grad_norm`, `snip`, `zico` | a derivative | compare | compares |
| `synflow` | `f(ax) = a f(x)` for `a > 0` | compare; nearly so for large `x` | undefined |

ReLU6 passes no gradient above 6, which the ones of `synflow` exceed after a few layers: what is left tells
of the classifier. Gates of attention have no code in `naswot`, and soon stand at 1 in `synflow`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Generator, Tensor, nn

from ...search_space import Architecture, ScorerError
from ...search_space.architecture import Activation
from ..training.train import seeded_network
from . import EvaluationContext, Score, proxies

_MIN_IMAGES = 4


@dataclass(frozen=True)
class Proxy:
    """A zero-cost proxy and how it is asked.

    Attributes:
        compute: the network, images and labels.
        images: in its batch.
        initialisations: that its value is the mean over.
        caveat: what to bear in mind when networks are compared by it.
        unsupported_activations: activations it has no meaning for.
    """

    compute: Callable[[nn.Module, Tensor, Tensor], float]
    images: int = 64
    initialisations: int = 1
    caveat: str = ""
    unsupported_activations: tuple[Activation, ...] = ()


_DEPTH_CAVEAT = "a sum over layers: compares networks of equal depth best"
PROXIES = {
    "naswot": Proxy(
        proxies.naswot,
        initialisations=3,
        caveat="the codes tell linear regions with ReLU alone; of other activations, which units are on",
    ),
    "jacob_cov": Proxy(
        proxies.jacob_cov,
        images=32,
        caveat="made for ReLU, whose gradient is constant in a region; "
        "with other activations it is that at the image",
    ),
    "grad_norm": Proxy(proxies.grad_norm, caveat=_DEPTH_CAVEAT),
    "snip": Proxy(proxies.snip, caveat=_DEPTH_CAVEAT),
    "synflow": Proxy(
        proxies.synflow,
        caveat="made for ReLU, which is homogeneous; h-swish and SiLU are nearly so for large inputs alone, "
        "and the value grows with depth",
        unsupported_activations=("relu6",),
    ),
    "zico": Proxy(proxies.zico, caveat=_DEPTH_CAVEAT),
}


@dataclass(frozen=True)
class ZeroCostScorer:
    """A proxy, asked with initial weights and training images that follow from the seed.

    Networks of one seed are shown the same images, at the resolution of each.
    """

    name: str
    context: EvaluationContext

    @property
    def caveat(self) -> str:
        """What to bear in mind when networks are compared by it."""
        return PROXIES[self.name].caveat

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        proxy = PROXIES[self.name]
        if unsupported := activations(architecture).intersection(proxy.unsupported_activations):
            names = ", ".join(sorted(unsupported))
            raise ScorerError(
                f"{self.name} is undefined for {names}, which network {architecture.key} has; "
                "choose another scorer, or a space without it"
            )
        images, labels = self._batch(architecture.resolution_px, proxy.images, seed)
        first_seed = seed * proxy.initialisations
        seeds = range(first_seed, first_seed + proxy.initialisations)
        value = fmean(proxy.compute(self._network(architecture, each), images, labels) for each in seeds)
        if not math.isfinite(value):
            raise ScorerError(
                f"{self.name} of network {architecture.key} is {value} with seed {seed}; "
                "choose another scorer, or another seed"
            )
        return Score(value, time.process_time() - start)

    def _batch(self, resolution_px: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Training images as they are, at random."""
        data = self.context.data
        if data.count("train") < _MIN_IMAGES:
            n_train = data.count("train")
            raise ScorerError(
                f"{self.name} needs at least {_MIN_IMAGES} training images, {data.name} has {n_train}"
            )
        chosen = torch.randperm(data.count("train"), generator=Generator().manual_seed(seed))[:count]
        # Only these are resized, not the whole split.
        images, labels = next(iter(data.subset("train", chosen).batches("train", resolution_px, count)))
        return images.to(self.context.device), labels.to(self.context.device)

    def _network(self, architecture: Architecture, seed: int) -> nn.Module:
        network = seeded_network(architecture, seed).to(self.context.device)
        return network.to(memory_format=torch.channels_last)


def activations(architecture: Architecture) -> set[Activation]:
    """Those between the layers of a network; the gates of attention have their own."""
    blocks = {block.activation for block in architecture.blocks}
    return blocks | {architecture.stem.activation, architecture.head.activation}


def make(name: str, context: EvaluationContext) -> ZeroCostScorer:
    return ZeroCostScorer(name, context)
