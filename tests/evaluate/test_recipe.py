"""The recipe as a value."""

from dataclasses import asdict, fields, replace
from typing import Any

import pytest
import torch
import yaml

from bneck.evaluate import Recipe
from bneck.evaluate.data import limited, load_data
from bneck.evaluate.train import train
from bneck.search_space.network import build_network

from ..search_space.helpers import TOY

SHORT = Recipe(epochs=2, batch_size=16, norm_images=32)
OTHERWISE: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 24,
    "optimizer": "adamw",
    "learning_rate": 0.04,
    "schedule": "constant",
    "warmup": 0.5,
    "step_epochs": 1.0,
    "step_factor": 0.5,
    "momentum": 0.8,
    "weight_decay": 0.1,
    "label_smoothing": 0.0,
    "dropout": 0.9,
    "drop_path": 0.5,
    "clip": 0.01,
    "ema": 0.5,
    "augment": "none",
    "norm_images": 16,
    "freeze": "backbone",
}


def trained(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights and the statistics of a toy after this training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(replace(TOY, image_channels=1, classes=10))
    train(network, limited(load_data("digits"), train=48, validation=10), recipe, seed=1)
    statistics = [value for name, value in network.named_buffers() if "running" in name]
    return (
        torch.cat([p.detach().flatten() for p in network.parameters()]),
        torch.cat([value.flatten() for value in statistics]),
    )


def test_no_field_is_forgotten_below() -> None:
    assert [field.name for field in fields(Recipe)] == list(OTHERWISE)


@pytest.mark.parametrize("field", OTHERWISE)
def test_every_field_changes_the_network_that_comes_out(field: str) -> None:
    recipe = replace(SHORT, schedule="steps", step_epochs=0.5) if field.startswith("step_") else SHORT
    weights, statistics = trained(recipe)
    other_weights, other_statistics = trained(replace(recipe, **{field: OTHERWISE[field]}))
    # images to settle the statistics come after all steps
    assert weights.equal(other_weights) is (field == "norm_images")
    assert not statistics.equal(other_statistics)


def test_a_recipe_survives_yaml() -> None:
    recipe = Recipe(**OTHERWISE)
    assert Recipe(**yaml.safe_load(yaml.safe_dump(asdict(recipe)))) == recipe
