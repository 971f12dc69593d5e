"""The recipe of a training: the default for its data and weights, or the one that was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...evaluate import Recipe
from ...evaluate.training.recipe import load_recipe
from ...results.text.formatting import pluralize
from ...search_space import GoalError
from .options import DEFAULT

FINE_TUNING, FEW_IMAGES, SMALL_IMAGES = "fine-tuning", "few-images", "small-images"
FEW = 10_000


@dataclass(frozen=True)
class ChosenRecipe:
    """A recipe, and a line that says which one it is and why."""

    recipe: Recipe
    text: str


def default_recipe(train_images: int, *, trained_weights: bool) -> str:
    """Name of the recipe for a data set; every command takes the same.

    Args:
        train_images: per epoch.
        trained_weights: whether the training starts from them.
    """
    if trained_weights:
        return FINE_TUNING
    return FEW_IMAGES if train_images < FEW else SMALL_IMAGES


def choose_recipe(
    name: str | None,
    overrides: Mapping[str, Any],
    train_images: int,
    *,
    trained_weights: bool = False,
    own: tuple[str, Recipe] | None = None,
) -> ChosenRecipe:
    """The recipe of this name or file, with the fields that the user chose.

    Args:
        name: None for `own`, or else the default for the data, which `default` asks for.
        own: name and recipe of the search that found the network.
    Raises:
        BneckError: there is none by this name, or a value is invalid.
    """
    if own and not name:
        recipe = replace(own[1], **overrides)
        return ChosenRecipe(recipe, f"recipe of {own[0]}, {_size_text(recipe)}; others: --recipe")
    name = None if name == DEFAULT else name
    chosen = name or default_recipe(train_images, trained_weights=trained_weights)
    recipe = replace(load_recipe(chosen), **overrides)
    text = f"recipe {chosen}, {_size_text(recipe)}"
    if not name:
        weights = "trained" if trained_weights else "random"
        text += f": the default for {weights} weights and {train_images:,} images; others: --recipe"
    return ChosenRecipe(recipe, text)


def _size_text(recipe: Recipe) -> str:
    return f"{pluralize(recipe.epochs, 'epoch')} of batch size {recipe.batch_size}"


def require_two_images_per_step(batch_size: int, images: int) -> None:
    """Raise `GoalError` if a step would see a single image, for which batch normalisation is undefined."""
    remainder = images % batch_size
    if min(batch_size, images) == 1 or (batch_size == 2 and remainder == 1):
        raise GoalError(
            f"batch normalisation needs at least two images per step, got batch size {batch_size} for "
            f"{images:,} images per process: change --batch-size, or use more images"
        )
