"""Training and evaluation on constructed data and on the digits."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.optim import SGD

from bneck.evaluate import Accuracy, Recipe
from bneck.evaluate.data.augmentation import NO_AUGMENTATION, Augmentation
from bneck.evaluate.data.dataset import Data, Split, load_data, subsample
from bneck.evaluate.statistics.outcomes import unpack_outcomes
from bneck.evaluate.training import evaluation
from bneck.evaluate.training.evaluation import evaluate, evaluate_images, recalibrate_batchnorm
from bneck.evaluate.training.optimizers import cosine_schedule
from bneck.evaluate.training.train import train
from bneck.search_space import Architecture, Block, Head, Stem
from bneck.search_space.errors import NonFiniteLossError
from bneck.search_space.network import Network, build_network

from ...search_space.helpers import TOY

Batch = tuple[Tensor, Tensor]
DIGITS_TOY = replace(TOY, image_channels=1, classes=10)
ONE_STEP = Recipe(epochs=1, batch_size=4, learning_rate=0.5, dropout=0.0, augment="none")


@dataclass(frozen=True)
class GivenBatches:
    """Two classes of color images in fixed batches, without test images."""

    train: tuple[Batch, ...]
    validation: tuple[Batch, ...]
    name: str = "given"
    class_names: tuple[str, ...] = ("a", "b")
    image_channels: int = 3
    pixel_mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    pixel_std: tuple[float, ...] = (1.0, 1.0, 1.0)
    image_size_px: int | None = 8
    asked: list[str] = field(default_factory=list)

    def of(self, split: Split) -> tuple[Batch, ...]:
        assert split != "test", "the test images are for the networks chosen"
        return self.train if split == "train" else self.validation

    def count(self, split: Split) -> int:
        return len(self.labels(split))

    def labels(self, split: Split) -> Tensor:
        return torch.cat([labels for _, labels in self.of(split)])

    def subset(self, split: Split, chosen: Tensor) -> Data:
        raise NotImplementedError

    def with_normalization(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Data:
        raise NotImplementedError

    def batches(
        self,
        split: Split,
        resolution_px: int,
        batch_size: int,
        *,
        shuffle: Generator | None = None,
        augment: Augmentation = NO_AUGMENTATION,
        shard: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        how = (" shuffled" if shuffle else "") + (" augmented" if augment.changes_images else "")
        self.asked.append(f"{split}, {resolution_px} px, {batch_size} a batch{how}")
        return iter(self.of(split))


def noise(count: int, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 8, 8, generator=generator), torch.arange(count) % 2


def given(*sizes: int) -> GivenBatches:
    """Noise in training batches of these sizes, and 6 validation images."""
    return GivenBatches(tuple(noise(size, seed) for seed, size in enumerate(sizes)), (noise(6, seed=99),))


def toy(architecture: Architecture = TOY) -> Network:
    """A network with fixed initial weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_network(architecture)


def digits(train_images: int, validation_images: int = 20) -> Data:
    return subsample(load_data("digits"), train=train_images, validation=validation_images)


def untimed(accuracy: Accuracy) -> Accuracy:
    return replace(accuracy, seconds=0.0)


