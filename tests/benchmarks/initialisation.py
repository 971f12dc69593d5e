"""Weight initialisation for short training: torchvision, timm, fan-in and PyTorch defaults.

    python tests/benchmarks/initialisation.py [digits|fashion-mnist]

Trains the same networks with the same seeds under each rule and prints validation accuracy and loss,
paired by network and seed. MobileNetV3-Small represents deep networks.
"""

import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from bneck.evaluate import Recipe
from bneck.evaluate.data.dataset import load_data, subsample
from bneck.evaluate.training.train import train
from bneck.search_space import Architecture, cost, load_space, published_architecture
from bneck.search_space.network import build_network

SEEDS = (0, 1)
NETWORKS = 4


def fan_out(module: nn.Conv2d) -> float:
    """torchvision: the fan-out of a depthwise filter counts all output channels."""
    return module.out_channels * module.weight[0, 0].numel()


def fan_out_of_group(module: nn.Conv2d) -> float:
    """timm: fan-out per group."""
    return fan_out(module) / module.groups


def fan_in(module: nn.Conv2d) -> float:
    """He initialisation by fan-in."""
    return module.weight[0].numel()


def normal_by(fan: Callable[[nn.Conv2d], float], *, linear: bool) -> Callable[[nn.Module], None]:
    """Normal convolution weights by a fan; linear layers N(0, 0.01), or PyTorch defaults if `linear`."""

    def initialise(network: nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, (2.0 / fan(module)) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear) and not linear:
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                module.reset_parameters()

    return initialise


def torch_default(network: nn.Module) -> None:
    """PyTorch default: uniform by fan-in, standard deviation 2.4 times below He."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv1d | nn.Linear):
            module.reset_parameters()


RULES: dict[str, Callable[[nn.Module], None]] = {
    "torchvision": normal_by(fan_out, linear=False),
    "timm": normal_by(fan_out_of_group, linear=False),
    "timm+linear": normal_by(fan_out_of_group, linear=True),
    "fan-in+linear": normal_by(fan_in, linear=True),
    "torch": torch_default,
}


def networks(classes: int, channels: int) -> dict[str, Architecture]:
    space = load_space("tiny").for_data(channels, classes)
    rng = random.Random(0)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < NETWORKS:
        architecture = space.decode(space.sample(rng))
        if 300_000 < cost(architecture).macs < 1_200_000:
            drawn[architecture.key] = architecture
    small = published_architecture("mobilenet_v3_small")
    drawn["v3-small@32px"] = replace(small, resolution_px=32, image_channels=channels, classes=classes)
    return drawn


def main(name: str) -> None:
    torch.set_num_threads(1)
    data = subsample(load_data(name), train=5000, validation=5000)
    recipe = Recipe(epochs=15 if name == "digits" else 3)
    top1: dict[str, list[float]] = {rule: [] for rule in RULES}
    loss: dict[str, list[float]] = {rule: [] for rule in RULES}
    images = data.count("train")
    print(f"{name}: {images} images x {recipe.epochs} epochs, learning rate {recipe.learning_rate}")
    print(f"{'network':>14} {'seed':>4}  " + "  ".join(f"{rule:>13}" for rule in RULES))
    for key, architecture in networks(len(data.class_names), data.image_channels).items():
        for seed in SEEDS:
            row: list[str] = []
            for rule, initialise in RULES.items():
                torch.manual_seed(seed)
                network = build_network(architecture)
                initialise(network)
                result = train(network, data, recipe, seed=seed)
                top1[rule].append(100 * result.top1)
                loss[rule].append(result.loss)
                row.append(f"{100 * result.top1:13.2f}")
            print(f"{key:>14} {seed:4d}  " + "  ".join(row), flush=True)
    for title, table in (("top-1 %", top1), ("loss", loss)):
        print(f"{title:>19}  " + "  ".join(f"{statistics.mean(table[rule]):13.3f}" for rule in RULES))
        gaps = {rule: [a - b for a, b in zip(table[rule], table["timm"], strict=True)] for rule in RULES}
        shown = [
            f"{statistics.mean(gap):+6.2f} ±{1.96 * statistics.stdev(gap) / len(gap) ** 0.5:5.2f}"
            for gap in gaps.values()
        ]
        print(f"{'minus timm (95%)':>19}  " + "  ".join(shown))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "digits")
