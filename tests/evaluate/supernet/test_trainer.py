"""Supernet training: steps, budgets and resuming."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bneck.evaluate.supernet.checkpoint import load_supernet, save_supernet
from bneck.evaluate.supernet.config import SupernetConfig
from bneck.evaluate.supernet.sampling import smallest_genes
from bneck.evaluate.supernet.trainer import (
    SupernetTrainer,
    downscale,
    seeded_supernet,
    train_to_end,
)
from bneck.evaluate.training.recipe import Recipe
from bneck.evaluate.training.trainer import Trainer
from bneck.search_space import Genes
from bneck.search_space.errors import FieldError, NonFiniteLossError

from ...search_space.helpers import space_of
from ..example_training import PLAIN, differing, noise_data
from .example_supernet import CONSTANT, OURS, SMALL, TrainOnly, training_of

RICH = replace(
    PLAIN,
    epochs=2,
    schedule="cosine",
    warmup_fraction=0.3,
    momentum=0.9,
    weight_decay=0.01,
    label_smoothing=0.1,
    dropout=0.3,
    max_grad_norm=1.0,
    augment="flip-crop+random-erase+mixup",
)
KINDS: dict[str, tuple[Recipe, dict[str, Any]]] = {
    "uniform": (RICH, {}),
    "balanced, averaged": (
        replace(RICH, optimizer="rmsprop", learning_rate=0.003, ema=0.6),
        {"strategy": "balanced", "max_macs": 3e5},
    ),
    "sandwich, adam": (replace(RICH, optimizer="adamw", learning_rate=0.003), {"strategy": "sandwich"}),
}


def everything(training: SupernetTrainer) -> dict[str, Tensor]:
    result = {f"weights.{name}": value for name, value in training.supernet.state_dict().items()}
    result |= {f"eval.{name}": value for name, value in training.eval_network.state_dict().items()}
    return {name: value.detach().clone() for name, value in (result | training.state()).items()}


def drawing_only(training: SupernetTrainer, *networks: Genes) -> None:
    """Have every step train these networks."""
    training.sampler.step = lambda: list(networks)  # type: ignore[method-assign]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.slow
def test_stopped_anywhere_a_training_comes_to_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    recipe, settings = KINDS[name]
    unbroken = training_of(recipe, **settings)
    while not unbroken.done:
        unbroken.advance()
    assert (unbroken.epoch, unbroken.steps) == (2, 6)  # of 20 images, 8 a step
    for stop in (2, 4):  # within the first epoch, and within the second
        torch.manual_seed(stop)
        path, stopped = tmp_path / str(stop), training_of(recipe, **settings)
        while stopped.steps < stop:
            stopped.advance(1)
        save_supernet(stopped.checkpoint(), path)
        again = training_of(recipe, **settings)
        again.restore(load_supernet(path))
        while not again.done:
            again.advance(1)
        assert differing(everything(again), everything(unbroken)) == []
        assert again.curve == unbroken.curve


def test_with_a_single_network_it_is_an_ordinary_training() -> None:
    space = space_of(
        "{out: 6, kernel: 3, expansion: 2, attention: se}\n{out: 6, kernel: 5, expansion: 2, attention: eca}",
        resolution="8",
        stem="{out: 6, stride: 1}",
        head="{features: 12, hidden: 8}",
    )
    recipe = replace(
        CONSTANT, epochs=2, weight_decay=0.01, max_grad_norm=0.5, label_smoothing=0.1, augment="flip-crop"
    )
    training = SupernetTrainer(space, noise_data(), SupernetConfig(recipe, seed=3))
    alone = training.supernet.extract({})
    ordinary = Trainer(alone, noise_data(), recipe, seed=3)
    curve = [ordinary.run_epoch() for _ in range(2)]
    while not training.done:
        training.advance()
    weights = training.supernet.extract({}).state_dict()
    for name, value in alone.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-5)
    assert [each.train_loss for each in training.curve] == pytest.approx(
        [p.train_loss for p in curve], rel=1e-4
    )
    assert [each.train_top1 for each in training.curve] == [p.train_top1 for p in curve]


def test_a_step_leaves_the_weights_of_other_networks_alone_also_by_momentum_and_decay() -> None:
    training = training_of(replace(CONSTANT, weight_decay=0.1))
    least = {**smallest_genes(OURS), "stage1.depth": 1, "stage1.block1.attention": "se"}
    other = {**least, "stage1.block1.attention": "eca"}
    state = training.supernet.state_dict
    first = {name: value.clone() for name, value in state().items()}
    drawing_only(training, least)
    training.advance(1)
    changed = set(differing(first, state()))
    assert "stages.0.0.se.reduce.weight" in changed
    assert not {name for name in changed if ".eca." in name or "stages.1.1" in name or "hidden" in name}
    second = {name: value.clone() for name, value in state().items()}
    drawing_only(training, other)
    training.advance(1)
    changed = set(differing(second, state()))
    assert "stages.0.0.eca.conv.weight" in changed
    assert not {name for name in changed if ".se." in name}


def test_a_sandwich_learns_the_labels_by_its_first_network_and_its_answers_by_the_others() -> None:
    recipe = replace(CONSTANT, batch_size=20, momentum=0.0, learning_rate=1.0, label_smoothing=0.2)
    training, hand = training_of(recipe, strategy="sandwich"), seeded_supernet(OURS, 0)
    large, least = training.sampler.step()[:2]
    assert large["resolution_px"] == 12 and least["resolution_px"] == 8
    drawing_only(training, large, least)
    training.advance(1)
    shuffle = torch.Generator().manual_seed(0)
    [(images, labels)] = noise_data().batches("train", 12, 20, shuffle=shuffle)
    logits = hand(images, large)
    # the cross-entropies written out; 2 classes share the smoothing of 0.2
    targets = torch.eye(2)[labels] * 0.8 + 0.1
    loss = -(targets * logits.log_softmax(1)).sum(1).mean()
    answers = logits.softmax(1).detach()
    loss = loss - (answers * hand(downscale(images, 8), least).log_softmax(1)).sum(1).mean()
    loss.backward()
    with torch.no_grad():
        for value in hand.parameters():
            if value.grad is not None:
                value.sub_(value.grad)
    for name, value in training.supernet.named_parameters():
        torch.testing.assert_close(value, hand.get_parameter(name), rtol=1e-4, atol=1e-5)


def test_the_average_of_the_weights_is_saved(tmp_path: Path) -> None:
    training = training_of(replace(CONSTANT, epochs=1, batch_size=10, ema=0.75, learning_rate=0.5))
    name = "features.conv.weight"
    images_seen = []
    while not training.done:
        training.advance(1)
        images_seen.append(training.supernet.get_parameter(name).detach().clone())
    assert len(images_seen) == 2
    train_to_end(training, tmp_path / "net")
    saved = load_supernet(tmp_path / "net").weights[name]
    # it starts with the weights after the first step
    torch.testing.assert_close(saved, 0.75 * images_seen[0] + 0.25 * images_seen[1])
    assert not saved.equal(images_seen[1])


def rates(training: SupernetTrainer) -> list[float]:
    """Those of the steps."""
    result = []
    while not training.done:
        before = training.steps
        training.advance(1)
        if training.steps > before:
            result.append(training._optimizer.param_groups[0]["lr"])
    return result


@pytest.mark.parametrize("budget", [{}, {"minutes": 0.1}])
def test_the_cosine_ends_at_zero_whatever_the_budget_is_counted_in(budget: dict[str, float]) -> None:
    # 2 epochs of 3 steps, or 6 seconds with a second a step
    recipe = replace(PLAIN, epochs=2, schedule="cosine", warmup_fraction=0.0, learning_rate=1.0)
    # half a cosine over 6 steps: (1 + cos(pi k / 6)) / 2
    expected = [1.0, 0.9330, 0.75, 0.5, 0.25, 0.0670]
    assert rates(training_of(recipe, **budget)) == pytest.approx(expected, abs=2e-4)


def test_minutes_end_in_the_middle_of_an_epoch_and_are_spent_on_steps_alone() -> None:
    training = training_of(CONSTANT, minutes=5 / 60)
    while not training.done:
        training.advance(2)
    assert (training.steps, training.seconds, training.images_seen) == (5, 5, 8 + 8 + 4 + 8 + 8)
    assert [point.seconds for point in training.curve] == [3, 2]
    assert training.checkpoint().state == {}


def test_only_training_images_are_used(tmp_path: Path) -> None:
    data: Any = TrainOnly(noise_data())
    settings = SupernetConfig(replace(RICH, ema=0.5), strategy="balanced", seed=2)
    train_to_end(SupernetTrainer(SMALL, data, settings), tmp_path / "net")
    checkpoint = load_supernet(tmp_path / "net")
    assert (checkpoint.steps, checkpoint.finished, checkpoint.settings) == (6, True, settings)


def test_torchs_global_random_state_is_neither_used_nor_changed() -> None:
    result = []
    for seed in (5, 6):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        training = training_of(RICH)
        training.advance()
        training.state()
        assert torch.get_rng_state().equal(before)
        result.append(everything(training))
    assert differing(*result) == []


def test_another_seed_gives_other_weights() -> None:
    first, second = (seeded_supernet(OURS, seed).state_dict() for seed in (0, 1))
    assert not first["features.conv.weight"].equal(second["features.conv.weight"])


def test_the_file_is_written_before_the_first_step_and_after_each_epoch(tmp_path: Path) -> None:
    path, shares = tmp_path / "net", []
    training = training_of(replace(CONSTANT, epochs=3))

    def on_save(trainer: SupernetTrainer) -> None:
        shares.append(load_supernet(path).fraction_done)
        if len(shares) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_to_end(training, path, on_save)
    assert shares == pytest.approx([1 / 3, 2 / 3])
    again = training_of(replace(CONSTANT, epochs=3))
    again.restore(load_supernet(path))
    train_to_end(again, path)
    assert load_supernet(path).finished


def test_a_loss_that_is_no_number_ends_the_training_and_leaves_the_file(tmp_path: Path) -> None:
    training = training_of(replace(CONSTANT, learning_rate=1e30, epochs=4))
    with pytest.raises(NonFiniteLossError, match="not finite after 3 steps"):
        train_to_end(training, tmp_path / "net")
    assert load_supernet(tmp_path / "net").steps == 0


def test_images_shrink_to_the_side_of_a_network() -> None:
    # two columns of a bright and two of a dark image; each pixel of the smaller one is a weighted mean
    images = torch.tensor([0.0, 0.0, 8.0, 8.0]).repeat(4, 1)[None, None]
    smaller = downscale(images, 2)
    # a triangle of 2 pixels to both sides: weights 3, 3, 1 of 7 for the first three columns
    torch.testing.assert_close(smaller[0, 0], torch.tensor([8 / 7, 48 / 7]).repeat(2, 1))
    assert downscale(images, 4) is images


@pytest.mark.parametrize(("field", "value"), [("freeze", "backbone"), ("drop_path", 0.2)])
def test_recipe_options_without_supernet_support_are_refused(field: str, value: object) -> None:
    with pytest.raises(FieldError, match=f"^{field} must be (none|0) in the recipe of a supernet"):
        SupernetConfig(replace(PLAIN, **{field: value}))  # type: ignore[arg-type]
