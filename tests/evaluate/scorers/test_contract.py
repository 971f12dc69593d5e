"""What every scorer keeps, however it judges."""

import math
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from bneck.evaluate.data.augmentation import NO_AUGMENTATION, Augmentation
from bneck.evaluate.data.dataset import Data, Split
from bneck.evaluate.scorers import (
    COSTS,
    SCORER_NAMES,
    ZERO_COST,
    EvaluationContext,
    Scorer,
    depends_on_seed,
    evaluator,
)
from bneck.evaluate.supernet.config import SupernetConfig
from bneck.evaluate.supernet.trainer import SupernetTrainer, train_to_end
from bneck.search_space import Architecture, UnknownNameError, cost, load_space

from ..example_training import PLAIN, noise_data

DATA = noise_data(train=40, validation=20, channels=1, names=tuple("abcdefghij"))
RECIPE = replace(PLAIN, epochs=1, batch_size=16, bn_recalibration_images=32)
SPACE = load_space("tiny").for_data(1, 10)
WITHOUT_VALIDATION = (*ZERO_COST, *COSTS)


def _smallest(count: int) -> tuple[Architecture, ...]:
    """Of some networks at random, those with the fewest multiply-adds."""
    rng = random.Random(0)
    networks = {SPACE.decode(SPACE.sample(rng)) for _ in range(20)}
    return tuple(sorted(networks, key=lambda network: cost(network).macs)[:count])


NETWORK, OTHER = _smallest(2)


def write_table(path: Path) -> None:
    rows = (f"{NETWORK.key},0.4", f"{NETWORK.key},0.5", f"{OTHER.key},0.6")
    path.write_text("\n".join(("key,top1", *rows)), encoding="utf-8")


def write_supernet(path: Path) -> None:
    train_to_end(SupernetTrainer(SPACE, DATA, SupernetConfig(RECIPE)), path)


# How the file of each kind of scorer is made, for SPACE and DATA.
FILES: dict[str, Callable[[Path], None]] = {
    "table": write_table,
    "supernet": write_supernet,
    "inherit": write_supernet,
}


@pytest.fixture(scope="module", params=SCORER_NAMES)
def name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A scorer's name, with a file of its kind."""
    words: str = request.param
    kind, _, needs_file = words.partition(":")
    if not needs_file:
        return kind
    path = tmp_path_factory.mktemp(kind) / "file"
    FILES[kind](path)
    return f"{kind}:{path}"


@dataclass(frozen=True)
class Watched:
    """Images that nobody may misuse: the test is closed, and nobody trains on the validation.

    Attributes:
        read: the splits that images were taken of, in order.
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

    def subset(self, split: Split, chosen: Tensor) -> "Watched":
        assert split != "test"
        return Watched(self.data.subset(split, chosen), self.read)

    def with_normalization(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "Watched":
        return Watched(self.data.with_normalization(mean, std), self.read)

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


@pytest.fixture
def read() -> list[Split]:
    return []


@pytest.fixture
def judge(name: str, read: list[Split]) -> Scorer:
    return evaluator(name, EvaluationContext(Watched(DATA, read), RECIPE))


def test_its_name_is_how_it_is_asked_for(name: str, judge: Scorer) -> None:
    assert judge.name == name
    assert evaluator(judge.name, EvaluationContext(DATA, RECIPE)).name == name


def test_a_seed_gives_one_value_whatever_was_judged_before(judge: Scorer) -> None:
    first = judge.score(NETWORK, 1)
    judge.score(OTHER, 0)
    torch.rand(1)
    again = judge.score(NETWORK, 1)
    assert again.value == first.value
    assert math.isfinite(first.value)
    assert first.cpu_seconds > 0
    if first.accuracy and again.accuracy:
        assert (first.accuracy.top1, first.accuracy.seed) == (again.accuracy.top1, again.accuracy.seed)


def test_another_seed_gives_another_value_only_where_seeds_are_said_to_matter(
    name: str, judge: Scorer
) -> None:
    if not depends_on_seed(name):
        # of a network with several rows in its table, a seed takes one
        assert judge.score(OTHER, 1).value == judge.score(OTHER, 2).value


def test_seeds_are_said_to_matter_where_something_is_trained_or_drawn_at_random() -> None:
    matter = {kind: depends_on_seed(f"{kind}:FILE") for kind in ("supernet", "inherit", "table")}
    matter |= {kind: depends_on_seed(kind) for kind in ("train", *COSTS, *ZERO_COST)}
    trained = {"inherit", "train", *ZERO_COST}
    assert {kind for kind, does in matter.items() if does} == trained


def test_it_leaves_the_global_random_state_and_the_threads_alone(judge: Scorer) -> None:
    state, threads, python = torch.get_rng_state(), torch.get_num_threads(), random.getstate()
    gradients = torch.is_grad_enabled()
    judge.score(NETWORK, 0)
    assert torch.get_rng_state().equal(state)
    assert random.getstate() == python
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, gradients)


def test_the_global_random_state_does_not_change_the_value(judge: Scorer) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = judge.score(NETWORK, 0).value
        torch.manual_seed(2)
        assert judge.score(NETWORK, 0).value == first


def test_it_never_trains_on_validation_images_nor_looks_at_the_test(
    name: str, judge: Scorer, read: list[Split]
) -> None:
    judge.score(NETWORK, 0)  # `Watched` raises
    if name in WITHOUT_VALIDATION:
        assert "validation" not in read
    if name in ZERO_COST:
        assert read == ["train"]
    if name in COSTS:
        assert read == []


def test_the_architecture_stays_as_it_was(judge: Scorer) -> None:
    before = replace(NETWORK)
    judge.score(NETWORK, 0)
    assert before == NETWORK
    assert before.key == NETWORK.key


def test_a_worker_process_judges_alike(name: str) -> None:
    judge = evaluator(name, EvaluationContext(DATA, RECIPE))
    copy = pickle.loads(pickle.dumps(judge))
    assert copy.name == name
    assert copy.score(NETWORK, 1).value == judge.score(NETWORK, 1).value


def test_an_accuracy_is_of_the_validation_images(name: str, judge: Scorer) -> None:
    score = judge.score(NETWORK, 0)
    assert (score.accuracy is None) == (name in WITHOUT_VALIDATION)
    if score.accuracy:
        assert 0 <= score.accuracy.top1 <= 1
        assert score.accuracy.images == DATA.count("validation")


def test_a_network_that_is_kept_is_the_one_that_was_judged(name: str, judge: Scorer) -> None:
    network = judge.score(NETWORK, 0).network
    if name == "train":
        assert network is not None
    if network is not None:
        assert network.architecture == NETWORK


@pytest.mark.parametrize("words", ["nasvot", "table", "table:", "naswot:x.csv", "", "train:"])
def test_words_that_name_no_scorer_are_refused(words: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown evaluator '{words}'"):
        evaluator(words, EvaluationContext(DATA, RECIPE))


@pytest.mark.parametrize("words", COSTS)
def test_a_cost_scores_as_it_is_counted(words: str) -> None:
    assert evaluator(words, EvaluationContext(DATA, RECIPE)).score(NETWORK, 3).value == getattr(
        cost(NETWORK), words
    )
