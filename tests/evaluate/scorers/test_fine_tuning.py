"""Fine-tuning: what a training starts from, and what of it changes."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bneck.evaluate import Recipe
from bneck.evaluate.scorers import EvaluationContext
from bneck.evaluate.scorers.fine_tuning import context_for, initial_network
from bneck.evaluate.scorers.training import TrainingScorer
from bneck.evaluate.training.checkpoint import make_checkpoint, save_checkpoint
from bneck.evaluate.training.recipe import load_recipe
from bneck.evaluate.training.trainer import Trainer
from bneck.search_space import Architecture, Block, Head, Parent, SpaceError, Stem
from bneck.search_space.architecture import TUNED, FineTuning, Tuned
from bneck.search_space.network import Network, build_network
from bneck.search_space.pretrained_space import drop_residual_blocks

from ..example_training import noise_data

RECIPE = Recipe(epochs=2, batch_size=8, dropout=0.0, augment="none", bn_recalibration_images=16)
SOURCE = Architecture(
    8,
    Stem(8, stride=1),
    (
        Block(3, 8, 8, "none", "relu", 2),
        Block(3, 16, 8, "none", "relu", 1),
        Block(3, 16, 12, "none", "relu", 2),
        Block(3, 24, 12, "none", "relu", 1),
    ),
    Head(16, hidden=8),
    classes=7,
)
MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)
# the parts that each of the three trains; the last block of stride 2 is blocks.2
PARTS: dict[Tuned, set[str]] = {
    "head": {"hidden", "classifier"},
    "last-stage": {"blocks.2", "blocks.3", "features", "hidden", "classifier"},
    "all": {"stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "features", "hidden", "classifier"},
}


@pytest.fixture
def source() -> Network:
    torch.manual_seed(1)
    network = build_network(SOURCE, norm_eps=1e-3).train()
    network(torch.randn(16, 3, 8, 8))  # statistics of their own
    return network


@pytest.fixture
def context(source: Network, tmp_path: Path) -> EvaluationContext:
    data, file = noise_data(), tmp_path / "source.safetensors"
    save_checkpoint(make_checkpoint(source, data, RECIPE, 0, ()), file)
    parent = Parent("source", SOURCE, MEAN, STD, file=str(file))
    return EvaluationContext(data, RECIPE, parents={"source": parent})


def candidate(tuned: Tuned) -> Architecture:
    return replace(SOURCE, classes=len(noise_data().class_names), fine_tuning=FineTuning("source", tuned))


def part_of(name: str) -> str:
    first, second, *_ = name.split(".")
    return f"{first}.{second}" if first == "blocks" else first


def test_training_starts_from_the_weights_of_the_parent_and_a_classifier_of_the_seed(
    source: Network, context: EvaluationContext
) -> None:
    one, same, other = (initial_network(candidate("all"), seed, context.parents) for seed in (1, 1, 2))
    for name, value in source.state_dict().items():
        own = one.state_dict()[name]
        if not name.startswith("classifier"):
            assert own.equal(value)
            assert other.state_dict()[name].equal(value)
        assert own.equal(same.state_dict()[name])
    assert not one.classifier.weight.equal(other.classifier.weight)
    assert {each.eps for each in one.modules() if isinstance(each, nn.BatchNorm2d)} == {1e-3}
    with pytest.raises(SpaceError, match="weights are not known"):
        initial_network(candidate("all"), 1, {})


def test_a_network_without_a_block_is_the_parent_with_that_block_skipped(
    source: Network, context: EvaluationContext
) -> None:
    source.eval()
    whole, cut = (
        initial_network(
            replace(drop_residual_blocks(SOURCE, count), fine_tuning=FineTuning("source", "all", count)),
            1,
            context.parents,
        )
        for count in (0, 1)
    )
    skipping = copy.deepcopy(source)
    skipping.blocks[3] = nn.Identity()
    images = torch.randn(4, 3, 8, 8)
    assert whole(images).equal(source(images))
    torch.testing.assert_close(cut(images), skipping(images))
    assert not cut(images).equal(whole(images))


@pytest.mark.parametrize("tuned", TUNED)
def test_weights_and_statistics_of_what_is_not_tuned_stay_as_they_are(
    tuned: Tuned, source: Network, context: EvaluationContext
) -> None:
    score = TrainingScorer(context).score(candidate(tuned), 3)
    assert score.network
    start = initial_network(candidate(tuned), 3, context.parents).state_dict()
    result = score.network.state_dict()
    assert {part_of(name) for name in result if not result[name].equal(start[name])} == PARTS[tuned]


def test_images_are_normalised_as_the_parent_was_trained(context: EvaluationContext) -> None:
    own = context_for(candidate("head"), context)
    assert (own.data.pixel_mean, own.data.pixel_std) == (MEAN, STD)
    assert own.recipe == replace(RECIPE, freeze="backbone")
    assert context_for(SOURCE, context) is context


def test_the_backbone_learns_at_its_share_of_the_learning_rate(source: Network) -> None:
    """One step of plain SGD changes a weight by the learning rate times its gradient."""

    def changes(factor: float) -> dict[str, torch.Tensor]:
        network = copy.deepcopy(source)
        recipe = replace(
            RECIPE, momentum=0.0, weight_decay=0.0, max_grad_norm=0.0, schedule="constant", batch_size=64
        )
        recipe = replace(recipe, warmup_fraction=0.0, backbone_lr_factor=factor)
        before = copy.deepcopy(network.state_dict())
        Trainer(network, noise_data(), recipe, seed=0).run_epoch()
        names = ("stem.conv.weight", "blocks.3.project.conv.weight", "hidden.0.weight", "classifier.weight")
        return {name: network.state_dict()[name] - before[name] for name in names}

    whole, tenth = changes(1.0), changes(0.1)
    for name, change in whole.items():
        expected = change * (1 if name.startswith(("hidden", "classifier")) else 0.1)
        torch.testing.assert_close(tenth[name], expected, rtol=1e-3, atol=1e-7)


def test_the_recipe_for_fine_tuning_warms_up_and_decays() -> None:
    recipe = load_recipe("fine-tuning")
    assert (recipe.schedule, recipe.freeze) == ("cosine", "none")
    assert recipe.warmup_fraction > 0
    assert recipe.label_smoothing > 0
