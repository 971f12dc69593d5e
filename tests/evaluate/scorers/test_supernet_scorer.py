"""Scores with a supernet's weights, and after a short training from them."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.scorers import EvaluationContext, Scorer, evaluator
from bneck.evaluate.supernet.checkpoint import load_supernet, save_supernet
from bneck.evaluate.supernet.config import SupernetConfig
from bneck.evaluate.supernet.sampling import smallest_genes
from bneck.evaluate.supernet.trainer import SupernetTrainer, train_to_end
from bneck.evaluate.training.recipe import Recipe
from bneck.search_space import Architecture, RunError, ScorerError, load_space
from bneck.search_space.network import Network

from ..example_training import PLAIN, differing, noise_data
from ..supernet.example_supernet import CONSTANT, OURS, training_of

RECIPE = replace(PLAIN, epochs=1, bn_recalibration_images=16)
DATA = noise_data(validation=12)
NETWORK = OURS.decode({**smallest_genes(OURS), "stage2.block1.expansion": 2, "stage2.block1.attention": "se"})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two supernets of different seeds."""
    folder = tmp_path_factory.mktemp("supernets")
    for seed in (0, 1):
        train_to_end(training_of(replace(CONSTANT, epochs=2), seed=seed), folder / str(seed))
    return folder / "0", folder / "1"


def judge(words: str, recipe: Recipe = RECIPE) -> Scorer:
    return evaluator(words, EvaluationContext(DATA, recipe))


def statistics_of(network: Network) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if ".running_" in name}


