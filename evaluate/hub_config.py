"""Architectures from `config.json` files of the Hugging Face hub."""

from dataclasses import replace
from pathlib import Path

from ..search_space import Architecture, ArchitectureError, RunError, load_architecture
from ..search_space.errors import first_line
from ..search_space.serialization.bounded_json import load_json
from .optional_dependencies import optional_import
from .training.timm_networks import no_retries_offline, timm_architecture

HF_PREFIX = "hf:"
_CONFIG_FILE = "config.json"


def hub_architecture(name: str) -> Architecture:
    """The network of a `config.json` that bneck exported, or that timm wrote.

    Args:
        name: `hf:` and a folder, a file, or a repository such as `timm/mobilenetv3_small_050.lamb_in1k`;
            its file comes from the hub's cache, filled by a download.
    Raises:
        BneckError: the file is missing or damaged, or the network is not of the MobileNet family.
    """
    path = Path(name.removeprefix(HF_PREFIX))
    if path.is_dir():
        path = path / _CONFIG_FILE
    elif not path.is_file():
        path = _downloaded(name)
    try:
        config = load_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({first_line(error)})") from None
    if not isinstance(config, dict) or "architecture" not in config:
        raise RunError(f"{path}: no config of timm or bneck (it has no 'architecture')")
    if "bneck" in config:
        return load_architecture(path)
    architecture = timm_architecture(f"timm:{config['architecture']}")
    classes = config.get("num_classes", architecture.classes)
    size = config.get("pretrained_cfg", {}).get("input_size", [0, 0, architecture.resolution_px])
    try:
        return replace(architecture, classes=classes, resolution_px=size[-1])
    except ArchitectureError as error:
        raise RunError(f"{path}: {error}") from None


def _downloaded(name: str) -> Path:
    with optional_import(name, extra="timm", error=RunError):
        from huggingface_hub import hf_hub_download
    try:
        with no_retries_offline():
            return Path(hf_hub_download(name.removeprefix(HF_PREFIX), _CONFIG_FILE))
    except Exception as error:  # whatever the hub's client raises: no network, no such repository
        raise RunError(
            f"{name}: no such folder or file, and the hub has no {_CONFIG_FILE} of it ({first_line(error)})"
        ) from None
