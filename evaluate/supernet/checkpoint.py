"""Supernet files: one safetensors file with weights, search space, data and training state."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from torch import Tensor

from ...search_space import BneckError, RunError, ScorerError, SearchSpace
from ...search_space.errors import first_line
from ...search_space.serialization.bounded_json import load_json
from ...search_space.serialization.space import read_space, space_to_dict
from ...search_space.serialization.yaml_nodes import dump, parse
from ..data.dataset import Data, normalize_as_trained
from ..data.manifest import Manifest
from ..data.training_images import TrainingImages
from ..training.accuracy import Epoch
from ..training.recipe import read_recipe, recipe_yaml
from ..training.safetensors_io import read_tensors, select_prefix, split_tensors, write_tensors
from ..trust import from_file
from .config import SupernetConfig
from .supernet import Supernet

FORMAT = "supernet/1"
_MANIFEST = "split-manifest."


@dataclass(frozen=True, eq=False)
class SupernetCheckpoint:
    """A supernet with its weights, configuration and training state.

    Attributes:
        space: search space for the images and classes of the data.
        weights: state dict of the supernet; the EMA if the recipe has one and training is finished.
        data: name of the data set.
        pixel_mean, pixel_std: normalization of pixels (0 to 255), one number per channel.
        train_images: size of the training split.
        fraction_done: completed fraction of the training budget, 0 to 1.
        images_seen: training images processed, repetitions included.
        seconds: compute time.
        curve: one point per epoch.
        fingerprint: hash of the splits of the data; empty in files of earlier versions.
        manifest: the files of the data and their splits; None if the images were no files.
        state: training state to resume from; empty if finished.
    """

    space: SearchSpace
    weights: Mapping[str, Tensor]
    settings: SupernetConfig
    data: str
    class_names: tuple[str, ...]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    train_images: int
    fraction_done: float
    steps: int
    images_seen: int
    seconds: float
    curve: tuple[Epoch, ...]
    fingerprint: str = ""
    manifest: Manifest | None = None
    state: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.fraction_done >= 1

    def supernet(self) -> Supernet:
        """The supernet module with its weights.

        Raises:
            RunError: the weights do not fit the space.
        """
        supernet = Supernet(self.space)
        try:
            supernet.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            problem = f"the weights do not fit space {self.space.name}"
            raise RunError(f"{problem} ({first_line(error)})") from None
        return supernet

    @property
    def training_images(self) -> TrainingImages:
        """Record of the images that it was trained on."""
        return TrainingImages(self.data, self.fingerprint, self.manifest)

    def normalize_data(self, data: Data) -> Data:
        """The data with the normalization of the training data.

        Raises:
            ScorerError: the data has other classes or channels.
        """
        return normalize_as_trained(data, self, self.space.image_channels, "supernet", ScorerError)


_SCALAR_FIELDS = tuple(
    each.name
    for each in fields(SupernetCheckpoint)
    if each.name not in ("space", "weights", "settings", "curve", "manifest", "state")
)
_CONFIG_FIELDS = tuple(each.name for each in fields(SupernetConfig) if each.name != "recipe")


def save_supernet(checkpoint: SupernetCheckpoint, path: str | Path, *, replace: bool = True) -> None:
    """Write the file atomically.

    Args:
        replace: whether an existing file is replaced; otherwise it is an error.
    Raises:
        RunError: it cannot be written.
    """
    info = {name: getattr(checkpoint, name) for name in _SCALAR_FIELDS}
    info["settings"] = {name: getattr(checkpoint.settings, name) for name in _CONFIG_FIELDS}
    info["curve"] = [asdict(point) for point in checkpoint.curve]
    metadata = {
        "bneck": FORMAT,
        "space": dump(space_to_dict(checkpoint.space)),
        "recipe": recipe_yaml(checkpoint.settings.recipe),
        "info": json.dumps(info),
    }
    manifest = checkpoint.manifest.tensors if checkpoint.manifest else {}
    state = {**checkpoint.state, **{_MANIFEST + name: value for name, value in manifest.items()}}
    write_tensors(Path(path), checkpoint.weights, state, metadata, replace=replace)


def load_supernet(path: str | Path) -> SupernetCheckpoint:
    """Read a file that `save_supernet` wrote.

    Raises:
        RunError: the file is missing, damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"{path}: the supernet file is missing; create one: bneck supernet")
    metadata, tensors = read_tensors(path, FORMAT, "supernet")
    weights, state = split_tensors(tensors)
    try:
        info = {"fingerprint": "", **load_json(metadata["info"])}
        scalars = {name: info[name] for name in _SCALAR_FIELDS}
        for name in ("class_names", "pixel_mean", "pixel_std"):
            scalars[name] = tuple(scalars[name])
        scalars["data"] = from_file(scalars["data"], "data set", f"{path}: data")
        recipe = read_recipe(parse(metadata["recipe"], f"{path}: recipe"))
        supernet = SupernetCheckpoint(
            space=read_space(parse(metadata["space"], f"{path}: space")),
            settings=SupernetConfig(recipe=recipe, **info["settings"]),
            weights=weights,
            state={name: value for name, value in state.items() if not name.startswith(_MANIFEST)},
            curve=tuple(Epoch(**point) for point in info["curve"]),
            manifest=Manifest.from_tensors(select_prefix(_MANIFEST, state)),
            **scalars,
        )
        supernet.supernet()
    except BneckError as error:
        message = str(error)
        raise RunError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: the supernet is damaged ({first_line(error)})") from None
    return supernet
