"""Training one network, and judging it: the same recipe and the same seed for all that are compared."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from ..search_space.network import Network
from .accuracy import Accuracy, Epoch
from .data import Data, Split
from .recipe import Recipe
from .splits import shuffled_batches

OnEpoch = Callable[[int, int], None]


class TrainingFailedError(Exception):
    """The loss is no longer a number."""


def train(
    network: Network,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    device: str = "cpu",
    validate_each_epoch: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Accuracy:
    """Train in place and judge on the validation images.

    The order of the images, their augmentation and dropout follow from the seed; on one thread of
    one machine the result is the same to the bit.

    Raises:
        TrainingFailedError: the loss is no longer a number.
    """
    start = time.perf_counter()
    side = network.architecture.resolution_px
    network.dropout.p = recipe.dropout
    network.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        _decayed_and_not(network, recipe.weight_decay),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )
    steps_an_epoch = shuffled_batches(data.count("train"), recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, cosine_with_warmup(recipe.epochs * steps_an_epoch, recipe.warmup)
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    shuffle = torch.Generator().manual_seed(seed)
    curve: list[Epoch] = []
    seen = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(1, recipe.epochs + 1):
            network.train()
            total, shown = torch.zeros((), device=device), 0
            for images, labels in data.batches(
                "train", side, recipe.batch_size, shuffle=shuffle, augment=recipe.augment
            ):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(network(images.to(device)), labels.to(device))
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
                optimizer.step()
                schedule.step()
                total += loss.detach() * len(labels)
                shown += len(labels)
            seen += shown
            mean = float(total) / shown
            if not math.isfinite(mean):
                raise TrainingFailedError(f"the loss of epoch {epoch} is {mean}")
            point = Epoch(mean)
            if validate_each_epoch:
                settle_norms(network, data, recipe, device)
                top1, loss_now = judge(network, data, "validation", device=device)
                point = replace(point, validation_loss=loss_now, validation_top1=top1)
            curve.append(point)
            if on_epoch is not None:
                on_epoch(epoch, recipe.epochs)
    settle_norms(network, data, recipe, device)
    top1, final_loss = judge(network, data, "validation", device=device)
    if not math.isfinite(final_loss):
        raise TrainingFailedError(f"the loss on the validation images is {final_loss}")
    return Accuracy(
        top1=top1,
        loss=final_loss,
        images=data.count("validation"),
        seen=seen,
        seed=seed,
        seconds=time.perf_counter() - start,
        curve=tuple(curve),
    )


def judge(network: Network, data: Data, split: Split, *, device: str = "cpu") -> tuple[float, float]:
    """Top-1 accuracy and cross-entropy on a split, in evaluation mode."""
    network.eval()
    right, loss, count = 0, 0.0, 0
    with torch.inference_mode():
        for images, labels in data.batches(split, network.architecture.resolution_px, 256):
            logits: Tensor = network(images.to(device))
            labels = labels.to(device)
            right += int((logits.argmax(1) == labels).sum())
            loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            count += len(labels)
    return right / count, loss / count


def settle_norms(network: Network, data: Data, recipe: Recipe, device: str = "cpu") -> None:
    """Average the statistics of batch normalisation afresh, with the weights as they are now."""
    batches = max(1, min(recipe.norm_images, data.count("train")) // recipe.batch_size)
    images = data.batches(
        "train",
        network.architecture.resolution_px,
        recipe.batch_size,
        shuffle=torch.Generator().manual_seed(0),
        augment=recipe.augment,
    )
    few = (batch for _, batch in zip(range(batches), (x for x, _ in images), strict=False))
    with torch.random.fork_rng(devices=[]):  # dropout draws, though no statistics lie behind it
        update_bn(few, network, torch.device(device))


def cosine_with_warmup(steps: int, warmup: float) -> Callable[[int], float]:
    """The share of the highest learning rate at each step; 0 after the last."""
    rising = max(1, round(steps * warmup))

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))

    return share


def _decayed_and_not(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases and batch normalisation do not."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
