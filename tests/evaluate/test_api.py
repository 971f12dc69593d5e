"""`bneck.evaluate` as a library: the examples of the docstrings run as they are."""

import doctest
import random
from dataclasses import replace

import pytest
import torch

import bneck.evaluate
from bneck.evaluate import Recipe, evaluate, inherit, load_data, train
from bneck.evaluate.data.dataset import subsample
from bneck.search_space import DataError, UnknownNameError, load_space


@pytest.mark.parametrize("name", ["load_data", "train", "evaluate"])
def test_the_example_of_the_docstring_runs(name: str) -> None:
    public = getattr(bneck.evaluate, name)
    [example] = doctest.DocTestFinder(recurse=False).find(public, name, globs={name: public})
    assert len(example.examples) > 3
    assert doctest.DocTestRunner().run(example).failed == 0


def test_train_takes_classes_and_channels_from_the_data_and_follows_the_seed() -> None:
    space = load_space("tiny")  # for 3 channels
    architecture = space.decode(space.sample(random.Random(1)))
    data = subsample(load_data("digits"), train=64, validation=20)
    epochs: list[tuple[int, int]] = []
    recipe = Recipe(epochs=2, batch_size=32, bn_recalibration_images=0)
    first, second, other = (
        train(architecture, data, recipe, seed=seed, on_epoch=lambda *at: epochs.append(at))
        for seed in (1, 1, 2)
    )
    assert (first.network.architecture.image_channels, first.network.architecture.classes) == (1, 10)
    assert epochs == [(1, 2), (2, 2)] * 3
    assert not first.network.training
    weights = [each.network.classifier.weight for each in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    metrics = evaluate(first.network, data, "validation")
    assert metrics.top1 == pytest.approx(first.accuracy.top1)
    assert metrics.loss == pytest.approx(first.accuracy.loss, rel=1e-5)


def test_a_smaller_network_starts_from_a_larger_one_and_learns_from_a_teacher() -> None:
    space = load_space("tiny")
    data = subsample(load_data("digits"), train=64, validation=20)
    architecture = space.decode(space.sample(random.Random(1))).without_fine_tuning
    parent, _ = train(architecture, data, Recipe(epochs=1, batch_size=32))
    smaller = replace(architecture, head=replace(architecture.head, features=8))
    still = Recipe(epochs=1, batch_size=32, learning_rate=0, bn_recalibration_images=0)
    child = train(smaller, data, still, init=parent).network
    expected = inherit(parent, child.architecture)
    assert all(a.equal(b) for a, b in zip(child.parameters(), expected.parameters(), strict=True))
    moving = replace(still, learning_rate=0.05)
    alone, taught = (train(smaller, data, moving, init=parent, teacher=each) for each in (None, parent))
    assert alone.accuracy.curve != taught.accuracy.curve


def test_a_recipe_can_be_named() -> None:
    architecture = load_space("tiny").decode(load_space("tiny").sample(random.Random(0)))
    with pytest.raises(UnknownNameError, match="small-images"):
        train(architecture, "digits", "small-image")


def test_a_network_for_other_data_is_refused() -> None:
    space = load_space("tiny").for_data(3, 10)
    from bneck.search_space.network import build_network

    network = build_network(space.decode(space.sample(random.Random(0))))
    with pytest.raises(DataError, match=r"^digits: .* 3 channels and 10 classes, got 1 and 10$"):
        evaluate(network, "digits")
