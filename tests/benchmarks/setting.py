"""Shared by the accuracy benchmarks: space, data set, networks spread by MACs, one training run."""

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch

from bneck.evaluate.data.dataset import Data, load_data, subsample
from bneck.evaluate.training.evaluation import evaluate, recalibrate_batchnorm
from bneck.evaluate.training.recipe import Recipe
from bneck.evaluate.training.train import seeded_network
from bneck.evaluate.training.trainer import Trainer
from bneck.search_space import Architecture, SearchSpace, cost, load_space

DATA = "fashion-mnist"
SPACE = "tiny"
LEAST_MACS, MOST_MACS = 0.1e6, 2.5e6
DRAWS = 20_000


@cache
def space() -> SearchSpace:
    """Space tiny; its smallest networks are far too small for the task."""
    return load_space(SPACE).for_data(1, 10)


@cache
def images(train: int | None) -> Data:
    return subsample(load_data(DATA), train=train)


def networks(count: int, seed: int) -> list[Architecture]:
    """Distinct networks, one from each of `count` equal intervals of log MACs, in increasing order."""
    rng = random.Random(seed)
    shares: list[list[Architecture]] = [[] for _ in range(count)]
    span = math.log(MOST_MACS / LEAST_MACS)
    for _ in range(DRAWS):
        network = space().decode(space().sample(rng))
        place = math.log(cost(network).macs / LEAST_MACS) / span
        if 0 <= place < 1:
            shares[int(place * count)].append(network)
    return [rng.choice(share) for share in shares]


@dataclass(frozen=True)
class Protocol:
    """How a network is trained and evaluated.

    Attributes:
        train_images: number of training images; every epoch uses all of them.
        same_seed: whether all networks of a replicate share initialisation, order and augmentation.
        resolution_px: input resolution of all networks; None for their own.
    """

    name: str
    train_images: int
    recipe: Recipe = field(default_factory=Recipe)
    same_seed: bool = True
    resolution_px: int | None = None

    def seed(self, architecture: Architecture, replicate: int) -> int:
        own = 0 if self.same_seed else int(architecture.key[:6], 16)
        return own + replicate


def trained(
    architecture: Architecture, protocol: Protocol, replicate: int, tested: bool = False
) -> Mapping[str, Any]:
    """Train once; `readings` maps `WEIGHTS/BN` to accuracy and loss on the validation images.

    WEIGHTS: after the last epoch (`last`), their moving average (`ema`), one epoch before the last
    (`before`). BN: running statistics (`running`) or recalibrated ones (`settled`).

    Args:
        tested: evaluate on the test images too; nothing is selected by them.
    """
    torch.set_num_threads(1)
    if protocol.resolution_px:
        architecture = replace(architecture, resolution_px=protocol.resolution_px)
    data = images(protocol.train_images)
    seed = protocol.seed(architecture, replicate)
    start = time.process_time()
    training = Trainer(seeded_network(architecture, seed), data, protocol.recipe, seed=seed)
    readings: dict[str, tuple[float, float]] = {}
    train_loss = 0.0
    extra = 0.0  # CPU-seconds of readings that are not part of the protocol
    while not training.done:
        train_loss = training.run_epoch().train_loss
        if training.epoch == protocol.recipe.epochs - 1:
            before = time.process_time()
            recalibrate_batchnorm(training.network, data, protocol.recipe)
            readings["before/settled"] = evaluate(training.network, data, "validation")
            extra += time.process_time() - before
    before = time.process_time()
    readings["last/running"] = evaluate(training.network, data, "validation")
    if training.eval_network is not training.network:
        recalibrate_batchnorm(training.eval_network, data, protocol.recipe)
        readings["ema/settled"] = evaluate(training.eval_network, data, "validation")
    extra += time.process_time() - before
    recalibrate_batchnorm(training.network, data, protocol.recipe)
    readings["last/settled"] = evaluate(training.network, data, "validation")
    spent = time.process_time() - start - extra
    return {
        "readings": readings,
        "test": evaluate(training.network, data, "test") if tested else None,
        "train_loss": train_loss,
        "cpu_seconds": spent,
        "macs": cost(architecture).macs,
        "architecture": architecture.key,
        "replicate": replicate,
    }
