"""Accuracy on a split, and recalibration of batch normalisation statistics."""

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.optim.swa_utils import update_bn

from ...search_space.network import Network
from ..data.augmentation import parse_augmentation
from ..data.dataset import Data, Split
from .recipe import Recipe


def evaluate(
    network: Network, data: Data, split: Split, *, device: str = "cpu", shard: tuple[int, int] = (0, 1)
) -> tuple[float, float]:
    """Top-1 accuracy and mean cross-entropy on a split, in evaluation mode.

    Args:
        shard: `(rank, world_size)` of the processes that share the evaluation.
    """
    network.eval()
    total = torch.zeros(3, dtype=torch.float64)  # correct, loss, images
    with torch.inference_mode():
        for images, labels in data.batches(split, network.architecture.resolution_px, 256, shard=shard):
            logits: Tensor = network(images.to(device))
            labels = labels.to(device)
            total[0] += int((logits.argmax(1) == labels).sum())
            total[1] += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            total[2] += len(labels)
    if shard[1] > 1:
        total = total.to(device)
        dist.all_reduce(total)
    correct, loss, count = total.tolist()
    return correct / count, loss / count


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
