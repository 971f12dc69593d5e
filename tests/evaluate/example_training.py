"""Training of a toy network on noise, fast enough to repeat."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bneck.evaluate import Epoch, Recipe
from bneck.evaluate.data.dataset import Split
from bneck.evaluate.data.in_memory import InMemoryData, LabelledImages, in_memory_data
from bneck.evaluate.training.checkpoint import load_checkpoint, make_checkpoint, save_checkpoint
from bneck.evaluate.training.trainer import ComputeConfig, Trainer
from bneck.search_space import Architecture, Block, Head, Stem
from bneck.search_space.network import Network, build_network

# Every kind of layer: a residual block, attention of both kinds, a hidden layer.
SMALL = Architecture(
    resolution_px=8,
    stem=Stem(4, stride=1),
    blocks=(
        Block(3, 8, 4, "se", "relu", 1, squeeze=2),
        Block(5, 8, 4, "eca", "hardswish", 1),
        Block(3, 8, 6, "none", "relu", 2),
    ),
    head=Head(10, 6),
    classes=2,
)
PLAIN = Recipe(
    epochs=3,
    batch_size=8,
    learning_rate=0.05,
    warmup_fraction=0.0,
    dropout=0.0,
    max_grad_norm=0.0,
    label_smoothing=0.0,
    weight_decay=0.0,
    augment="none",
    bn_recalibration_images=0,
)


def noise_data(
    *, train: int = 20, validation: int = 9, channels: int = 3, names: tuple[str, ...] = ("a", "b")
) -> InMemoryData:
    """Random 8x8 images with alternating classes, from a fixed seed."""
    source = torch.Generator().manual_seed(1)

    def images(count: int) -> LabelledImages:
        pixels = torch.randint(0, 256, (count, 8, 8, channels), generator=source, dtype=torch.uint8)
        return LabelledImages(pixels, torch.arange(count) % len(names))

    parts: dict[Split, LabelledImages] = {
        "train": images(train),
        "validation": images(validation),
        "test": images(4),
    }
    return in_memory_data("noise", names, parts, horizontal_flip=True)


def toy(architecture: Architecture = SMALL, seed: int = 0) -> Network:
    """A network with fixed initial weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_network(architecture)


def training_of(recipe: Recipe, *, seed: int = 3, compute: ComputeConfig | None = None) -> Trainer:
    return Trainer(toy(), noise_data(), recipe, seed=seed, compute=compute)


def gone_on(path: Path, compute: ComputeConfig | None = None) -> tuple[Trainer, list[Epoch]]:
    """A training resumed from a file, with another global random state."""
    torch.manual_seed(99)
    found = load_checkpoint(path)
    training = Trainer(found.network(), noise_data(), found.recipe, seed=found.seed + 1, compute=compute)
    training.restore(found.state)
    return training, list(found.curve)


def keep(training: Trainer, curve: list[Epoch], path: Path) -> None:
    save_checkpoint(
        make_checkpoint(training.network, training.data, training.recipe, 3, curve, training.state()), path
    )


def one_epoch(training: Trainer) -> Epoch:
    point = training.run_epoch()
    top1, loss = training.evaluate()
    return replace(point, validation_loss=loss, validation_top1=top1)


def everything(training: Trainer) -> dict[str, Tensor]:
    """Copies of all tensors that determine the next epoch and the evaluation."""
    found = {f"weights.{name}": value for name, value in training.network.state_dict().items()}
    found |= {f"judged.{name}": value for name, value in training.eval_network.state_dict().items()}
    return {name: value.detach().clone() for name, value in (found | training.state()).items()}


def differing(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that are not bit-identical."""
    return [name for name in first.keys() | second.keys() if not _equal(first.get(name), second.get(name))]


def _equal(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return False
    return first.dtype == second.dtype and first.equal(second)
