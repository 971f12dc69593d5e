"""Optimizers against their formulas, schedules against hand calculation."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate import Recipe
from bneck.evaluate.training.optimizers import build_lr_schedule, build_optimizer
from bneck.evaluate.training.trainer import Trainer

from ..example_training import PLAIN, noise_data, toy, training_of

RATE, DECAY = 0.1, 0.25
W, B = 2.0, 3.0


class Two(nn.Module):
    """A weight, 1x1, and a bias without weight decay."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1), W))
        self.bias = nn.Parameter(torch.full((1,), B))


def moved(recipe: Recipe, *slopes: float) -> tuple[float, float]:
    """Weight and bias after steps with these gradients, the same for both."""
    two = Two()
    optimizer = build_optimizer(two, replace(recipe, learning_rate=RATE))
    for slope in slopes:
        for parameter in (two.weight, two.bias):
            parameter.grad = torch.full_like(parameter, slope)
        optimizer.step()
    return two.weight.item(), two.bias.item()


def sgd(value: float, slopes: tuple[float, ...], decay: float, momentum: float) -> float:
    speed = 0.0
    for slope in slopes:
        slope += decay * value
        speed = momentum * speed + slope
        value -= RATE * (slope + momentum * speed)
    return value


def adam(value: float, slopes: tuple[float, ...], decay: float, beta: float, apart: bool = False) -> float:
    first = second = 0.0
    for step, slope in enumerate(slopes, start=1):
        if apart:
            value -= RATE * decay * value
        else:
            slope += decay * value
        first = beta * first + (1 - beta) * slope
        second = 0.999 * second + 0.001 * slope**2
        value -= RATE * first / (1 - beta**step) / (math.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return value


def adamw(value: float, slopes: tuple[float, ...], decay: float, beta: float) -> float:
    return adam(value, slopes, decay, beta, apart=True)


def rmsprop(value: float, slopes: tuple[float, ...], decay: float, momentum: float) -> float:
    square = speed = 0.0
    for slope in slopes:
        slope += decay * value
        square = 0.9 * square + 0.1 * slope**2
        speed = momentum * speed + slope / (math.sqrt(square) + 0.0316)
        value -= RATE * speed
    return value


@pytest.mark.parametrize("momentum", [0.9, 0.6, 0.0])
@pytest.mark.parametrize("formula", [sgd, adam, adamw, rmsprop])
def test_steps_match_the_formula_and_biases_do_not_decay(
    formula: Callable[[float, tuple[float, ...], float, float], float], momentum: float
) -> None:
    slopes = (0.5, -0.25, 0.01)
    recipe = replace(PLAIN, optimizer=formula.__name__, momentum=momentum, weight_decay=DECAY)  # type: ignore[arg-type]
    weight, bias = moved(recipe, *slopes)
    assert weight == pytest.approx(formula(W, slopes, DECAY, momentum), rel=1e-5)
    assert bias == pytest.approx(formula(B, slopes, 0.0, momentum), rel=1e-5)


def test_rmsprop_adds_the_root_of_tensorflows_epsilon() -> None:
    # a gradient of 0.0316 / sqrt(0.1) = 0.1 has the moving root 0.0316: half of it over 0.0632
    weight, _ = moved(replace(PLAIN, optimizer="rmsprop", momentum=0.0), 0.1)
    assert W - weight == pytest.approx(RATE * 0.1 / 0.0632, rel=1e-3)


def test_weights_decay_and_biases_and_normalisation_do_not() -> None:
    network = toy()
    decays, does_not = build_optimizer(network, replace(PLAIN, weight_decay=0.3)).param_groups
    assert (decays["weight_decay"], does_not["weight_decay"]) == (0.3, 0.0)
    spared = {id(p) for p in does_not["params"]}
    norms = {id(p) for m in network.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
    biases = {id(p) for name, p in network.named_parameters() if name.endswith("bias")}
    assert spared == norms | biases
    assert {id(p) for p in decays["params"]} == {id(p) for p in network.parameters()} - spared


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_frozen_parameters_are_not_optimized(optimizer: str) -> None:
    network = toy()
    network.stem.requires_grad_(False)
    network.classifier.bias.requires_grad_(False)
    groups = build_optimizer(network, replace(PLAIN, optimizer=optimizer)).param_groups  # type: ignore[arg-type]
    held = [p for group in groups for p in group["params"]]
    assert all(p.requires_grad for p in held)
    assert len(held) == len([*network.parameters()]) - 4  # a convolution, its norm's two, a bias


def shares(recipe: Recipe, steps: int, steps_per_epoch: int = 5) -> list[float]:
    share = build_lr_schedule(recipe, steps_per_epoch)
    return [share(step) for step in range(steps)]


def test_a_constant_rate_is_constant_after_its_warmup() -> None:
    recipe = replace(PLAIN, schedule="constant", epochs=2)
    assert shares(recipe, 10) == [1] * 10
    # 0.3 of 10 steps are 3
    assert shares(replace(recipe, warmup_fraction=0.3), 10) == pytest.approx([1 / 3, 2 / 3] + [1] * 8)
    assert shares(replace(recipe, warmup_fraction=1.0), 10) == pytest.approx(
        [step / 10 for step in range(1, 11)]
    )


def test_step_decay_counts_epochs_from_the_start() -> None:
    recipe = replace(PLAIN, schedule="steps", epochs=6, step_epochs=2.0, step_factor=0.5)
    assert shares(recipe, 12, 2) == [1] * 4 + [0.5] * 4 + [0.25] * 4
    # warmup replaces the first steps without shifting the others
    warm = replace(recipe, warmup_fraction=0.5)
    assert shares(warm, 12, 2) == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 0.5, 0.5] + [0.25] * 4)
    assert shares(replace(recipe, step_epochs=0.5), 4, 4) == [1, 1, 0.5, 0.5]
    assert shares(replace(recipe, step_epochs=0.01), 4, 4) == [1, 0.5, 0.25, 0.125]  # every step at most