def settled(network: Network) -> Network:
    """Batch normalisation with the mean of the statistics of two batches: the 16 images of `RECIPE`."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the last batch's alone
    shuffle = torch.Generator().manual_seed(0)
    found: list[dict[str, Tensor]] = []
    with torch.no_grad():
        for images, _ in [*DATA.batches("train", 8, 8, shuffle=shuffle)][:2]:
            network.train()(images)
            found.append({name: value.clone() for name, value in statistics_of(network).items()})
        for name, value in statistics_of(network).items():
            value.copy_((found[0][name] + found[1][name]) / 2)
    return network.eval()


def loss_of(network: Network) -> float:
    [(images, labels)] = DATA.batches("validation", 8, 100)
    with torch.no_grad():
        logs: Tensor = network(images).log_softmax(1)
    return -float(logs[torch.arange(len(labels)), labels].mean())


def test_the_score_is_the_loss_of_the_network_with_settled_norms(files: tuple[Path, Path]) -> None:
    score = judge(f"supernet:{files[0]}").score(NETWORK, 5)
    network = settled(load_supernet(files[0]).supernet().extract(NETWORK))
    assert score.value == pytest.approx(-loss_of(network), rel=1e-4)
    assert score.accuracy and score.network
    assert (score.accuracy.loss, score.accuracy.images, score.accuracy.seed) == (-score.value, 12, 5)
    assert loss_of(score.network) == pytest.approx(-score.value, rel=1e-5)
    # the images would be told apart by nothing else
    assert loss_of(load_supernet(files[0]).supernet().extract(NETWORK).eval()) != pytest.approx(-score.value)


def test_several_supernets_are_averaged_and_the_better_network_is_handed_on(files: tuple[Path, Path]) -> None:
    single = [judge(f"supernet:{path}").score(NETWORK, 0) for path in files]
    both = judge(f"supernet:{files[0]},{files[1]}").score(NETWORK, 0)
    assert single[0].value != single[1].value
    assert both.value == pytest.approx((single[0].value + single[1].value) / 2)
    top1 = [score.accuracy.top1 for score in single if score.accuracy]
    assert both.accuracy and both.accuracy.top1 == pytest.approx(sum(top1) / 2)
    best = max(single, key=lambda score: score.value)
    assert both.network and best.network
    assert differing(both.network.state_dict(), best.network.state_dict()) == []


def test_a_recipe_without_settling_settles_nevertheless(files: tuple[Path, Path]) -> None:
    found = [
        judge(f"supernet:{files[0]}", replace(RECIPE, bn_recalibration_images=images)).score(NETWORK, 0).value
        for images in (0, 2048)
    ]
    assert found[0] == found[1]


def test_inheriting_begins_from_the_weights_of_the_supernet(files: tuple[Path, Path]) -> None:
    still = replace(RECIPE, learning_rate=0.0)
    as_it_is = judge(f"supernet:{files[0]}").score(NETWORK, 0)
    inherited = judge(f"finetuned-supernet:{files[0]}", still).score(NETWORK, 0)
    assert inherited.value == pytest.approx(as_it_is.value, rel=1e-5)
    assert inherited.accuracy and inherited.accuracy.images_seen == 20


def test_inheriting_trains_on_and_leaves_the_supernet_alone(files: tuple[Path, Path]) -> None:
    judged = judge(f"finetuned-supernet:{files[0]}")
    first = judged.score(NETWORK, 0)
    weights = load_supernet(files[0]).supernet().extract(NETWORK).state_dict()
    assert first.network
    assert "classifier.weight" in differing(first.network.state_dict(), weights)
    assert judged.score(NETWORK, 0).value == first.value
    assert judged.score(NETWORK, 1).value != first.value


@pytest.mark.parametrize("kind", ["supernet", "finetuned-supernet"])
def test_a_network_of_another_space_is_refused(kind: str, files: tuple[Path, Path]) -> None:
    tiny = load_space("tiny").for_data(3, 2)
    foreign: Architecture = tiny.decode(tiny.sample(random.Random(0)))
    words = (
        rf"^{files[0]}: .*space small does not contain network {foreign.key}; train a supernet of its space$"
    )
    with pytest.raises(ScorerError, match=words):
        judge(f"{kind}:{files[0]}").score(foreign, 0)


@pytest.mark.parametrize("kind", ["supernet", "finetuned-supernet"])
def test_what_cannot_judge_these_images_is_refused_before_any_network(
    kind: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(ScorerError, match=f"^{files[0]}: noise: the supernet needs 3 channels, got 1$"):
        evaluator(f"{kind}:{files[0]}", EvaluationContext(noise_data(channels=1), RECIPE))
    with pytest.raises(ScorerError, match=f"^{files[0]}: noise: the supernet was trained on other classes"):
        evaluator(f"{kind}:{files[0]}", EvaluationContext(noise_data(names=("x", "y")), RECIPE))
    with pytest.raises(RunError, match=f"^{tmp_path}/none: the supernet file is missing"):
        judge(f"{kind}:{files[0]},{tmp_path}/none")
    stopped = training_of(replace(CONSTANT, epochs=4))
    stopped.advance()
    save_supernet(stopped.checkpoint(), tmp_path / "stopped")
    with pytest.raises(ScorerError, match=r"25%.*bneck supernet --file .* --resume"):
        judge(f"{kind}:{tmp_path}/stopped")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["uniform", "balanced"])
def test_a_supernet_trained_for_a_little_knows_the_digits_by_all_of_its_networks(
    strategy: str, tmp_path: Path
) -> None:
    data, space, path = load_data("digits"), load_space("tiny"), tmp_path / "net"
    recipe = Recipe(epochs=20, batch_size=32, label_smoothing=0.0)
    settings = SupernetConfig(recipe, strategy, max_macs=1.5e6)  # type: ignore[arg-type]
    train_to_end(SupernetTrainer(space, data, settings), path)
    judged = evaluator(f"supernet:{path}", EvaluationContext(data, recipe))
    ours, rng = space.for_data(1, 10), random.Random(0)
    found = [judged.score(ours.decode(ours.sample(rng)), 0).accuracy for _ in range(5)]
    # a tenth by chance
    assert min(each.top1 for each in found if each) > 0.6
