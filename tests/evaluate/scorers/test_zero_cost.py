"""How the zero-cost proxies are asked: which images, which weights, which networks."""

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate.scorers import ZERO_COST, EvaluationContext, evaluator, zero_cost
from bneck.evaluate.scorers.zero_cost import PROXIES, Proxy, activations
from bneck.evaluate.training.train import seeded_network
from bneck.search_space import Architecture, ScorerError
from bneck.search_space.architecture import ACTIVATIONS, Activation

from ..example_training import PLAIN, SMALL, noise_data

DATA = noise_data(train=20)


def with_activation(activation: Activation, architecture: Architecture = SMALL) -> Architecture:
    return replace(
        architecture,
        stem=replace(architecture.stem, activation=activation),
        blocks=tuple(replace(block, activation=activation) for block in architecture.blocks),
        head=replace(architecture.head, activation=activation),
    )


def value(name: str, architecture: Architecture = SMALL, seed: int = 0) -> float:
    return evaluator(name, EvaluationContext(DATA, PLAIN)).score(architecture, seed).value


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """What `naswot` is asked with; it answers 0, 1, 2, ..."""
    asked: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(*given: *tuple[nn.Module, Tensor, Tensor]) -> float:
        asked.append(given)
        return len(asked) - 1

    monkeypatch.setitem(PROXIES, "naswot", replace(PROXIES["naswot"], compute=note, images=8))
    return asked


def test_every_zero_cost_scorer_has_its_proxy() -> None:
    assert set(PROXIES) == set(ZERO_COST)


def test_naswot_is_the_mean_over_three_initialisations(told: list[tuple[nn.Module, Tensor, Tensor]]) -> None:
    assert value("naswot") == fmean([0, 1, 2])
    stems = [network.stem.conv.weight for network, _, _ in told]  # type: ignore[union-attr]
    for seed, stem in enumerate(stems):
        expected = seeded_network(SMALL, seed).stem.conv.weight  # type: ignore[union-attr]
        assert torch.equal(stem, expected)  # type: ignore[arg-type]


def test_no_initialisation_belongs_to_two_seeds(told: list[tuple[nn.Module, Tensor, Tensor]]) -> None:
    for seed in range(3):
        value("naswot", seed=seed)
    stems = {tuple(network.stem.conv.weight.flatten().tolist()) for network, _, _ in told}  # type: ignore[union-attr,operator]
    assert len(stems) == 9


def test_networks_of_one_seed_see_the_same_images(told: list[tuple[nn.Module, Tensor, Tensor]]) -> None:
    value("naswot", seed=5)
    value("naswot", with_activation("silu"), seed=5)
    value("naswot", seed=6)
    (_, first, labels), _, _, (_, second, _), _, _, (_, third, _), *_ = told
    assert first.equal(second)
    assert not first.equal(third)
    assert first.shape == (8, 3, 8, 8)
    [(pixels, classes)] = DATA.batches("train", 8, 20)
    for image, label in zip(
        first, labels, strict=True
    ):  # eight of the twenty, as they are, with their own label
        [place] = [number for number, each in enumerate(pixels) if each.equal(image)]
        assert classes[place] == label


def test_images_come_at_the_resolution_of_the_network(told: list[tuple[nn.Module, Tensor, Tensor]]) -> None:
    value("naswot", replace(SMALL, resolution_px=12))
    assert told[0][1].shape == (8, 3, 12, 12)


def test_synflow_refuses_relu6_and_says_what_to_do() -> None:
    mixed = replace(SMALL, head=replace(SMALL.head, activation="relu6"))
    with pytest.raises(ScorerError, match=rf"^synflow .*relu6.*{mixed.key}.*another scorer"):
        value("synflow", mixed)


@pytest.mark.parametrize("name", ZERO_COST)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_value_is_there_for_every_activation_that_is_not_undefined(
    name: str, activation: Activation
) -> None:
    if activation not in PROXIES[name].unsupported_activations:
        assert math.isfinite(value(name, with_activation(activation)))


def test_the_activations_of_a_network_are_those_between_its_layers() -> None:
    assert activations(SMALL) == {"relu", "hardswish"}
    assert activations(with_activation("silu")) == {"silu"}


def test_what_was_made_for_relu_says_so() -> None:
    for name in ("naswot", "jacob_cov", "synflow"):
        judge = evaluator(name, EvaluationContext(DATA, PLAIN))
        assert isinstance(judge, zero_cost.ZeroCostScorer)
        assert "ReLU" in judge.caveat


@pytest.mark.parametrize("found", [math.nan, -math.inf])
def test_a_value_that_is_no_number_is_an_error(found: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        return found

    monkeypatch.setitem(PROXIES, "snip", Proxy(broken))
    with pytest.raises(
        ScorerError, match=rf"^snip of network {SMALL.key} is {found} with seed 7; use another"
    ):
        value("snip", seed=7)


@pytest.mark.parametrize(("images", "enough"), [(3, False), (4, True)])
def test_a_batch_needs_four_images(images: int, enough: bool) -> None:
    judge = evaluator("zico", EvaluationContext(noise_data(train=images), PLAIN))
    if enough:
        assert math.isfinite(judge.score(SMALL, 0).value)
    else:
        with pytest.raises(ScorerError, match=r"^zico needs at least 4 training images, noise has 3$"):
            judge.score(SMALL, 0)


@pytest.mark.parametrize("name", ["grad_norm", "snip", "jacob_cov"])
def test_the_value_is_the_proxy_of_a_seeded_network(name: str) -> None:
    ask: Callable[[nn.Module, Tensor, Tensor], float] = PROXIES[name].compute
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    [(images, labels)] = DATA.batches("train", 8, 20)
    places = order[: PROXIES[name].images]
    expected = ask(seeded_network(SMALL, 2), images[places], labels[places])
    assert value(name, seed=2) == pytest.approx(expected, rel=1e-4)
