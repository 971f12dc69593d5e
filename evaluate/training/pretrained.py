"""Starting from the weights of a network that was trained on other images."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import BatchNorm2d

from ...search_space import Architecture, ArchitectureError, RunError
from ...search_space.errors import first_line
from ...search_space.network import (
    Network,
    from_torchvision,
    load_torchvision_weights,
    require_torchvision_weights,
)

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
    require_torchvision_weights(name.partition("@")[0] if file else name)
    try:
        if file is None:
            return load_torchvision_weights(name)
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


def transfer_weights(network: Network, source: Network) -> None:
    """Copy the weights of a trained network into the same network for other images.

    A classifier for another number of classes stays as it was drawn. A stem for grey images gets
    the sum over the colours, and one for colour images a third of the grey weights for each.

    Raises:
        RunError: it is another network.
    """
    target, origin = network.architecture, source.architecture
    source_for_target = replace(
        origin,
        resolution_px=target.resolution_px,
        image_channels=target.image_channels,
        classes=target.classes,
    )
    if source_for_target != target:
        raise RunError(f"the weights are of another network: {_first_difference(target, origin)}")
    weights = source.state_dict()
    weights[_STEM] = _adapt_input_channels(weights[_STEM], target.image_channels)
    if target.classes != origin.classes:
        weights |= {
            name: value for name, value in network.state_dict().items() if name.startswith(_CLASSIFIER)
        }
    network.load_state_dict(weights)
    for norm, source_norm in zip(_batchnorm_layers(network), _batchnorm_layers(source), strict=True):
        norm.eps, norm.momentum = source_norm.eps, source_norm.momentum


def _first_difference(target: Architecture, origin: Architecture) -> str:
    if target.stem != origin.stem:
        return "the stem differs"
    for number, (target_block, origin_block) in enumerate(
        zip(target.blocks, origin.blocks, strict=False), start=1
    ):
        if target_block != origin_block:
            return f"block {number} differs"
    if len(target.blocks) != len(origin.blocks):
        return f"it has {len(origin.blocks)} blocks, not {len(target.blocks)}"
    return "the head differs"


def _adapt_input_channels(weight: Tensor, channels: int) -> Tensor:
    if weight.shape[1] == channels:
        return weight
    return weight.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _batchnorm_layers(network: Network) -> list[BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, BatchNorm2d)]
