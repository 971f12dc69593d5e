"""Recipes: fields, presets and files."""

import math
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bneck.evaluate import Recipe
from bneck.evaluate.data.augmentation import parse_augmentation
from bneck.evaluate.data.dataset import load_data, subsample
from bneck.evaluate.training.recipe import RECIPES, load_recipe, preset_recipe_yaml, recipe_yaml
from bneck.evaluate.training.train import train
from bneck.search_space import BneckError, FileFormatError, UnknownNameError
from bneck.search_space.network import build_network

from ...search_space.helpers import TOY, write

SHORT = Recipe(epochs=2, batch_size=16, bn_recalibration_images=32)
OTHERWISE: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 24,
    "optimizer": "adamw",
    "learning_rate": 0.04,
    "schedule": "constant",
    "warmup_fraction": 0.5,
    "step_epochs": 1.0,
    "step_factor": 0.5,
    "momentum": 0.8,
    "weight_decay": 0.1,
    "label_smoothing": 0.0,
    "dropout": 0.9,
    "drop_path": 0.5,
    "max_grad_norm": 0.01,
    "ema": 0.5,
    "augment": "none",
    "bn_recalibration_images": 16,
    "freeze": "backbone",
    "backbone_lr_factor": 0.5,
}


def trained(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and batch normalisation statistics after training a toy network."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(replace(TOY, image_channels=1, classes=10))
    train(network, subsample(load_data("digits"), train=48, validation=10), recipe, seed=1)
    statistics = [value for name, value in network.named_buffers() if "running" in name]
    return (
        torch.cat([p.detach().flatten() for p in network.parameters()]),
        torch.cat([value.flatten() for value in statistics]),
    )


def test_every_field_is_tested() -> None:
    assert [field.name for field in fields(Recipe)] == list(OTHERWISE)


@pytest.mark.parametrize("field", OTHERWISE)
@pytest.mark.slow
def test_every_field_changes_the_trained_network(field: str) -> None:
    recipe = replace(SHORT, schedule="steps", step_epochs=0.5) if field.startswith("step_") else SHORT
    weights, statistics = trained(recipe)
    other_weights, other_statistics = trained(replace(recipe, **{field: OTHERWISE[field]}))
    # recalibration comes after all steps
    assert weights.equal(other_weights) is (field == "bn_recalibration_images")
    assert not statistics.equal(other_statistics)


def test_a_recipe_survives_yaml() -> None:
    recipe = Recipe(**OTHERWISE)
    assert Recipe(**yaml.safe_load(yaml.safe_dump(asdict(recipe)))) == recipe


# recipes by name


def test_the_guide_is_adam_at_a_constant_rate() -> None:
    expected = Recipe(
        epochs=10,
        batch_size=32,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="constant",
        warmup_fraction=0.0,
        momentum=0.9,  # Adam's beta 1
        weight_decay=0.0,
        label_smoothing=0.0,
        dropout=0.2,  # of the published networks
        drop_path=0.0,
        max_grad_norm=0.0,
        ema=0.0,
        augment="none",
        bn_recalibration_images=0,
        freeze="none",
    )
    assert load_recipe("guide") == expected


def test_torchvisions_recipe_matches_its_reference() -> None:
    # torchrun --nproc_per_node=8 train.py --model mobilenet_v3_small --epochs 600 --opt rmsprop
    # --batch-size 128 --lr 0.064 --wd 0.00001 --lr-step-size 2 --lr-gamma 0.973 --auto-augment imagenet
    # --random-erase 0.2; its momentum is 0.9 and it neither warms up, smooths labels nor clips
    recipe = load_recipe("torchvision-mobilenetv3")
    assert (recipe.epochs, recipe.optimizer, recipe.batch_size) == (600, "rmsprop", 8 * 128)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.momentum) == (0.064, 1e-5, 0.9)
    assert (recipe.schedule, recipe.step_epochs, recipe.step_factor) == ("steps", 2, 0.973)
    assert (recipe.warmup_fraction, recipe.label_smoothing, recipe.max_grad_norm, recipe.drop_path) == (
        0,
        0,
        0,
        0,
    )
    assert (recipe.dropout, recipe.bn_recalibration_images, recipe.freeze) == (0.2, 0, "none")
    augmentation = parse_augmentation(recipe.augment)
    assert (augmentation.policy, augmentation.random_erase, augmentation.mixes) == ("autoaugment", True, ())


def test_small_images_are_trained_by_sgd_on_a_cosine() -> None:
    recipe = load_recipe("small-images")
    assert (recipe.optimizer, recipe.schedule, recipe.momentum) == ("sgd", "cosine", 0.9)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (30, 128, 0.1)
    assert recipe.weight_decay == 5e-4


