"""Accuracy on a split, and recalibration of batch normalisation statistics."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.optim.swa_utils import update_bn

from ...search_space.network import Network
from ..data.augmentation import parse_augmentation
from ..data.dataset import Data, Split
from ..statistics.outcomes import pack_outcomes
from .recipe import Recipe

_BATCH_SIZE = 256


@dataclass(frozen=True)
class Evaluation:
    """Result of a network on a split.

    Attributes:
        loss: mean cross-entropy.
        images: number of images that could be read.
        outcomes: which images were classified correctly, by `pack_outcomes`; empty if several processes
            shared the evaluation and an image could not be read.
    """

    top1: float
    loss: float
    images: int
    outcomes: str


def evaluate(
    network: Network, data: Data, split: Split, *, device: str = "cpu", shard: tuple[int, int] = (0, 1)
) -> tuple[float, float]:
    """`top1` and `loss` of `evaluate_images`."""
    evaluation = evaluate_images(network, data, split, device=device, shard=shard)
    return evaluation.top1, evaluation.loss


def evaluate_images(
    network: Network, data: Data, split: Split, *, device: str = "cpu", shard: tuple[int, int] = (0, 1)
) -> Evaluation:
    """Evaluate a network on a split, in evaluation mode.

    Args:
        shard: `(rank, world_size)` of the processes that share the evaluation.
    """
    network.eval()
    total = torch.zeros(3, dtype=torch.float64)  # correct, loss, images
    outcomes: list[Tensor] = []
    with torch.inference_mode():
        for images, labels in data.batches(
            split, network.architecture.resolution_px, _BATCH_SIZE, shard=shard
        ):
            logits: Tensor = network(images.to(device))
            labels = labels.to(device)
            outcomes.append(logits.argmax(1) == labels)
            total[0] += int(outcomes[-1].sum())
            total[1] += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            total[2] += len(labels)
    if shard[1] > 1:
        total = total.to(device)
        dist.all_reduce(total)
        outcomes = [_merged(outcomes, data.count(split), shard, device)]
    n_correct, loss, count = total.tolist()
    correct = torch.cat(outcomes).cpu().numpy()
    known = np.count_nonzero(correct) == n_correct and len(correct) == count
    packed = pack_outcomes(correct) if known else ""
    return Evaluation(n_correct / count, loss / count, int(count), packed)


def _merged(outcomes: list[Tensor], count: int, shard: tuple[int, int], device: str) -> Tensor:
    """Outcomes of all shards in the order of the split; misplaced if an image could not be read."""
    merged = torch.zeros(count, dtype=torch.int32, device=device)
    for number, own in enumerate(outcomes):
        places = slice(number * _BATCH_SIZE + shard[0], min((number + 1) * _BATCH_SIZE, count), shard[1])
        merged[places][: len(own)] = own.to(merged.dtype)
    dist.all_reduce(merged)
    return merged.bool()


def recalibrate_batchnorm(network: Network, data: Data, recipe: Recipe, device: str = "cpu") -> None:
    """Recompute the running statistics of batch normalisation with the current weights."""
    batches = max(1, min(recipe.bn_recalibration_images, data.count("train")) // recipe.batch_size)
    images = data.batches(
        "train",
        network.architecture.resolution_px,
        recipe.batch_size,
        shuffle=Generator().manual_seed(0),
        augment=parse_augmentation(recipe.augment),
    )
    bn_batches = (batch for _, batch in zip(range(batches), (x for x, _ in images), strict=False))
    network.set_drop_path(0)  # evaluation uses every block
    with torch.random.fork_rng(devices=[]):  # dropout would advance the caller's random state
        update_bn(bn_batches, network, torch.device(device))
    network.set_drop_path(recipe.drop_path)
