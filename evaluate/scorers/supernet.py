"""A supernet's weights, as they are: a network judged in about a second."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from ...search_space import Architecture, ScorerError
from ...search_space.network import Network
from ..data.dataset import Data
from ..supernet.checkpoint import load_supernet
from ..supernet.supernet import Supernet
from ..training.accuracy import Accuracy
from ..training.evaluation import judge, settle_norms
from ..training.recipe import Recipe
from . import Means, Score

_NORM_IMAGES = Recipe().norm_images

Verdict = Callable[[Network, Data, Means, int], Accuracy]


@dataclass(frozen=True, eq=False)
class Opened:
    """A supernet of a file, and the images as it was trained to see them."""

    path: Path
    supernet: Supernet
    data: Data

    def extracted(self, architecture: Architecture, device: str) -> Network:
        """The network with the supernet's weights.

        Raises:
            ScorerError: it is outside of the supernet's space.
        """
        try:
            network = self.supernet.extract(architecture)
        except ScorerError as error:
            raise ScorerError(f"{self.path}: {error}; train a supernet of its space") from None
        return network.to(device).to(memory_format=torch.channels_last)


@dataclass(frozen=True, eq=False)
class SupernetScorer:
    """The validation loss, below 0, of a network that begins with a supernet's weights.

    The loss tells networks apart more reliably than the accuracy does. With several supernets value
    and accuracy are the means over them, and the network is the one with the least loss.

    Attributes:
        verdict: makes the network ready, in place, and judges it.
    """

    name: str
    means: Means
    supernets: tuple[Opened, ...]
    verdict: Verdict

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        found: list[tuple[Accuracy, Network]] = []
        for each in self.supernets:
            network = each.extracted(architecture, self.means.device)
            found.append((self.verdict(network, each.data, self.means, seed), network))
        best, network = min(found, key=lambda pair: pair[0].loss)
        accuracy = replace(
            best,
            top1=fmean(accuracy.top1 for accuracy, _ in found),
            loss=fmean(accuracy.loss for accuracy, _ in found),
            seconds=sum(accuracy.seconds for accuracy, _ in found),
        )
        return Score(-accuracy.loss, time.process_time() - start, accuracy, network)


def as_it_is(network: Network, data: Data, means: Means, seed: int) -> Accuracy:
    """Nothing is learnt; batch normalisation is settled on training images, `norm_images` of the recipe."""
    start = time.perf_counter()
    settled_on = means.recipe.norm_images or _NORM_IMAGES  # a supernet's own statistics are right for none
    recipe = replace(means.recipe, norm_images=settled_on, drop_path=0.0)
    settle_norms(network, data, recipe, means.device)
    top1, loss = judge(network, data, "validation", device=means.device)
    return Accuracy(top1, loss, data.count("validation"), 0, seed, time.perf_counter() - start, ())


def open_all(name: str, means: Means) -> tuple[Opened, ...]:
    """The supernets of `supernet:FILE` or `supernet:FILE,FILE`, for the images that are judged by.

    Raises:
        RunError: there is no such file, or it is damaged.
        ScorerError: its training was stopped, or it is for other classes or channels.
    """
    return tuple(_opened(Path(path), means) for path in name.partition(":")[2].split(","))


def _opened(path: Path, means: Means) -> Opened:
    trained = load_supernet(path)
    if not trained.finished:
        raise ScorerError(
            f"{path}: its training was stopped at {trained.share:.0%}; "
            f"go on with it: bneck supernet train --out {path} --resume"
        )
    try:
        data = trained.normalised(means.data)
    except ScorerError as error:
        raise ScorerError(f"{path}: {error}") from None
    return Opened(path, trained.supernet(), data)


def make(name: str, means: Means) -> SupernetScorer:
    return SupernetScorer(name, means, open_all(name, means), as_it_is)
