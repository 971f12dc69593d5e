"""Starting from the weights of a network that was trained on other images."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import BatchNorm2d

from ...search_space import Architecture, ArchitectureError, RunError
from ...search_space.errors import first_line
from ...search_space.network import Network, from_torchvision, pretrained, refuse_unless_in_torchvision

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
    refuse_unless_in_torchvision(name.partition("@")[0] if file else name)
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
    """Copy the weights of a trained network into the same network for other images.

    A classifier for another number of classes stays as it was drawn. A stem for grey images gets
    the sum over the colours, and one for colour images a third of the grey weights for each.

    Raises:
        RunError: it is another network.
    """
    own, given = network.architecture, source.architecture
    alike = replace(
        given, resolution_px=own.resolution_px, image_channels=own.image_channels, classes=own.classes
    )
    if alike != own:
        raise RunError(f"the weights are of another network: {_first_difference(own, given)}")
    weights = source.state_dict()
    weights[_STEM] = _for_channels(weights[_STEM], own.image_channels)
    if own.classes != given.classes:
        weights |= {
            name: value for name, value in network.state_dict().items() if name.startswith(_CLASSIFIER)
        }
    network.load_state_dict(weights)
    for norm, like in zip(_norms(network), _norms(source), strict=True):
        norm.eps, norm.momentum = like.eps, like.momentum


def _first_difference(own: Architecture, given: Architecture) -> str:
    if own.stem != given.stem:
        return "the stem differs"
    for number, (mine, theirs) in enumerate(zip(own.blocks, given.blocks, strict=False), start=1):
        if mine != theirs:
            return f"block {number} differs"
    if len(own.blocks) != len(given.blocks):
        return f"it has {len(given.blocks)} blocks, not {len(own.blocks)}"
    return "the head differs"


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    if weight.shape[1] == channels:
        return weight
    return weight.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _norms(network: Network) -> list[BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, BatchNorm2d)]
