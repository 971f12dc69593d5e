"""Trainer: reproducibility, resuming, moving average, freezing, precision."""

import copy
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate import Recipe
from bneck.evaluate.data.dataset import SPLITS
from bneck.evaluate.data.in_memory import InMemoryData, LabelledImages
from bneck.evaluate.training.evaluation import evaluate
from bneck.evaluate.training.trainer import ComputeConfig, Trainer
from bneck.search_space.errors import FieldError, NonFiniteLossError
from bneck.search_space.network import Bneck, Network

from ..example_training import (
    PLAIN,
    differing,
    everything,
    gone_on,
    keep,
    noise_data,
    one_epoch,
    toy,
    training_of,
)

RICH = Recipe(
    epochs=2,
    batch_size=8,
    learning_rate=0.02,
    warmup_fraction=0.4,
    dropout=0.5,
    drop_path=0.5,
    ema=0.7,
    augment="flip-crop+randaugment+random-erase+mixup",
    bn_recalibration_images=0,
)
RECIPES = {
    "sgd": replace(RICH, epochs=3),
    "adam": replace(RICH, optimizer="adam", learning_rate=0.003, schedule="steps", step_epochs=0.5),
    "adamw": replace(RICH, optimizer="adamw", learning_rate=0.003, augment="autoaugment+cutmix"),
    "rmsprop": replace(RICH, optimizer="rmsprop", learning_rate=0.003, schedule="steps", step_epochs=1.5),
    "no momentum": replace(RICH, momentum=0.0, ema=0.0, drop_path=0.0, augment="trivialaugment"),
    "rmsprop without momentum": replace(RICH, optimizer="rmsprop", learning_rate=0.003, momentum=0.0),
    "settled norms": replace(RICH, drop_path=0.0, bn_recalibration_images=16),
    "frozen": replace(RICH, freeze="backbone", drop_path=0.0, bn_recalibration_images=16),
}


def rehearsed(recipe: Recipe, tmp_path: Path, compute: ComputeConfig | None = None) -> None:
    """Stop after every epoch, resume from the file, and compare with an uninterrupted training."""
    torch.manual_seed(5)
    unbroken = training_of(recipe, compute=compute)
    curve = [one_epoch(unbroken) for _ in range(recipe.epochs)]
    assert unbroken.done
    saved = training_of(recipe, compute=compute)
    for epoch in range(recipe.epochs):
        keep(saved, curve[:epoch], tmp_path / f"{epoch}.safetensors")
        assert one_epoch(saved) == curve[epoch]
    for epoch in range(recipe.epochs):
        training, known = gone_on(tmp_path / f"{epoch}.safetensors", compute)
        assert training.epoch == epoch
        while not training.done:
            known.append(one_epoch(training))
        assert known == curve
        assert differing(everything(training), everything(unbroken)) == []


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.slow
def test_resuming_after_any_epoch_is_bit_identical(name: str, tmp_path: Path) -> None:
    rehearsed(RECIPES[name], tmp_path)


