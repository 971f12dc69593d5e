"""Trained networks on disk: one safetensors file with architecture, weights, data, recipe and curve."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor, nn

from ...search_space import Architecture, BneckError, RunError, architecture_yaml
from ...search_space.errors import first_line
from ...search_space.network import Network, build_network
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.bounded_json import load_json
from ...search_space.serialization.yaml_nodes import parse
from ..data.dataset import Data, normalize_as_trained
from ..data.manifest import fingerprint
from ..preprocessing import Crop, Preprocessing, default_crop, require_crop
from ..trust import from_file
from .accuracy import Epoch
from .recipe import Recipe, read_recipe, recipe_yaml
from .safetensors_io import read_tensors, split_tensors, write_tensors

FORMAT = "checkpoint/1"
_INFO = (
    *("data", "class_names", "pixel_mean", "pixel_std", "norm_eps", "norm_momentum"),
    *("seed", "fingerprint", "crop"),
)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network with its provenance.

    Attributes:
        weights: state dict of the network.
        norm_eps, norm_momentum: constants of its batch normalisation layers.
        data: name of the data set.
        pixel_mean, pixel_std: normalisation of pixels (0 to 255), one value per channel.
        curve: one point per epoch, up to the epoch of the weights.
        fingerprint: hash of the splits of the data; empty in files of earlier versions.
        crop: how images become squares; files of earlier versions do not have it.
        state: `Trainer.state` to resume from; empty after training has finished.
    """

    architecture: Architecture
    weights: Mapping[str, Tensor]
    norm_eps: float
    norm_momentum: float
    data: str
    class_names: tuple[str, ...]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    recipe: Recipe
    seed: int
    curve: tuple[Epoch, ...]
    fingerprint: str = ""
    crop: Crop = "center"
    state: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def preprocessing(self) -> Preprocessing:
        """From an image file to the input of the network."""
        architecture = self.architecture
        return Preprocessing(
            architecture.resolution_px,
            architecture.image_channels,
            self.pixel_mean,
            self.pixel_std,
            self.crop,
        )

    def network(self) -> Network:
        """The network with its weights, in evaluation mode.

        Raises:
            RunError: the weights do not fit the architecture.
        """
        network = build_network(self.architecture, norm_eps=self.norm_eps, norm_momentum=self.norm_momentum)
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise RunError(
                f"the weights do not fit network {self.architecture.key} ({first_line(error)})"
            ) from None
        return network.eval()

    def normalize_data(self, data: Data) -> Data:
        """The data with the normalisation that the network was trained with.

        Raises:
            RunError: classes or channels differ.
        """
        return normalize_as_trained(data, self, self.architecture.image_channels, "network", RunError)


def make_checkpoint(
    network: Network,
    data: Data,
    recipe: Recipe,
    seed: int,
    curve: Sequence[Epoch],
    state: Mapping[str, Tensor] | None = None,
) -> Checkpoint:
    """Checkpoint of a network after the epochs of `curve`.

    Args:
        state: `Trainer.state`, to resume from.
    """
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    return Checkpoint(
        architecture=network.architecture,
        weights=network.state_dict(),
        norm_eps=norm.eps,
        norm_momentum=norm.momentum or 0.0,
        data=data.name,
        class_names=data.class_names,
        pixel_mean=data.pixel_mean,
        pixel_std=data.pixel_std,
        recipe=recipe,
        seed=seed,
        curve=tuple(curve),
        fingerprint=fingerprint(data),
        crop="center" if data.image_size_px is None else "whole",
        state=state or {},
    )


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write a checkpoint atomically.

    Raises:
        RunError: the file cannot be written (no space, no permission).
    """
    info: dict[str, object] = {name: getattr(checkpoint, name) for name in _INFO}
    info["curve"] = [asdict(point) for point in checkpoint.curve]
    metadata = {
        "bneck": FORMAT,
        "architecture": architecture_yaml(checkpoint.architecture),
        "recipe": recipe_yaml(checkpoint.recipe),
        "info": json.dumps(info),
    }
    write_tensors(Path(path), checkpoint.weights, checkpoint.state, metadata)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file written by `save_checkpoint`.

    Raises:
        RunError: the file is missing, damaged or not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"{path}: checkpoint file not found")
    metadata, tensors = read_tensors(path, FORMAT, "checkpoint")
    weights, state = split_tensors(tensors)
    try:
        info = load_json(metadata["info"])
        return Checkpoint(
            architecture=read_architecture(parse(metadata["architecture"], f"{path}: architecture")),
            recipe=read_recipe(parse(metadata["recipe"], f"{path}: recipe")),
            weights=weights,
            state=state,
            data=from_file(info["data"], "data set", f"{path}: data"),
            class_names=tuple(info["class_names"]),
            pixel_mean=tuple(info["pixel_mean"]),
            pixel_std=tuple(info["pixel_std"]),
            norm_eps=info["norm_eps"],
            norm_momentum=info["norm_momentum"],
            seed=info["seed"],
            curve=tuple(Epoch(**point) for point in info["curve"]),
            fingerprint=str(info.get("fingerprint", "")),
            crop=require_crop(info.get("crop") or default_crop(info["data"])),
        )
    except BneckError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: the checkpoint is damaged ({first_line(error)})") from None


def load_checkpoint_of(architecture: Architecture, path: str | Path) -> Checkpoint:
    """Read a checkpoint of a network.

    Raises:
        RunError: the file is missing, or its architecture is not `architecture`.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.architecture.without_fine_tuning != architecture.without_fine_tuning:
        raise RunError(f"{path}: must hold network {architecture.key}, got {checkpoint.architecture.key}")
    return checkpoint


def load_trained_network(architecture: Architecture, path: str | Path) -> Network:
    """The network of such a checkpoint, in evaluation mode."""
    return load_checkpoint_of(architecture, path).network()
