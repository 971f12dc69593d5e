"""Train one network from start to finish."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from ...search_space import Architecture
from ...search_space.network import Network, build_network
from ..data.dataset import Data
from .accuracy import Accuracy, Epoch
from .distillation import Distillation
from .recipe import Recipe
from .trainer import ComputeConfig, Trainer

OnEpoch = Callable[[int, int], None]


def seeded_network(architecture: Architecture, seed: int) -> Network:
    """Build a network with initial weights determined by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        return build_network(architecture)


def train(
    network: Network,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    device: str = "cpu",
    validate_each_epoch: bool = False,
    on_epoch: OnEpoch | None = None,
    distillation: Distillation | None = None,
) -> Accuracy:
    """Train in place and evaluate on the validation images.

    The seed determines image order, augmentation and dropout; on one thread of one machine the result
    is reproducible bit for bit.

    Raises:
        NonFiniteLossError: the loss is NaN or infinite.
    """
    start = time.perf_counter()
    training = Trainer(
        network, data, recipe, seed=seed, compute=ComputeConfig(device), distillation=distillation
    )
    curve: list[Epoch] = []
    while not training.done:
        point = training.run_epoch()
        if validate_each_epoch:
            top1, loss = training.evaluate()
            point = replace(point, validation_loss=loss, validation_top1=top1)
        curve.append(point)
        if on_epoch is not None:
            on_epoch(training.epoch, recipe.epochs)
    evaluation = training.evaluate_images()
    network.load_state_dict(training.eval_network.state_dict())
    return training.accuracy(evaluation, time.perf_counter() - start, curve)