@pytest.mark.slow
def test_resuming_with_two_threads_is_bit_identical(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    try:
        rehearsed(RICH, tmp_path)
    finally:
        torch.set_num_threads(1)


def test_recalibration_with_drop_path_is_reproducible(tmp_path: Path) -> None:
    rehearsed(replace(RICH, bn_recalibration_images=16), tmp_path)


def test_the_network_does_not_depend_on_the_number_of_evaluations() -> None:
    often, once = training_of(RECIPES["settled norms"]), training_of(RECIPES["settled norms"])
    for _ in range(3):
        often.run_epoch()
        often.evaluate()
        often.evaluate()
    for _ in range(3):
        once.run_epoch()
    weights = [[*training.network.parameters()] for training in (often, once)]
    assert all(a.equal(b) for a, b in zip(*weights, strict=True))
    assert often.evaluate() == once.evaluate()


@pytest.mark.parametrize("recipe", [RICH, RECIPES["settled norms"]], ids=["", "settled"])
def test_the_global_random_state_is_neither_used_nor_changed(recipe: Recipe) -> None:
    networks = []
    for seed in (5, 6):
        network = toy()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        training = Trainer(network, noise_data(), recipe, seed=3)
        one_epoch(training)
        training.state()
        assert torch.get_rng_state().equal(before)
        networks.append(everything(training))
    assert differing(*networks) == []


def test_dropout_differs_between_epochs() -> None:
    # the random state must advance from epoch to epoch
    states = [training_of(RICH).state()["random.cpu"]]
    training = training_of(RICH)
    for _ in range(2):
        training.run_epoch()
        states.append(training.state()["random.cpu"])
    assert not any(a.equal(b) for a, b in pairwise(states))


def by_hand(network: Network, recipe: Recipe, rates: list[float]) -> None:
    """A minimal loop: SGD on shuffled batches."""
    data, shuffle = noise_data(), torch.Generator().manual_seed(3)
    network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9, nesterov=True, fused=True)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        for images, labels in data.batches("train", 8, recipe.batch_size, shuffle=shuffle):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def test_an_epoch_matches_a_minimal_loop() -> None:
    network, hand = toy(), toy()
    training = Trainer(network, noise_data(), replace(PLAIN, schedule="constant"), seed=3)
    training.run_epoch()
    training.run_epoch()
    by_hand(hand, PLAIN, [0.05, 0.05])
    assert differing(network.state_dict(), hand.state_dict()) == []


def test_the_rate_follows_the_schedule_through_all_epochs() -> None:
    # 20 images in batches of 8: two whole and one half full, 3 steps an epoch; a third every epoch
    network, hand = toy(), toy()
    recipe = replace(PLAIN, schedule="steps", step_epochs=1.0, step_factor=1 / 3)
    training = Trainer(network, noise_data(), recipe, seed=3)
    for _ in range(3):
        training.run_epoch()
    by_hand(hand, PLAIN, [0.05, 0.05 / 3, 0.05 / 9])
    assert training.steps == 9
    for name, value in hand.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_processed_images_are_counted() -> None:
    batch_sizes: list[int] = []
    training = Trainer(toy(), noise_data(train=19), replace(PLAIN, epochs=2), seed=3)
    point = training.run_epoch(batch_sizes.append)
    # of 19 images in batches of 8 the last 3 are less than half a batch and left out
    assert (batch_sizes, training.images_seen, training.steps, training.epoch) == ([8, 8], 16, 2, 1)
    assert 0 <= training.data_wait_fraction <= 1
    assert point.train_top1 is not None
    assert (16 * point.train_top1) == pytest.approx(round(16 * point.train_top1))
    training.run_epoch(batch_sizes.append)
    assert (batch_sizes, training.images_seen, training.done) == ([8, 8, 8, 8], 32, True)


def sure_of_class_0() -> Network:
    network = toy()
    nn.init.zeros_(network.classifier.weight)
    with torch.no_grad():
        network.classifier.bias.copy_(torch.tensor([math.log(3), 0]))
    return network


def test_the_curve_holds_the_training_accuracy() -> None:
    # 5 of 16 images are of class 1, the only wrong predictions
    data = noise_data(train=16)
    pixels = data.splits["train"].pixels
    data = replace(
        data, splits={**data.splits, "train": LabelledImages(pixels, (torch.arange(16) < 5).long())}
    )
    point = Trainer(sure_of_class_0(), data, replace(PLAIN, learning_rate=0.0), seed=3).run_epoch()
    assert point.train_top1 == 11 / 16
    assert point.train_loss == pytest.approx((11 * math.log(4 / 3) + 5 * math.log(4)) / 16)


def test_a_mixed_image_counts_for_its_dominant_class() -> None:
    recipe = replace(PLAIN, learning_rate=0.0, augment="mixup")
    data = noise_data(train=16)
    zeros = LabelledImages(data.splits["train"].pixels, torch.zeros(16, dtype=torch.int64))
    same = replace(data, splits={**data.splits, "train": zeros})
    assert Trainer(sure_of_class_0(), same, recipe, seed=3).run_epoch().train_top1 == 1


