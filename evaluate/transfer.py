"""Starting from the weights of a network that was trained on other images."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import BatchNorm2d

from ..search_space import ArchitectureError, RunError
from ..search_space.errors import first_line
from ..search_space.network import Network, from_torchvision, pretrained

_STEM, _CLASSIFIER = "stem.conv.weight", "classifier."


def pretrained_network(name: str, file: Path | None = None) -> Network:
    """A published network with torchvision's ImageNet weights.

    Args:
        file: a state dict of torchvision's network; without it torch's cache, and the network
            behind it, are asked.
    Raises:
        ArchitectureError: torchvision has no weights for that name, or the file is of another network.
        RunError: they cannot be read or fetched.
    """
    try:
        if file is None:
            return pretrained(name)
        return from_torchvision(name, torch.load(file, map_location="cpu", weights_only=True))
    except ArchitectureError:
        raise
    except OSError as error:
        if file is not None:
            raise RunError(f"{file}: cannot be read ({error.strerror or first_line(error)})") from None
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        raise RunError(
            f"the weights of {name} are not in {cache} and cannot be downloaded ({first_line(error)}); "
            "get torchvision's file on another machine and give it by --weights FILE"
        ) from None
    except Exception as error:
        raise RunError(f"{file or name}: no state dict of torchvision ({first_line(error)})") from None


def transfer(network: Network, source: Network) -> None:
    """Copy the weights of a trained network into one for other images.

    A classifier for another number of classes stays as it was drawn. A stem for grey images gets
    the sum over the colours, and one for colour images a third of the grey weights for each.

    Raises:
        RunError: the two differ elsewhere.
    """
    own, given = network.state_dict(), source.state_dict()
    weights: dict[str, Tensor] = {}
    for name, value in own.items():
        other = given.get(name)
        if other is not None and name == _STEM:
            other = _for_channels(other, value.shape[1])
        if other is not None and other.shape == value.shape:
            weights[name] = other
        elif name.startswith(_CLASSIFIER):
            weights[name] = value
        else:
            got = tuple(other.shape) if other is not None else "none"
            wanted = tuple(value.shape)
            raise RunError(f"the weights are of another network: {name} must be {wanted}, got {got}")
    network.load_state_dict(weights)
    for norm, like in zip(_norms(network), _norms(source), strict=True):
        norm.eps, norm.momentum = like.eps, like.momentum


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    if weight.shape[1] == channels:
        return weight
    return weight.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _norms(network: Network) -> list[BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, BatchNorm2d)]
