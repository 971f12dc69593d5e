"""Optimizers and learning rate schedules by their names in a recipe."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ...search_space.network import Network
from .recipe import Recipe

# PyTorch adds eps outside the square root: sqrt(0.001), where 0.001 is TensorFlow's value.
_RMSPROP_EPS = 0.0316


def build_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Optimizer of the trainable parameters."""
    groups = _parameter_groups(network, recipe)
    lr, momentum = recipe.learning_rate, recipe.momentum
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=lr, betas=(momentum, 0.999), fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999), fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=lr, alpha=0.9, eps=_RMSPROP_EPS, momentum=momentum)


def restore_optimizer(optimizer: torch.optim.Optimizer, values: Mapping[str, Tensor]) -> None:
    """Restore the state of an optimizer; keys are `PARAMETER_INDEX.STATE_NAME`."""
    groups = optimizer.param_groups
    parameters = [p for group in groups for p in group["params"]]
    fused = bool(groups[0].get("fused"))
    for name, value in values.items():
        number, _, key = name.partition(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:  # restore the memory format of the weight
            value = torch.empty_like(parameter).copy_(value)
        elif fused:  # fused optimizers count steps on the device
            value = value.to(parameter.device)
        optimizer.state[parameter][key] = value


def build_lr_schedule(recipe: Recipe, steps_per_epoch: int) -> Callable[[int], float]:
    """Factor on the peak learning rate as a function of the step, counted from 0."""
    steps = recipe.epochs * steps_per_epoch
    match recipe.schedule:
        case "cosine":
            return cosine_schedule(steps, recipe.warmup_fraction)
        case "constant":
            return _with_warmup(round(steps * recipe.warmup_fraction), lambda step: 1.0)
        case "steps":
            decay_steps = max(1, round(recipe.step_epochs * steps_per_epoch))
            return _with_warmup(
                round(steps * recipe.warmup_fraction),
                lambda step: recipe.step_factor ** (step // decay_steps),
            )


def cosine_schedule(steps: int, warmup_fraction: float) -> Callable[[int], float]:
    """Linear warmup, then cosine decay to 0: factor on the peak learning rate at each step."""
    warmup_steps = max(1, round(steps * warmup_fraction))
    return _with_warmup(
        warmup_steps,
        lambda step: (
            0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))))
        ),
    )


def _with_warmup(warmup_steps: int, lr_factor: Callable[[int], float]) -> Callable[[int], float]:
    return lambda step: (step + 1) / warmup_steps if step < warmup_steps else lr_factor(step)


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """Weight decay applies to weights, not to biases and batch normalisation.

    With `backbone_lr_factor` the layers before the pooling have groups of their own.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    if recipe.backbone_lr_factor == 1 or not isinstance(network, Network):
        return _weight_decay_groups(parameters, recipe.weight_decay)
    backbone = {id(p) for part in network.backbone for p in part.parameters()}
    slow = [p for p in parameters if id(p) in backbone]
    fast = [p for p in parameters if id(p) not in backbone]
    return [
        *(
            group | {"lr_factor": recipe.backbone_lr_factor}
            for group in _weight_decay_groups(slow, recipe.weight_decay)
            if slow
        ),
        *_weight_decay_groups(fast, recipe.weight_decay),
    ]


def _weight_decay_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