# moving average


def test_the_moving_average_matches_its_recursion() -> None:
    network, decay = toy(), 0.75
    training = Trainer(network, noise_data(), replace(PLAIN, ema=decay), seed=3)
    images_seen: list[dict[str, Tensor]] = []

    def look(_: int) -> None:
        images_seen.append({name: value.detach().clone() for name, value in network.state_dict().items()})

    training.run_epoch(look)
    training.run_epoch(look)
    assert len(images_seen) == 6
    eval_network = training.eval_network.state_dict()
    for name, value in eval_network.items():
        if value.is_floating_point():  # running statistics are averaged with the weights
            average = images_seen[0][name]
            for later in images_seen[1:]:
                average = decay * average + (1 - decay) * later[name]
            torch.testing.assert_close(value, average, rtol=1e-5, atol=1e-6, msg=name)


def test_the_moving_average_is_evaluated_and_training_continues_with_the_weights() -> None:
    recipe = replace(PLAIN, learning_rate=0.3)
    averaged, plain = training_of(replace(recipe, ema=0.9)), training_of(recipe)
    for training in (averaged, plain):
        training.run_epoch()
        before = everything(training)
        result = training.evaluate()
        assert differing(before, everything(training)) == []
        assert result == evaluate(training.eval_network, noise_data(), "validation")
        training.run_epoch()
    assert differing(averaged.network.state_dict(), plain.network.state_dict()) == []
    assert averaged.eval_network is not averaged.network
    assert plain.eval_network is plain.network
    assert averaged.evaluate() != plain.evaluate()


# a frozen backbone


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_a_frozen_backbone_does_not_change(ema: float) -> None:
    network = toy()
    network.train()
    network(torch.randn(4, 3, 8, 8))  # statistics of their own
    before = copy.deepcopy(network.state_dict())
    recipe = replace(
        PLAIN, freeze="backbone", ema=ema, weight_decay=0.1, bn_recalibration_images=16, optimizer="adamw"
    )
    training = Trainer(network, noise_data(), recipe, seed=3)
    modes: list[tuple[bool, ...]] = []

    def look(_: int) -> None:
        parts = [*network.backbone, network.dropout, network.classifier]
        modes.append(tuple(module.training for part in parts for module in part.modules()))

    training.run_epoch(look)
    training.evaluate()
    training.run_epoch(look)
    layers = sum(len([*part.modules()]) for part in network.backbone)
    assert set(modes) == {(False,) * layers + (True, True)}
    for result in (network.state_dict(), training.eval_network.state_dict()):
        changed = {name.split(".")[0] for name, value in result.items() if not value.equal(before[name])}
        assert changed == {"hidden", "classifier"}


# drop-path


def test_the_recipe_sets_dropout_and_drop_path() -> None:
    network = training_of(replace(PLAIN, dropout=0.3, drop_path=0.6)).network
    paths = [block.drop_path.p for block in network.blocks if isinstance(block, Bneck) and block.residual]
    assert network.dropout.p == 0.3
    assert paths == pytest.approx([0.3, 0.6])  # the third has no residual


# precisions


