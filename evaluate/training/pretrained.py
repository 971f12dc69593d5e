"""Transfer learning: ImageNet weights, and weights of a network trained on other images."""

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
        file: state dict of torchvision's network; by default torch's cache, filled by a download.
    Raises:
        ArchitectureError: torchvision has no weights for this name, or the file does not fit the network.
        RunError: the weights cannot be read or downloaded.
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
            "download torchvision's file on another machine and pass it as --weights FILE"
        ) from None
    except Exception as error:
        raise RunError(f"{file or name}: not a torchvision state dict ({first_line(error)})") from None


def transfer_weights(network: Network, source: Network) -> None:
    """Copy trained weights into the same architecture for another data set, in place.

    The classifier keeps its initial weights if the number of classes differs. A grayscale stem gets the
    sum over the color channels; a color stem gets a third of the grayscale weights per channel.

    Raises:
        RunError: stem, blocks or head differ.
    """
    target, origin = network.architecture, source.architecture
    source_for_target = replace(
        origin,
        resolution_px=target.resolution_px,
        image_channels=target.image_channels,
        classes=target.classes,
    )
    if source_for_target != target:
        raise RunError(f"the weights do not fit the network: {_first_difference(target, origin)}")
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
        return f"it must have {len(target.blocks)} blocks, got {len(origin.blocks)}"
    return "the head differs"


def _adapt_input_channels(weight: Tensor, channels: int) -> Tensor:
    if weight.shape[1] == channels:
        return weight
    return weight.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _batchnorm_layers(network: Network) -> list[BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, BatchNorm2d)]
