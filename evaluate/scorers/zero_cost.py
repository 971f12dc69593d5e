"""Scorers by zero-cost proxies: one batch of training images, a fraction of a second per network.

| scorer | requires of an activation | h-swish, SiLU compared with ReLU | ReLU6 |
| --- | --- | --- | --- |
| `naswot` | an active side | comparable; codes are linear regions for ReLU only | ignores the bend at 6 |
| `jacob_cov` | a derivative | comparable; piecewise constant for ReLU only | comparable |
| `grad_norm`, `snip`, `zico` | a derivative | comparable | comparable |
| `synflow` | `f(ax) = a f(x)` for `a > 0` | comparable; holds approximately for large `x` | undefined |

ReLU6 has no gradient above 6, which the activations of `synflow` exceed after a few layers; only the
classifier would contribute. Attention gates have no code in `naswot` and saturate at 1 in `synflow`.
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
    """A zero-cost proxy and its settings.

    Attributes:
        compute: function of network, images and labels.
        images: batch size.
        initialisations: number of random initialisations; the value is their mean.
        caveat: limitation when comparing networks.
        unsupported_activations: activations for which the proxy is undefined.
    """

    compute: Callable[[nn.Module, Tensor, Tensor], float]
    images: int = 64
    initialisations: int = 1
    caveat: str = ""
    unsupported_activations: tuple[Activation, ...] = ()


_DEPTH_CAVEAT = "a sum over layers: most meaningful for networks of equal depth"
PROXIES = {
    "naswot": Proxy(
        proxies.naswot,
        initialisations=3,
        caveat="codes identify linear regions for ReLU only; for other activations, the active units",
    ),
    "jacob_cov": Proxy(
        proxies.jacob_cov,
        images=32,
        caveat="made for ReLU, whose gradient is constant in a linear region; "
        "other activations have a local gradient at the image",
    ),
    "grad_norm": Proxy(proxies.grad_norm, caveat=_DEPTH_CAVEAT),
    "snip": Proxy(proxies.snip, caveat=_DEPTH_CAVEAT),
    "synflow": Proxy(
        proxies.synflow,
        caveat="made for ReLU, which is homogeneous; h-swish and SiLU are approximately so for large inputs "
        "only, and the value grows with depth",
        unsupported_activations=("relu6",),
    ),
    "zico": Proxy(proxies.zico, caveat=_DEPTH_CAVEAT),
}


@dataclass(frozen=True)
class ZeroCostScorer:
    """A proxy; the seed determines the initial weights and the training images.

    With equal seeds, networks get the same images, resized to their resolution.
    """

    name: str
    context: EvaluationContext

    @property
    def caveat(self) -> str:
        """Limitation when comparing networks."""
        return PROXIES[self.name].caveat

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        proxy = PROXIES[self.name]
        if unsupported := activations(architecture).intersection(proxy.unsupported_activations):
            names = ", ".join(sorted(unsupported))
            raise ScorerError(
                f"{self.name} is undefined for {names} (network {architecture.key}); "
                "use another scorer, or a space without this activation"
            )
        images, labels = self._batch(architecture.resolution_px, proxy.images, seed)
        first_seed = seed * proxy.initialisations
        seeds = range(first_seed, first_seed + proxy.initialisations)
        value = fmean(proxy.compute(self._network(architecture, each), images, labels) for each in seeds)
        if not math.isfinite(value):
            raise ScorerError(
                f"{self.name} of network {architecture.key} is {value} with seed {seed}; "
                "use another scorer or another seed"
            )
        return Score(value, time.process_time() - start)

    def _batch(self, resolution_px: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Random training images without augmentation."""
        data = self.context.data
        if data.count("train") < _MIN_IMAGES:
            n_train = data.count("train")
            raise ScorerError(
                f"{self.name} needs at least {_MIN_IMAGES} training images, {data.name} has {n_train}"
            )
        indices = torch.randperm(data.count("train"), generator=Generator().manual_seed(seed))[:count]
        # The subset avoids resizing the whole split.
        images, labels = next(iter(data.subset("train", indices).batches("train", resolution_px, count)))
        return images.to(self.context.device), labels.to(self.context.device)

    def _network(self, architecture: Architecture, seed: int) -> nn.Module:
        network = seeded_network(architecture, seed).to(self.context.device)
        return network.to(memory_format=torch.channels_last)


def activations(architecture: Architecture) -> set[Activation]:
    """Activations between the layers of a network; those of attention gates are excluded."""
    blocks = {block.activation for block in architecture.blocks}
    return blocks | {architecture.stem.activation, architecture.head.activation}


def make(name: str, context: EvaluationContext) -> ZeroCostScorer:
    return ZeroCostScorer(name, context)
