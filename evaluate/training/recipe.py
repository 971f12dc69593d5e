"""Training hyperparameters as a value, and the presets."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal, get_args

from ...search_space.errors import BneckError, FieldError
from ...search_space.serialization.dataclass_reader import read_dataclass
from ...search_space.serialization.yaml_nodes import YamlNode, dump, parse_named
from ..data.augmentation import parse_augmentation

FORMAT = "recipe/1"
RECIPES = ("few-images", "small-images", "fine-tuning", "guide", "torchvision-mobilenetv3")

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "cosine", "steps"]
Freeze = Literal["none", "backbone", "early-stages"]

_RANGES: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("at least 1", lambda x: x >= 1, "epochs batch_size"),
    ("above 0", lambda x: x > 0, "step_epochs step_factor"),
    ("at least 0", lambda x: x >= 0, "learning_rate weight_decay max_grad_norm bn_recalibration_images"),
    ("at most 100,000", lambda x: x <= 100_000, "epochs batch_size step_epochs step_factor"),
    ("at most 1e38", lambda x: x <= 1e38, "learning_rate weight_decay max_grad_norm"),
    ("at most 1e9", lambda x: x <= 1e9, "bn_recalibration_images"),
    ("from 0 to below 1", lambda x: 0 <= x < 1, "momentum label_smoothing dropout drop_path ema"),
    ("from 0 to 1", lambda x: 0 <= x <= 1, "warmup_fraction backbone_lr_factor"),
)


@dataclass(frozen=True)
class Recipe:
    """Training hyperparameters.

    Attributes:
        batch_size: images per step, over all processes.
        optimizer: `sgd` uses Nesterov momentum; `rmsprop` the constants of torchvision's MobileNetV3
            (alpha 0.9, eps 0.0316).
        learning_rate: peak value, reached by linear warmup over the first `warmup_fraction` of the steps.
        schedule: after warmup: `constant`, `cosine` decay to 0, or `steps`: multiplied by `step_factor`
            every `step_epochs` epochs, counted from the start.
        momentum: momentum of sgd and rmsprop; beta1 of adam and adamw.
        weight_decay: of weights only, not of biases and batch normalisation.
        dropout: before the classifier.
        drop_path: probability of skipping the last residual block for an image; it grows linearly from
            the first block (stochastic depth, arXiv 1603.09382).
        max_grad_norm: gradient norm clipping threshold; 0 disables clipping.
        ema: decay per step of the exponential moving average of the weights, which is then the network
            that is evaluated and saved; 0 disables it.
        augment: names from `bneck.evaluate.data.augmentation.AUGMENTATIONS`, joined by `+`.
        bn_recalibration_images: number of training images for recomputing batch normalisation statistics
            before evaluation, because running statistics lag behind the weights in short runs; 0 keeps
            the running statistics.
        freeze: `backbone` trains only the layers after pooling, `early-stages` also the blocks from the last
            of stride 2 on. Frozen batch normalisation keeps its statistics; nothing is recalibrated then.
        backbone_lr_factor: learning rate before the pooling relative to that after it, for fine-tuning.

    Raises:
        FieldError: names the field, its value and the valid range.
    """

    OPTIONAL_KEYS: ClassVar[tuple[str, ...]] = ("backbone_lr_factor",)  # missing in files of earlier versions

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
    backbone_lr_factor: float = 1.0

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
            for text, valid, names in _RANGES:
                if field.name in names.split() and not valid(value):
                    raise FieldError(field.name, f"must be {text}, got {value}")
        try:
            parse_augmentation(self.augment)
        except BneckError as error:
            raise FieldError("augment", f"is not a valid augmentation: {error}") from None


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Load a recipe preset or a YAML file; missing keys have the defaults of `Recipe`.

    Raises:
        UnknownNameError: neither a preset nor a file.
        FileFormatError: names file, line, key, value and the valid range.
    """
    return read_recipe(parse_named("recipe", name_or_path, RECIPES, preset_recipe_yaml))


def preset_recipe_yaml(name: str) -> str:
    """YAML text of a preset, comments included."""
    return files(__package__).joinpath("recipes", f"{name}.yaml").read_text(encoding="utf-8")


def recipe_yaml(recipe: Recipe) -> str:
    """YAML text with every field, readable by `load_recipe`."""
    return dump({"bneck": FORMAT, **asdict(recipe)})


def read_recipe(entry: YamlNode) -> Recipe:
    """Recipe from a parsed file; missing keys have the defaults of `Recipe`."""
    names = [field.name for field in fields(Recipe)]
    given = entry.versioned_mapping(FORMAT, (), names)
    values = {name: item for name, item in given.items() if name != "bneck"}
    return read_dataclass(Recipe, YamlNode(values, entry.source, entry.line, entry.path), optional=names)