@pytest.mark.parametrize("name", RECIPES)
def test_the_text_of_a_preset_is_a_valid_file(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, preset_recipe_yaml(name), "mine.yaml")
    assert load_recipe(str(path)) == load_recipe(name)
    assert preset_recipe_yaml(name).startswith("# ")


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json", "recipe"])
def test_every_field_survives_a_file(suffix: str, tmp_path: Path) -> None:
    recipe = Recipe(
        **{**OTHERWISE, "weight_decay": 1e-5, "learning_rate": 1 / 3, "augment": "mixup+flip-crop"}
    )
    path = write(tmp_path, recipe_yaml(recipe), f"mine.{suffix}")
    assert load_recipe(str(path)) == recipe


def test_missing_keys_have_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "bneck: recipe/1\nepochs: 3\n")
    assert load_recipe(str(path)) == Recipe(epochs=3)


def test_an_unknown_name_is_refused_with_suggestions() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown recipe 'small-image'; known: .*small-images"):
        load_recipe("small-image")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"none\.yaml: cannot be read: No such file or directory$"):
        load_recipe(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("speed: 3", "speed: unknown key; known here: bneck, epochs, batch_size"),
        ("epochs: 1.5", "epochs: must be a whole number, got 1.5"),
        ("epochs: true", "epochs: must be a whole number, got True"),
        ("learning_rate: fast", "learning_rate: must be a number, got fast"),
        ("ema: yes", "ema: must be a number, got yes"),
        ("augment: 3", "augment: must be text, got 3"),
        ("optimizer: [sgd]", "optimizer: must be text, got ['sgd']"),
        ("optimizer: lion", "optimizer must be one of sgd, adam, adamw, rmsprop, got 'lion'"),
        ("schedule: step", "schedule must be one of constant, cosine, steps, got 'step'"),
        ("freeze: head", "freeze must be one of none, backbone, early-stages, got 'head'"),
        ("epochs: 0", "epochs must be at least 1, got 0"),
        ("batch_size: 0", "batch_size must be at least 1, got 0"),
        ("learning_rate: -1", "learning_rate must be at least 0, got -1"),
        ("weight_decay: -1e-9", "weight_decay must be at least 0, got -1e-09"),
        ("max_grad_norm: -2", "max_grad_norm must be at least 0, got -2"),
        ("bn_recalibration_images: -1", "bn_recalibration_images must be at least 0, got -1"),
        ("step_epochs: 0", "step_epochs must be above 0, got 0"),
        ("step_factor: 0", "step_factor must be above 0, got 0"),
        ("momentum: 1", "momentum must be from 0 to below 1, got 1"),
        ("label_smoothing: 1", "label_smoothing must be from 0 to below 1, got 1"),
        ("dropout: -0.1", "dropout must be from 0 to below 1, got -0.1"),
        ("drop_path: 1.0", "drop_path must be from 0 to below 1, got 1.0"),
        ("ema: 1", "ema must be from 0 to below 1, got 1"),
        ("warmup_fraction: 1.01", "warmup_fraction must be from 0 to 1, got 1.01"),
        ("augment: blur", "augment is not a valid augmentation: unknown augmentation 'blur'"),
    ],
)
def test_a_bad_line_is_named_with_its_file_and_key(line: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"bneck: recipe/1\n# mine\n{line}\n")
    with pytest.raises(FileFormatError) as caught:
        load_recipe(str(path))
    place, _, problem = str(caught.value).partition(": ")
    if expected.startswith("unknown augmentation"):  # the error of an augmentation has no field
        assert place.startswith(f"{path}:")
    else:
        assert place == f"{path}:3"
    assert problem.startswith(expected)


def test_a_bad_augmentation_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "bneck: recipe/1\nepochs: 3\naugment: blur\n")
    with pytest.raises(FileFormatError, match=rf"^{path}:3: "):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs: 3\n", ":1: 'bneck' is missing"),
        ("bneck: recipe/2\nrate: 3\n", ":1: bneck: must be recipe/1, got recipe/2"),
        ("bneck: run/2\n", ":1: bneck: must be recipe/1, got run/2"),
        ("- 3\n", ":1: must be a mapping with bneck, got [3]"),
        ("", ": is empty"),
        ("bneck: recipe/1\nepochs: 3\nepochs: 4\n", ":3: epochs: duplicate key"),
    ],
)
def test_a_file_of_another_kind_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(BneckError) as caught:
        load_recipe(str(path))
    assert str(caught.value).startswith(f"{path}{expected}")


@pytest.mark.parametrize(
    "field", ["learning_rate", "weight_decay", "max_grad_norm", "momentum", "warmup_fraction", "step_factor"]
)
def test_nan_is_refused(field: str) -> None:
    changed: dict[str, Any] = {field: math.nan}
    with pytest.raises(BneckError, match=rf"^{field} must be .*, got nan$"):
        Recipe(**changed)


@pytest.mark.parametrize(
    "edge", [{"warmup_fraction": 1.0}, {"warmup_fraction": 0.0}, {"ema": 0.9999}, {"learning_rate": 0.0}]
)
def test_bounds_are_inclusive(edge: dict[str, Any]) -> None:
    assert asdict(Recipe(**edge)).items() >= edge.items()
