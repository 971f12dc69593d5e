"""Contract of evaluators: `bneck.evaluate.scorers.Scorer`."""

import math
import pickle
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Generator, Tensor

from bneck.evaluate import Recipe
from bneck.evaluate.data.augmentation import NO_AUGMENTATION, Augmentation
from bneck.evaluate.data.dataset import Data, Split
from bneck.evaluate.data.in_memory import LabelledImages, in_memory_data
from bneck.evaluate.scorers import EvaluationContext, Scorer, depends_on_seed, evaluator
from bneck.search_space import Architecture, cost, load_space

SPACE = load_space("tiny").for_data(1, 10)
RECIPE = Recipe(
    epochs=1,
    batch_size=16,
    learning_rate=0.05,
    warmup_fraction=0.0,
    dropout=0.0,
    augment="none",
    bn_recalibration_images=32,
)


def random_images(train: int = 40, validation: int = 20) -> Data:
    """Ten classes of random 8x8 images with one channel; the same images each time."""
    source = Generator().manual_seed(1)

    def images(count: int) -> LabelledImages:
        pixels = torch.randint(0, 256, (count, 8, 8, 1), generator=source, dtype=torch.uint8)
        return LabelledImages(pixels, torch.arange(count) % 10)

    splits: dict[Split, LabelledImages] = {
        "train": images(train),
        "validation": images(validation),
        "test": images(4),
    }
    return in_memory_data("random", tuple("abcdefghij"), splits, horizontal_flip=True)


def smallest_networks(count: int) -> tuple[Architecture, ...]:
    """Those with the fewest MACs of 20 random networks of the space `tiny`."""
    rng = random.Random(0)
    networks = {SPACE.decode(SPACE.sample(rng)) for _ in range(20)}
    return tuple(sorted(networks, key=lambda network: cost(network).macs)[:count])


@dataclass(frozen=True)
class GuardedData:
    """Data that refuse every use of test images, and training on validation images.

    Attributes:
        read: the splits that images were taken from, in order.
    """

    data: Data
    read: list[Split]

    @property
    def name(self) -> str:
        return self.data.name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.data.class_names

    @property
    def image_channels(self) -> int:
        return self.data.image_channels

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        return self.data.pixel_mean

    @property
    def pixel_std(self) -> tuple[float, ...]:
        return self.data.pixel_std

    @property
    def image_size_px(self) -> int | None:
        return self.data.image_size_px

    def count(self, split: Split) -> int:
        return self.data.count(split)

    def labels(self, split: Split) -> Tensor:
        assert split != "test"
        return self.data.labels(split)

    def subset(self, split: Split, chosen: Tensor) -> "GuardedData":
        assert split != "test"
        return GuardedData(self.data.subset(split, chosen), self.read)

    def with_normalization(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "GuardedData":
        return GuardedData(self.data.with_normalization(mean, std), self.read)

    def batches(
        self,
        split: Split,
        resolution_px: int,
        batch_size: int,
        *,
        shuffle: Generator | None = None,
        augment: Augmentation = NO_AUGMENTATION,
        shard: tuple[int, int] = (0, 1),
    ) -> Iterator[tuple[Tensor, Tensor]]:
        assert split != "test"
        assert split == "train" or (shuffle is None and augment == NO_AUGMENTATION)
        self.read.append(split)
        return self.data.batches(
            split, resolution_px, batch_size, shuffle=shuffle, augment=augment, shard=shard
        )


class EvaluatorContract:
    """Tests that every evaluator must pass; override the fixture `evaluator_name`.

    Override `networks` and `data` if the evaluator needs others than small networks of the space `tiny` and
    random images.
    """

    @pytest.fixture
    def evaluator_name(self) -> str:
        """The evaluator's name: registered in `bneck.evaluators`, or `module:attribute`."""
        raise NotImplementedError("override the fixture evaluator_name")

    @pytest.fixture
    def networks(self) -> tuple[Architecture, ...]:
        """Two different networks."""
        return smallest_networks(2)

    @pytest.fixture
    def data(self) -> Data:
        return random_images()

    @pytest.fixture
    def read(self) -> list[Split]:
        """Splits that `scorer` has read."""
        return []

    @pytest.fixture
    def scorer(self, evaluator_name: str, data: Data, read: list[Split]) -> Scorer:
        return evaluator(evaluator_name, EvaluationContext(GuardedData(data, read), RECIPE))

    def test_its_name_selects_it(self, evaluator_name: str, scorer: Scorer, data: Data) -> None:
        assert scorer.name == evaluator_name
        assert evaluator(scorer.name, EvaluationContext(data, RECIPE)).name == evaluator_name

    def test_a_seed_gives_one_value_whatever_was_evaluated_before(
        self, scorer: Scorer, networks: tuple[Architecture, ...]
    ) -> None:
        network, other = networks
        first = scorer.score(network, 1)
        scorer.score(other, 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            again = scorer.score(network, 1)
        assert again.value == first.value
        assert math.isfinite(first.value)
        assert first.cpu_seconds >= 0
        if first.accuracy and again.accuracy:
            assert (first.accuracy.top1, first.accuracy.seed) == (again.accuracy.top1, again.accuracy.seed)

    def test_seeds_change_values_only_if_declared(
        self, evaluator_name: str, scorer: Scorer, networks: tuple[Architecture, ...]
    ) -> None:
        if not depends_on_seed(evaluator_name):
            assert scorer.score(networks[1], 1).value == scorer.score(networks[1], 2).value

    def test_global_state_and_architecture_are_unchanged(
        self, scorer: Scorer, networks: tuple[Architecture, ...]
    ) -> None:
        network = networks[0]
        before = replace(network)
        state, python = torch.get_rng_state(), random.getstate()
        threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
        scorer.score(network, 0)
        assert torch.get_rng_state().equal(state)
        assert random.getstate() == python
        assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, gradients)
        assert (before, before.key) == (network, network.key)

    def test_a_worker_process_gives_the_same_value(
        self, evaluator_name: str, data: Data, networks: tuple[Architecture, ...]
    ) -> None:
        scorer = evaluator(evaluator_name, EvaluationContext(data, RECIPE))
        copy = pickle.loads(pickle.dumps(scorer))
        assert copy.name == evaluator_name
        assert copy.score(networks[0], 1).value == scorer.score(networks[0], 1).value

    def test_accuracy_and_network_belong_to_the_evaluated_network(
        self, scorer: Scorer, networks: tuple[Architecture, ...]
    ) -> None:
        score = scorer.score(networks[0], 0)  # `GuardedData` raises on test images
        if score.accuracy:
            assert 0 <= score.accuracy.top1 <= 1
            assert score.accuracy.images > 0
        if score.network is not None:
            assert score.network.architecture == networks[0]
