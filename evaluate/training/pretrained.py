"""Published networks with ImageNet weights."""

from pathlib import Path

import torch

from ...search_space import ArchitectureError, RunError
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
