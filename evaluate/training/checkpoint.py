"""Trained networks on disk: one safetensors file with the network, its data, its recipe, and its past."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor, nn

from ...search_space import Architecture, BneckError, RunError, architecture_yaml
from ...search_space.errors import first_line
from ...search_space.network import Network, build_network
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.yaml_nodes import parse
from ..data.dataset import Data, normalize_as_trained
from .accuracy import Epoch
from .recipe import Recipe, read_recipe, recipe_yaml
from .safetensors_io import STATE, WEIGHTS, read_tensors, select_prefix, write_tensors

FORMAT = "checkpoint/1"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network, and where it comes from.

    Attributes:
        weights: the network's state dict.
        norm_eps, norm_momentum: of its batch normalisation.
        data: name of the data set.
        pixel_mean, pixel_std: how pixels (0 to 255) are normalised, one number a channel.
        curve: one point an epoch, up to the one that the weights are of.
        state: of the training, to go on from; empty in a network that is finished.
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
    state: Mapping[str, Tensor] = field(default_factory=dict)

    def network(self) -> Network:
        """The network with its weights, in evaluation mode.

        Raises:
            RunError: the weights are of another network.
        """
        network = build_network(self.architecture, norm_eps=self.norm_eps, norm_momentum=self.norm_momentum)
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            problem = f"the weights are not those of network {self.architecture.key}"
            raise RunError(f"{problem} ({first_line(error)})") from None
        return network.eval()

    def normalise_data(self, data: Data) -> Data:
        """The data as the network was trained to see it.

        Raises:
            RunError: it has other classes or channels.
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
    """What is known of a network after these epochs on this data.

    Args:
        state: what `Trainer.state` tells, to go on from.
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
        state=state or {},
    )


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        RunError: it cannot be written: no space, no permission.
    """
    info = {
        "data": checkpoint.data,
        "class_names": checkpoint.class_names,
        "pixel_mean": checkpoint.pixel_mean,
        "pixel_std": checkpoint.pixel_std,
        "norm_eps": checkpoint.norm_eps,
        "norm_momentum": checkpoint.norm_momentum,
        "seed": checkpoint.seed,
        "curve": [asdict(point) for point in checkpoint.curve],
    }
    metadata = {
        "bneck": FORMAT,
        "architecture": architecture_yaml(checkpoint.architecture),
        "recipe": recipe_yaml(checkpoint.recipe),
        "info": json.dumps(info),
    }
    write_tensors(path, checkpoint.weights, checkpoint.state, metadata)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a file that `save_checkpoint` wrote.

    Raises:
        RunError: there is none, or it is damaged or of another kind.
    """
    if not path.is_file():
        raise RunError(f"{path}: the file with the trained network is missing")
    metadata, tensors = read_tensors(path, FORMAT, "checkpoint")
    try:
        info = json.loads(metadata["info"])
        return Checkpoint(
            architecture=read_architecture(parse(metadata["architecture"], f"{path}: architecture")),
            recipe=read_recipe(parse(metadata["recipe"], f"{path}: recipe")),
            weights=select_prefix(WEIGHTS, tensors),
            state=select_prefix(STATE, tensors),
            data=info["data"],
            class_names=tuple(info["class_names"]),
            pixel_mean=tuple(info["pixel_mean"]),
            pixel_std=tuple(info["pixel_std"]),
            norm_eps=info["norm_eps"],
            norm_momentum=info["norm_momentum"],
            seed=info["seed"],
            curve=tuple(Epoch(**point) for point in info["curve"]),
        )
    except BneckError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: the checkpoint is damaged ({first_line(error)})") from None


def load_trained_network(architecture: Architecture, path: Path) -> Network:
    """The network of a file, which must be this one.

    Raises:
        RunError: there is no such file, or it holds another network.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.architecture != architecture:
        raise RunError(f"{path}: holds network {checkpoint.architecture.key}, not {architecture.key}")
    return checkpoint.network()
