"""How networks are trained, as a value that a run keeps, and the recipes known by name."""

import math
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from typing import Literal, get_args

from ...search_space.errors import BneckError, FieldError
from ...search_space.serialization.dataclass_reader import read_dataclass
from ...search_space.serialization.yaml_nodes import YamlNode, dump, parse_named
from ..data.augmentation import parse_augmentation

FORMAT = "recipe/1"
RECIPES = ("guide", "torchvision-mobilenetv3", "small-images")

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "cosine", "steps"]
Freeze = Literal["none", "backbone"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        batch_size: images a step, over all processes together.
        optimizer: `sgd` is with Nesterov's momentum; `rmsprop` has the constants of torchvision's
            MobileNetV3 (alpha 0.9, eps 0.0316).
        learning_rate: the highest; it rises over the first `warmup_fraction` share of the steps.
        schedule: what follows: `constant`, `cosine` to 0, or `steps`, a factor `step_factor` every
            `step_epochs` epochs from the beginning.
        momentum: of sgd and rmsprop; the first moment's decay of adam and adamw.
        weight_decay: of the weights; biases and batch normalisation do not decay.
        dropout: before the classifier.
        drop_path: probability that the last residual block is left out for an image; it grows
            linearly from the first (stochastic depth, arXiv 1603.09382).
        max_grad_norm: the most that the norm of all gradients together may be; 0 for no limit.
        ema: decay, a step, of the moving average of the weights that is judged and kept; 0 for none.
        augment: names joined by `+`, of `bneck.evaluate.data.augmentation.AUGMENTATIONS`.
        bn_recalibration_images: training images over which the statistics of batch normalisation are averaged
            afresh before judging, for in short runs the running ones lag behind the weights; 0
            keeps the running ones.
        freeze: `backbone` trains what follows the pooling alone.
    """

    epochs: int = 10
    batch_size: int = 64
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.08
    schedule: Schedule = "cosine"
    warmup_fraction: float = 0.1
    step_epochs: float = 2.0
    step_factor: float = 0.973
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    dropout: float = 0.1
    drop_path: float = 0.0
    max_grad_norm: float = 2.0
    ema: float = 0.0
    augment: str = "flip-crop"
    bn_recalibration_images: int = 2048
    freeze: Freeze = "none"

    def __post_init__(self) -> None:
        for name, known in (
            ("optimizer", get_args(Optimizer)),
            ("schedule", get_args(Schedule)),
            ("freeze", get_args(Freeze)),
        ):
            if getattr(self, name) not in known:
                raise FieldError(name, f"must be one of {', '.join(known)}, got '{getattr(self, name)}'")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise FieldError(field.name, f"must be a finite number, got {value}")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise FieldError(name, f"must be at least 1, got {getattr(self, name)}")
        for name in ("step_epochs", "step_factor"):
            if not getattr(self, name) > 0:
                raise FieldError(name, f"must be above 0, got {getattr(self, name)}")
        for name in ("learning_rate", "weight_decay", "max_grad_norm", "bn_recalibration_images"):
            if not getattr(self, name) >= 0:
                raise FieldError(name, f"must be at least 0, got {getattr(self, name)}")
        for name in ("momentum", "label_smoothing", "dropout", "drop_path", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise FieldError(name, f"must be from 0 to below 1, got {getattr(self, name)}")
        if not 0 <= self.warmup_fraction <= 1:
            raise FieldError("warmup_fraction", f"must be from 0 to 1, got {self.warmup_fraction}")
        try:
            parse_augmentation(self.augment)
        except BneckError as error:
            raise FieldError("augment", f"is no augmentation: {error}") from None


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe by its name, or from a YAML file; what a file leaves out is as `Recipe` has it.

    Raises:
        UnknownNameError: neither a name nor a file.
        FileFormatError: names file, line, key, value and what would work.
    """
    return read_recipe(parse_named("recipe", name_or_path, RECIPES, preset_recipe_yaml))


def preset_recipe_yaml(name: str) -> str:
    """The file behind a name, with its source in a comment, to start an own one from."""
    return files(__package__).joinpath("recipes", f"{name}.yaml").read_text(encoding="utf-8")


def recipe_yaml(recipe: Recipe) -> str:
    """Every field, as `load_recipe` reads it."""
    return dump({"bneck": FORMAT, **asdict(recipe)})


def read_recipe(entry: YamlNode) -> Recipe:
    """A recipe from a parsed file; what is left out is as `Recipe` has it."""
    names = [field.name for field in fields(Recipe)]
    given = entry.versioned_mapping(FORMAT, (), names)
    values = {name: item for name, item in given.items() if name != "bneck"}
    return read_dataclass(Recipe, YamlNode(values, entry.source, entry.line, entry.path), optional=names)