def parameters(network: Network) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Learning rate of every step."""
    images_seen: list[float] = []

    class Watched(SGD):
        def step(self, closure: None = None) -> None:  # type: ignore[override]
            images_seen.append(self.param_groups[0]["lr"])
            super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Watched)
    return images_seen


RECIPE = Recipe(epochs=3, batch_size=16, dropout=0.5)


def test_the_same_seed_gives_the_same_network_to_the_bit_whatever_ran_before() -> None:
    data = digits(100)
    networks, results = [toy(DIGITS_TOY) for _ in range(2)], []
    for network, before in zip(networks, (5, 6), strict=True):
        with torch.random.fork_rng():
            torch.manual_seed(before)
            results.append(untimed(train(network, data, RECIPE, seed=7)))
    assert results[0] == results[1]
    first, second = (network.state_dict() for network in networks)
    assert all(value.equal(second[name]) for name, value in first.items())


def test_the_seed_determines_the_order_of_images() -> None:
    data, recipe = digits(100), replace(RECIPE, dropout=0.0, augment="none")
    first, second = toy(DIGITS_TOY), toy(DIGITS_TOY)
    losses = [train(network, data, recipe, seed=seed).loss for network, seed in ((first, 7), (second, 8))]
    assert losses[0] != losses[1]
    assert not parameters(first).equal(parameters(second))


@pytest.mark.parametrize(("dropout", "same"), [(0.0, True), (0.5, False)])
def test_the_seed_determines_dropout(dropout: float, same: bool) -> None:
    first, second = toy(), toy()
    for network, seed in ((first, 7), (second, 8)):
        train(network, given(4, 4), replace(ONE_STEP, dropout=dropout), seed=seed)
    assert parameters(first).equal(parameters(second)) is same


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_training_preserves_the_global_random_state(dropout: float) -> None:
    network = toy()
    before = torch.get_rng_state()
    train(network, given(4, 4), replace(ONE_STEP, dropout=dropout), seed=7)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_validation_does_not_change_the_training(dropout: float) -> None:
    alone, watched = toy(), toy()
    recipe = replace(ONE_STEP, epochs=3, dropout=dropout)
    unseen = train(alone, given(4, 4), recipe, seed=7)
    images_seen = train(watched, given(4, 4), recipe, seed=7, validate_each_epoch=True)
    assert parameters(alone).equal(parameters(watched))
    assert [epoch.train_loss for epoch in unseen.curve] == [epoch.train_loss for epoch in images_seen.curve]
    assert (unseen.top1, unseen.loss) == (images_seen.top1, images_seen.loss)


def test_the_digits_are_learned_in_a_few_epochs() -> None:
    blocks = (Block(3, 48, 24, "none", "relu", 2), Block(3, 72, 32, "none", "relu", 2))
    network = toy(Architecture(8, Stem(16, stride=1), blocks, Head(96), image_channels=1, classes=10))
    accuracy = train(network, load_data("digits"), Recipe(epochs=3, batch_size=32, augment="none"), seed=0)
    losses = [epoch.train_loss for epoch in accuracy.curve]
    # a guess among ten classes has accuracy 0.1 and loss log 10 = 2.3
    assert accuracy.top1 > 0.8
    assert accuracy.loss < 0.8
    assert losses[0] > losses[1] > losses[2]
    assert (accuracy.images, accuracy.seed, accuracy.seconds > 0) == (359, 0, True)


def test_a_network_is_trained_and_evaluated_in_place() -> None:
    network, data = toy(), given(4, 4)
    before = parameters(network)
    accuracy = train(network, data, replace(ONE_STEP, epochs=2), seed=7)
    assert not parameters(network).equal(before)
    assert evaluate(network, data, "validation") == (accuracy.top1, accuracy.loss)
    assert not network.training


def test_only_training_images_are_shuffled_and_augmented() -> None:
    data = given(4, 4)
    train(toy(replace(TOY, resolution_px=12)), data, replace(ONE_STEP, augment="flip-crop"), seed=7)
    assert data.asked == [
        "train, 12 px, 4 a batch shuffled augmented",
        "train, 12 px, 4 a batch shuffled augmented",  # batch normalisation recalibration
        "validation, 12 px, 256 a batch",
    ]


def certain_network() -> Network:
    """Predicts 3/4 for class 0 and 1/4 for class 1 for every image."""
    network = toy()
    nn.init.zeros_(network.classifier.weight)
    with torch.no_grad():
        network.classifier.bias.copy_(torch.tensor([math.log(3), 0]))
    return network


def test_losses_are_averaged_over_images_and_only_the_training_loss_is_smoothed() -> None:
    images = torch.randn(6, 3, 8, 8)
    data = GivenBatches(
        train=((images[:4], torch.tensor([0, 0, 0, 0])), (images[4:], torch.tensor([1, 1]))),
        validation=((images[:4], torch.tensor([0, 0, 0, 1])), (images[4:], torch.tensor([1, 1]))),
    )
    recipe = replace(ONE_STEP, epochs=2, learning_rate=0.0, label_smoothing=0.1)
    accuracy = train(certain_network(), data, recipe, seed=7, validate_each_epoch=True)
    # Smoothing gives 0.95 to the label and 0.05 to the other class.
    sure, unsure = -math.log(3 / 4), -math.log(1 / 4)
    smoothed = (4 * (0.95 * sure + 0.05 * unsure) + 2 * (0.95 * unsure + 0.05 * sure)) / 6
    assert accuracy.loss == pytest.approx((3 * sure + 3 * unsure) / 6)
    assert accuracy.top1 == 0.5
    for epoch in accuracy.curve:
        assert epoch.train_loss == pytest.approx(smoothed)
        assert epoch.validation_loss == pytest.approx(accuracy.loss)
        assert epoch.validation_top1 == 0.5


class Echo(Network):
    """Whose logits are the first two pixels; notes in which mode it ran."""

    def forward(self, images: Tensor) -> Tensor:
        self.ran_in_training = self.training
        return images[:, 0, 0, :2]


def test_evaluation_counts_correct_predictions() -> None:
    def batch(*answers: tuple[float, float, int]) -> Batch:
        images = torch.zeros(len(answers), 3, 8, 8)
        for image, (first, second, _) in zip(images, answers, strict=True):
            image[0, 0, :2] = torch.tensor([first, second])
        return images, torch.tensor([label for _, _, label in answers])

    # Odds of 3 to 1 are probabilities 3/4 and 1/4; equal probabilities predict class 0.
    log3 = math.log(3)
    validation = batch((log3, 0, 0), (0, log3, 1), (log3, 0, 1), (5, 5, 0)), batch((log3, 0, 0))
    network = Echo(TOY).train()
    top1, loss = evaluate(network, GivenBatches((), validation), "validation")
    assert top1 == 4 / 5
    assert loss == pytest.approx(-(3 * math.log(3 / 4) + math.log(1 / 4) + math.log(1 / 2)) / 5)
    assert network.ran_in_training is False
    found = evaluate_images(network, GivenBatches((), validation), "validation")
    assert (found.top1, found.loss, found.images) == (top1, loss, 5)
    assert unpack_outcomes(found.outcomes, 5).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize("images", [3, 256, 700])
def test_outcomes_of_several_processes_are_in_the_order_of_the_split(
    images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct = torch.rand(images, generator=torch.Generator().manual_seed(0)) < 0.5
    parts: list[torch.Tensor] = []
    monkeypatch.setattr("torch.distributed.all_reduce", parts.append)
    for rank in range(3):
        evaluation._merged([each[rank::3] for each in torch.split(correct, 256)], images, (rank, 3), "cpu")
    assert sum(parts, torch.zeros(images)).bool().equal(correct)


def test_evaluation_reads_only_its_split() -> None:
    ones = torch.ones(1, 3, 8, 8)
    data = GivenBatches(train=((ones, torch.tensor([0])),), validation=((ones, torch.tensor([1])),))
    # equal logits predict class 0
    assert evaluate(Echo(TOY), data, "train")[0] == 1
    assert evaluate(Echo(TOY), data, "validation")[0] == 0


def test_recalibration_averages_the_statistics_of_batches() -> None:
    # A first convolution that copies the red pixels, so that the statistics are theirs.
    network = toy(replace(TOY, stem=Stem(1, stride=1), blocks=(Block(3, 1, 2, "none", "relu", 1),)))
    with torch.no_grad():
        weight = network.stem.get_parameter("conv.weight")
        weight.zero_()
        weight[0, 0, 1, 1] = 1
    mean, var = (network.stem.get_buffer(f"norm.running_{name}") for name in ("mean", "var"))
    mean.fill_(100)
    var.fill_(100)

    def two_images(first: float, second: float) -> Batch:
        pixels = torch.tensor([first, second], dtype=torch.float32).view(2, 1, 1, 1)
        return pixels.expand(2, 3, 8, 8), torch.tensor([0, 1])

    data = GivenBatches(train=(two_images(0, 2), two_images(4, 8), two_images(999, 0)), validation=())
    recalibrate_batchnorm(network, data, Recipe(batch_size=2, bn_recalibration_images=4))
    # Means 1 and 6 (the third batch is more than the 4 images asked for); variances 1 and 4, times
    # 128/127 for 128 pixels.
    assert mean.item() == pytest.approx(3.5)
    assert var.item() == pytest.approx(2.5 * 128 / 127)
    norm = network.stem.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.momentum == 0.1


def test_a_network_is_evaluated_with_recalibrated_normalisation() -> None:
    network, data = toy(), given(4, 4)
    recipe = replace(ONE_STEP, bn_recalibration_images=8)
    train(network, data, recipe, seed=7)
    mean = network.stem.get_buffer("norm.running_mean")
    first_convolution = network.stem.get_submodule("conv")
    maps = torch.cat([first_convolution(images) for images, _ in data.train])
    # a running mean after two batches would still be 81% of its initial 0
    torch.testing.assert_close(mean, maps.mean((0, 2, 3)).detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bn_recalibration_images", [1, 10**6])
def test_recalibration_with_few_images_or_more_than_available(bn_recalibration_images: int) -> None:
    network = toy()
    recalibrate_batchnorm(
        network, given(4, 4), Recipe(batch_size=4, bn_recalibration_images=bn_recalibration_images)
    )
    tracked = network.stem.get_buffer("norm.num_batches_tracked")
    assert tracked.item() == (1 if bn_recalibration_images == 1 else 2)


def test_a_long_warmup_rises_by_equal_steps() -> None:
    share = cosine_schedule(steps=8, warmup_fraction=0.5)
    assert [share(step) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]


def test_without_a_warmup_the_first_step_is_the_highest() -> None:
    share = cosine_schedule(steps=3, warmup_fraction=0)
    assert [share(step) for step in range(4)] == pytest.approx([1, 1, 0.5, 0])


def test_every_step_uses_the_scheduled_rate(rates: list[float]) -> None:
    train(toy(), given(4, 4, 4), replace(ONE_STEP, epochs=2, warmup_fraction=1 / 3), seed=7)
    # 6 steps, 2 of them up, 4 down
    up, down = [0.25, 0.5], [0.25 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates == pytest.approx(up + down)


@pytest.mark.parametrize("images", [65, 80])
def test_the_last_steps_are_small_however_many_images_there_are(images: int, rates: list[float]) -> None:
    recipe = Recipe(epochs=10, batch_size=32 if images == 80 else 64, learning_rate=1.0, augment="none")
    train(toy(DIGITS_TOY), digits(images), recipe, seed=7)
    # 30 steps for 80 images in batches of 32, 10 steps for the others; of 10 with one up the last
    # has the share (1 + cos(8/9 pi)) / 2 = 0.03
    assert len(rates) == (30 if images == 80 else 10)
    assert max(rates) == 1
    assert rates[-1] < 0.031


def test_two_steps_match_nesterov_momentum() -> None:
    network, by_hand, data = toy(), toy().train(), given(4, 4)
    recipe = replace(ONE_STEP, learning_rate=0.05, max_grad_norm=1e6, weight_decay=0.0, label_smoothing=0.2)
    train(network, data, recipe, seed=7)
    weights = list(by_hand.parameters())
    speeds = [torch.zeros_like(weight) for weight in weights]
    for images, labels in data.train:
        loss = nn.functional.cross_entropy(by_hand(images), labels, label_smoothing=0.2)
        for weight, speed, slope in zip(weights, speeds, torch.autograd.grad(loss, weights), strict=True):
            speed.mul_(0.9).add_(slope)
            # of two steps the first is the warm-up and the second begins the cosine: both are whole
            weight.data -= 0.05 * (slope + 0.9 * speed)
    torch.testing.assert_close(parameters(network), parameters(by_hand), rtol=1e-4, atol=1e-6)


def test_gradients_below_the_clip_are_unchanged() -> None:
    # scaled up to the clip, the steps would differ by a factor of 1000
    recipe = replace(ONE_STEP, weight_decay=0.0)
    networks = [toy() for _ in range(2)]
    for network, max_grad_norm in zip(networks, (1e3, 1e6), strict=True):
        train(network, given(4), replace(recipe, max_grad_norm=max_grad_norm), seed=7)
    assert parameters(networks[0]).equal(parameters(networks[1]))


def test_a_non_finite_loss_is_raised_with_its_epoch() -> None:
    images, labels = noise(4)
    broken = GivenBatches(train=((images * math.nan, labels),), validation=(noise(4),))
    with pytest.raises(NonFiniteLossError, match=r"^the loss of epoch 1 is nan$"):
        train(toy(), broken, ONE_STEP, seed=7)


def test_a_huge_learning_rate_is_an_error() -> None:
    wild = replace(ONE_STEP, epochs=3, learning_rate=1e38, max_grad_norm=0.0)
    with pytest.raises(NonFiniteLossError, match=r"^the loss of epoch [123] is (nan|inf)$"):
        train(toy(), given(4, 4), wild, seed=7)


def test_a_network_diverging_in_the_last_step_is_an_error() -> None:
    with pytest.raises(NonFiniteLossError, match=r"^the loss on the validation images is nan$"):
        train(toy(), given(4), replace(ONE_STEP, learning_rate=1e38, max_grad_norm=0.0), seed=7)


def test_on_epoch_gets_the_epoch_and_the_total() -> None:
    calls: list[tuple[int, int]] = []
    train(toy(), given(4), replace(ONE_STEP, epochs=3), seed=7, on_epoch=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_an_exception_of_on_epoch_ends_the_training() -> None:
    def stop(epoch: int, epochs: int) -> None:
        raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        train(toy(), given(4), replace(ONE_STEP, epochs=3), seed=7, on_epoch=stop)
    assert torch.get_rng_state().equal(before)


def test_the_curve_has_one_point_per_epoch_and_optional_validation() -> None:
    recipe = replace(ONE_STEP, epochs=3)
    plain = train(toy(), given(4), recipe, seed=7)
    assert len(plain.curve) == 3
    assert {(epoch.validation_loss, epoch.validation_top1) for epoch in plain.curve} == {(None, None)}
    full = train(toy(), given(4), recipe, seed=7, validate_each_epoch=True)
    assert (full.curve[-1].validation_loss, full.curve[-1].validation_top1) == (full.loss, full.top1)
    assert len({epoch.validation_loss for epoch in full.curve}) == 3


def test_images_seen_counts_processed_images() -> None:
    # 2 epochs of 16 + 16; the 3 images left are less than half a batch
    accuracy = train(toy(DIGITS_TOY), digits(35), replace(RECIPE, epochs=2), seed=7)
    assert (accuracy.images_seen, accuracy.images) == (64, 20)
