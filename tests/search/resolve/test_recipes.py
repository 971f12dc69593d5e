"""The default recipe of a data set."""

import pytest

from bneck.evaluate.training.recipe import load_recipe
from bneck.search.resolve.recipes import choose_recipe, default_recipe


@pytest.mark.parametrize(
    ("images", "trained_weights", "name"),
    [
        (1, False, "few-images"),
        (9_999, False, "few-images"),
        (10_000, False, "small-images"),
        (1_281_167, False, "small-images"),
        (100, True, "fine-tuning"),
        (1_281_167, True, "fine-tuning"),
    ],
)
def test_the_recipe_depends_on_the_weights_and_the_number_of_images(
    images: int, trained_weights: bool, name: str
) -> None:
    assert default_recipe(images, trained_weights=trained_weights) == name
    chosen = choose_recipe(None, {}, images, trained_weights=trained_weights)
    assert chosen.recipe == load_recipe(name)
    assert name in chosen.text and "--recipe" in chosen.text


def test_a_recipe_that_was_asked_for_is_taken_with_the_given_values() -> None:
    chosen = choose_recipe("guide", {"epochs": 3}, 100, trained_weights=True)
    assert (chosen.recipe.optimizer, chosen.recipe.epochs) == ("adam", 3)
    assert chosen.text.startswith("recipe guide, 3 epochs")
