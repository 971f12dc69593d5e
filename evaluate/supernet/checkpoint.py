"""Supernets on disk: one safetensors file with the weights, the space, the data, and the past."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from torch import Tensor

from ...search_space import BneckError, RunError, ScorerError, SearchSpace
from ...search_space.errors import first_line
from ...search_space.serialization.space import read_space, space_to_dict
from ...search_space.serialization.yaml_nodes import dump, parse
from ..data.dataset import Data, as_trained_on
from ..training.accuracy import Epoch
from ..training.recipe import read_recipe, recipe_yaml
from ..training.safetensors_io import STATE, WEIGHTS, read_tensors, tensors_under, write_tensors
from .config import SupernetSettings
from .supernet import Supernet

FORMAT = "supernet/1"


@dataclass(frozen=True, eq=False)
class TrainedSupernet:
    """A supernet, and where it comes from.

    Attributes:
        space: for the images and classes of the data.
        weights: the supernet's state dict; averaged over the steps if the recipe has an `ema` and
            the training is finished.
        data: name of the data set.
        pixel_mean, pixel_std: how pixels (0 to 255) are normalised, one number a channel.
        train_images: how many there were to train on.
        share: of the training that is done, from 0 to 1.
        seen: training images that were shown, repetitions included.
        seconds: of computing.
        curve: one point an epoch.
        state: of the training, to go on from; empty where it is finished.
    """

    space: SearchSpace
    weights: Mapping[str, Tensor]
    settings: SupernetSettings
    data: str
    class_names: tuple[str, ...]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    train_images: int
    share: float
    steps: int
    seen: int
    seconds: float
    curve: tuple[Epoch, ...]
    state: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.share >= 1

    def supernet(self) -> Supernet:
        """The supernet with its weights.

        Raises:
            RunError: the weights are of another space.
        """
        found = Supernet(self.space)
        try:
            found.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            problem = f"the weights are not those of space {self.space.name}"
            raise RunError(f"{problem} ({first_line(error)})") from None
        return found

    def normalised(self, data: Data) -> Data:
        """The data as the supernet was trained to see it.

        Raises:
            ScorerError: it has other classes or channels.
        """
        return as_trained_on(data, self, self.space.image_channels, "supernet", ScorerError)


_PLAIN = (
    "data",
    "class_names",
    "pixel_mean",
    "pixel_std",
    "train_images",
    "share",
    "steps",
    "seen",
    "seconds",
)
_SETTINGS = tuple(each.name for each in fields(SupernetSettings) if each.name != "recipe")


def save_supernet(trained: TrainedSupernet, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        RunError: it cannot be written: no space, no permission.
    """
    about = {name: getattr(trained, name) for name in _PLAIN}
    about["settings"] = {name: getattr(trained.settings, name) for name in _SETTINGS}
    about["curve"] = [asdict(point) for point in trained.curve]
    metadata = {
        "bneck": FORMAT,
        "space": dump(space_to_dict(trained.space)),
        "recipe": recipe_yaml(trained.settings.recipe),
        "about": json.dumps(about),
    }
    write_tensors(path, trained.weights, trained.state, metadata)


def load_supernet(path: Path) -> TrainedSupernet:
    """Read a file that `save_supernet` wrote.

    Raises:
        RunError: there is none, or it is damaged or of another kind.
        FileFormatError: its space or recipe is none; names the line.
    """
    if not path.is_file():
        raise RunError(f"{path}: the file with the supernet is missing; make one: bneck supernet train")
    metadata, tensors = read_tensors(path, FORMAT, "supernet")
    try:
        about = json.loads(metadata["about"])
        plain = {name: about[name] for name in _PLAIN}
        for name in ("class_names", "pixel_mean", "pixel_std"):
            plain[name] = tuple(plain[name])
        recipe = read_recipe(parse(metadata["recipe"], f"{path}: recipe"))
        found = TrainedSupernet(
            space=read_space(parse(metadata["space"], f"{path}: space")),
            settings=SupernetSettings(recipe=recipe, **about["settings"]),
            weights=tensors_under(WEIGHTS, tensors),
            state=tensors_under(STATE, tensors),
            curve=tuple(Epoch(**point) for point in about["curve"]),
            **plain,
        )
        found.supernet()
    except BneckError as error:
        words = str(error)
        raise RunError(words if words.startswith(str(path)) else f"{path}: {words}") from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: the supernet is damaged ({first_line(error)})") from None
    return found