def test_bf16_autocast_has_fp32_weights() -> None:
    rough, exact = training_of(PLAIN, compute=ComputeConfig(precision="bf16")), training_of(PLAIN)
    images_seen: list[torch.dtype] = []
    rough.network.classifier.register_forward_hook(lambda _m, _i, out: images_seen.append(out.dtype))
    points = [one_epoch(training) for training in (rough, exact)]
    assert set(images_seen[:3]) == {torch.bfloat16}
    assert images_seen[-1] == torch.float32  # evaluation in fp32
    # bf16 has 8 bits: losses near 0.7 agree to a few hundredths
    assert points[0].train_loss == pytest.approx(points[1].train_loss, abs=0.05)
    assert points[0].train_loss != points[1].train_loss
    floats = [value for value in everything(rough).values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_resuming_with_reduced_precision_is_bit_identical(precision: str, tmp_path: Path) -> None:
    rehearsed(RICH, tmp_path, ComputeConfig(precision=precision))  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_on_a_gpu_a_training_resumes_from_its_file(name: str, tmp_path: Path) -> None:
    rehearsed(RECIPES[name], tmp_path, ComputeConfig("cuda"))


@pytest.mark.parametrize("max_grad_norm", [0.0, 1e6])
def test_the_loss_scale_of_fp16_cancels_and_is_saved(max_grad_norm: float) -> None:
    recipe = replace(PLAIN, optimizer="sgd", max_grad_norm=max_grad_norm)
    scaled, exact = training_of(recipe, compute=ComputeConfig(precision="fp16")), training_of(recipe)
    scaled.run_epoch()
    exact.run_epoch()
    state = scaled.state()
    # torch's initial scale of 2^16 does not overflow these gradients
    assert state["scaler.scale"].item() == 2.0**16
    assert state["scaler._growth_tracker"].item() == 3
    assert not any(name.startswith("scaler.") for name in exact.state())
    for name, value in exact.network.named_parameters():
        torch.testing.assert_close(scaled.network.get_parameter(name), value, rtol=0.05, atol=5e-3)


def test_fp16_gradients_are_unscaled_before_clipping() -> None:
    # one SGD step has length rate * clip
    recipe = replace(PLAIN, epochs=1, momentum=0.0, max_grad_norm=0.01, learning_rate=1.0, batch_size=20)
    training = training_of(recipe, compute=ComputeConfig(precision="fp16"))
    before = torch.cat([p.detach().clone().flatten() for p in training.network.parameters()])
    training.run_epoch()
    after = torch.cat([p.detach().flatten() for p in training.network.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_precision_must_be_known() -> None:
    with pytest.raises(FieldError, match=r"^precision must be one of fp32, bf16, fp16, got 'fp8'$"):
        ComputeConfig(precision="fp8")  # type: ignore[arg-type]


# non-finite losses


def test_a_non_finite_loss_ends_the_epoch_within_50_steps() -> None:
    batch_sizes: list[int] = []
    network = toy()
    nn.init.constant_(network.classifier.bias, math.nan)
    training = Trainer(network, noise_data(train=400), replace(PLAIN, batch_size=4), seed=3)
    with pytest.raises(NonFiniteLossError, match=r"^the loss of epoch 1 is nan$"):
        training.run_epoch(batch_sizes.append)
    assert len(batch_sizes) == 49  # of 100


def test_a_non_finite_validation_loss_is_an_error() -> None:
    training = training_of(PLAIN)
    training.run_epoch()
    nn.init.constant_(training.network.classifier.bias, math.nan)
    with pytest.raises(NonFiniteLossError, match=r"^the loss on the validation images is nan$"):
        training.evaluate()


def test_evaluate_uses_the_given_split() -> None:
    training = training_of(PLAIN)
    result = {split: training.evaluate(split) for split in SPLITS}
    assert len(set(result.values())) == 3


def test_an_interrupted_epoch_restores_the_global_random_state() -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        training_of(RICH).run_epoch(stop)
    assert torch.get_rng_state().equal(before)


def test_the_shards_of_two_processes_make_up_each_batch() -> None:
    data: InMemoryData = noise_data()
    whole = list(data.batches("train", 8, 8, shuffle=torch.Generator().manual_seed(0)))
    halves = [
        list(data.batches("train", 8, 8, shuffle=torch.Generator().manual_seed(0), shard=(rank, 2)))
        for rank in (0, 1)
    ]
    for (images, _), (first, _), (second, _) in zip(whole, *halves, strict=True):
        assert torch.stack([first, second], 1).flatten(0, 1).equal(images)
