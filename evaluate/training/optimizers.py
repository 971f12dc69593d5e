"""Optimisers and schedules by their names in a recipe."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from .recipe import Recipe

# PyTorch adds eps outside of the root: this is the root of TensorFlow's 0.001.
_RMSPROP_EPS = 0.0316


def optimizer_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of the parameters that are trained."""
    groups = _decayed_and_not(network, recipe.weight_decay)
    rate, momentum = recipe.learning_rate, recipe.momentum
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=rate, betas=(momentum, 0.999), fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, betas=(momentum, 0.999), fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=rate, alpha=0.9, eps=_RMSPROP_EPS, momentum=momentum)


def restore_optimizer(optimizer: torch.optim.Optimizer, values: Mapping[str, Tensor]) -> None:
    """Put back what an optimiser remembers, as its state dict names it: `NUMBER.KEY`."""
    groups = optimizer.param_groups
    parameters = [p for group in groups for p in group["params"]]
    fused = bool(groups[0].get("fused"))
    for name, value in values.items():
        number, _, key = name.partition(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:  # in the memory format of its weight, as it was
            value = torch.empty_like(parameter).copy_(value)
        elif fused:  # which counts its steps where the weights are
            value = value.to(parameter.device)
        optimizer.state[parameter][key] = value


def schedule_of(recipe: Recipe, steps_an_epoch: int) -> Callable[[int], float]:
    """The share of the highest learning rate at each step, counted from 0."""
    steps = recipe.epochs * steps_an_epoch
    match recipe.schedule:
        case "cosine":
            return cosine_with_warmup(steps, recipe.warmup)
        case "constant":
            return _after_warmup(round(steps * recipe.warmup), lambda step: 1.0)
        case "steps":
            drop = max(1, round(recipe.step_epochs * steps_an_epoch))
            return _after_warmup(
                round(steps * recipe.warmup), lambda step: recipe.step_factor ** (step // drop)
            )


def cosine_with_warmup(steps: int, warmup: float) -> Callable[[int], float]:
    """The share of the highest learning rate at each step; 0 after the last."""
    rising = max(1, round(steps * warmup))
    return _after_warmup(
        rising,
        lambda step: 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising)))),
    )


def _after_warmup(rising: int, share: Callable[[int], float]) -> Callable[[int], float]:
    return lambda step: (step + 1) / rising if step < rising else share(step)


def _decayed_and_not(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases and batch normalisation do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
