"""Transfer learning: ImageNet weights, and weights of a network trained on other images."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import BatchNorm2d

from ...search_space import Architecture, ArchitectureError, RunError
from ...search_space.errors import first_line
from ...search_space.network import Network
from ...search_space.torchvision_weights import (
    from_torchvision,
    require_pretrained,
    torchvision_layers,
    weights_url,
)
from ..user_cache import user_cache_folder
from .checkpoint import load_checkpoint
from .state_dict_file import is_bneck_file, read_state_dict

_STEM, _CLASSIFIER = "stem.conv.weight", "classifier."


def pretrained_network(name: str, file: Path | str | None = None) -> Network:
    """A published network with torchvision's ImageNet weights.

    Args:
        file: state dict of torchvision's network (`.pth` or `.safetensors`), or a file of bneck; by default
            torch's cache, filled by a download.
    Raises:
        ArchitectureError: torchvision has no weights for this name, or the file does not fit the network.
        RunError: the weights cannot be read or downloaded.
    """
    if file is None:
        require_pretrained(name)
        path = _cached_weights(name)
    else:
        path = Path(file)
        if is_bneck_file(path):
            return load_checkpoint(path).network()
        torchvision_layers(name)  # refuses other networks before the file is read
    state = read_state_dict(path)
    try:
        return from_torchvision(name, state)
    except ArchitectureError as error:
        raise RunError(f"{path}: {error}") from None


def _cached_weights(name: str) -> Path:
    """torchvision's file in torch's cache, downloaded if it is not there."""
    url = weights_url(name)
    hub = Path(torch.hub.get_dir())
    if hub.parts[0] == "~":  # no home folder
        hub = user_cache_folder() / "torch" / "hub"
    path = hub / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hash_prefix = path.stem.rpartition("-")[2]
        torch.hub.download_url_to_file(url, str(path), hash_prefix)
    except Exception as error:  # no network, no permission, a full disk, another hash
        raise RunError(
            f"the weights of {name} are not in torch's cache and cannot be downloaded ({first_line(error)}); "
            f"download {url} and put it at {path}, or pass it as --weights FILE"
        ) from None
    return path


def transfer_weights(network: Network, source: Network) -> bool:
    """Copy trained weights into the same architecture for another data set, in place.

    The classifier keeps its initial weights if the number of classes differs. A grayscale stem gets the
    sum over the color channels; a color stem gets a third of the grayscale weights per channel.

    Returns:
        Whether the classifier was copied, too.
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
    return target.classes == origin.classes


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
