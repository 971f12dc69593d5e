"""Evaluation with the weights of a supernet, without training: about a second per network."""

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
from ..training.evaluation import evaluate_images, recalibrate_batchnorm
from ..training.recipe import Recipe
from . import EvaluationContext, Score

_BN_RECALIBRATION_IMAGES = Recipe().bn_recalibration_images

EvaluateSubnet = Callable[[Network, Data, EvaluationContext, int], Accuracy]


@dataclass(frozen=True, eq=False)
class LoadedSupernet:
    """A supernet from a file, and the data set normalized as in its training."""

    path: Path
    supernet: Supernet
    data: Data

    def extract_on_device(self, architecture: Architecture, device: str) -> Network:
        """The network with weights from the supernet, in channels-last format on the device.

        Raises:
            ScorerError: the network is outside the space of the supernet.
        """
        try:
            network = self.supernet.extract(architecture)
        except ScorerError as error:
            raise ScorerError(f"{self.path}: {error}; train a supernet of its space") from None
        return network.to(device).to(memory_format=torch.channels_last)


@dataclass(frozen=True, eq=False)
class SupernetScorer:
    """Negative validation loss of a network initialized from a supernet.

    The loss ranks networks more reliably than the accuracy. With several supernets, value and accuracy are
    means, and the network is that with the lowest loss.

    Attributes:
        evaluate_subnet: prepares the network in place and evaluates it.
    """

    name: str
    context: EvaluationContext
    supernets: tuple[LoadedSupernet, ...]
    evaluate_subnet: EvaluateSubnet

    def score(self, architecture: Architecture, seed: int) -> Score:
        start = time.process_time()
        results: list[tuple[Accuracy, Network]] = []
        for loaded in self.supernets:
            network = loaded.extract_on_device(architecture, self.context.device)
            results.append((self.evaluate_subnet(network, loaded.data, self.context, seed), network))
        best, network = min(results, key=lambda pair: pair[0].loss)
        accuracy = replace(
            best,
            top1=fmean(accuracy.top1 for accuracy, _ in results),
            loss=fmean(accuracy.loss for accuracy, _ in results),
            seconds=sum(accuracy.seconds for accuracy, _ in results),
            outcomes=best.outcomes if len(results) == 1 else "",
        )
        return Score(-accuracy.loss, time.process_time() - start, accuracy, network)


def evaluate_without_training(
    network: Network, data: Data, context: EvaluationContext, seed: int
) -> Accuracy:
    """Recalibrate batch normalization on `bn_recalibration_images` of the recipe, and evaluate."""
    start = time.perf_counter()
    # Statistics shared by all subnetworks fit none of them.
    bn_images = context.recipe.bn_recalibration_images or _BN_RECALIBRATION_IMAGES
    recipe = replace(context.recipe, bn_recalibration_images=bn_images, drop_path=0.0)
    recalibrate_batchnorm(network, data, recipe, context.device)
    found = evaluate_images(network, data, "validation", device=context.device)
    seconds = time.perf_counter() - start
    return Accuracy(found.top1, found.loss, found.images, 0, seed, seconds, (), found.outcomes)


def load_supernets(name: str, context: EvaluationContext) -> tuple[LoadedSupernet, ...]:
    """The supernets of `supernet:FILE` or `supernet:FILE,FILE`, with the data normalized for each.

    Raises:
        RunError: a file is missing or damaged.
        ScorerError: a training is unfinished, or the number of classes or channels does not match the data.
    """
    return tuple(_load_finished_supernet(Path(path), context) for path in name.partition(":")[2].split(","))


def _load_finished_supernet(path: Path, context: EvaluationContext) -> LoadedSupernet:
    checkpoint = load_supernet(path)
    if not checkpoint.finished:
        raise ScorerError(
            f"{path}: training is unfinished ({checkpoint.fraction_done:.0%}); "
            f"resume it: bneck supernet --file {path} --resume"
        )
    try:
        data = checkpoint.normalize_data(context.data)
    except ScorerError as error:
        raise ScorerError(f"{path}: {error}") from None
    if leak := checkpoint.training_images.leak(data):
        raise ScorerError(f"{path}: {leak}; restore the data, or train a supernet on it")
    return LoadedSupernet(path, checkpoint.supernet(), data)


def make(name: str, context: EvaluationContext) -> SupernetScorer:
    return SupernetScorer(name, context, load_supernets(name, context), evaluate_without_training)