def test_step_decay_matches_torchs_scheduler() -> None:
    recipe = replace(PLAIN, schedule="steps", epochs=7, step_epochs=2.0, step_factor=0.973)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.973)
    expected = []
    for _ in range(7):
        expected += [scheduler.get_last_lr()[0]] * 5
        optimizer.step()
        scheduler.step()
    assert shares(recipe, 35) == pytest.approx(expected)


def test_the_cosine_spans_all_epochs() -> None:
    # 8 steps, 2 of warmup; the cosine is at half 3 steps after its start
    recipe = replace(PLAIN, schedule="cosine", epochs=4, warmup_fraction=0.25)
    factors = shares(recipe, 9, 2)
    assert factors[:3] == [0.5, 1, 1]
    assert factors[5] == pytest.approx(0.5)
    assert factors[8] == pytest.approx(0)


@pytest.mark.parametrize("max_grad_norm", [0.0, 1e9])
def test_without_a_clip_gradients_are_unchanged(max_grad_norm: float) -> None:
    # SGD with rate 1: the step is the gradient, made large by large weights
    recipe = replace(
        PLAIN, epochs=1, momentum=0.0, learning_rate=1.0, batch_size=20, max_grad_norm=max_grad_norm
    )
    network = toy()
    with torch.no_grad():
        network.classifier.weight.mul_(1000)
    before = [p.detach().clone() for p in network.parameters()]
    loss = nn.functional.cross_entropy(network.train()(first_batch()), labels())
    slopes = torch.autograd.grad(loss, [*network.parameters()])
    assert torch.cat([slope.flatten() for slope in slopes]).norm() > 50
    Trainer(network, noise_data(), recipe, seed=3).run_epoch()
    for old, slope, new in zip(before, slopes, network.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old - slope, rtol=1e-3, atol=1e-3)


def first_batch() -> Tensor:
    return next(noise_data().batches("train", 8, 20))[0]


def labels() -> Tensor:
    return noise_data().labels("train")


def test_the_norm_of_all_gradients_is_clipped() -> None:
    recipe = replace(PLAIN, epochs=1, momentum=0.0, learning_rate=1.0, batch_size=20, max_grad_norm=0.01)
    training = training_of(recipe)
    before = torch.cat([p.detach().clone().flatten() for p in training.network.parameters()])
    training.run_epoch()
    after = torch.cat([p.detach().flatten() for p in training.network.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)
