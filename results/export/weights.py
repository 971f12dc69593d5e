"""The trained weights: bneck's own file, and a folder in the layout of the Hugging Face hub."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .exportable import Exportable
from .model_card import model_card

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"


def bneck_file(network: Exportable) -> bytes:
    """The checkpoint: the state dict, with architecture, data and recipe as metadata."""
    return network.checkpoint.read_bytes()


def bneck_file_logits(network: Exportable, content: bytes, images: "Tensor") -> "Tensor":
    return _logits(network, content, images)


def huggingface_files(network: Exportable) -> Mapping[str, bytes]:
    """`config.json`, `model.safetensors`, and the model card as `README.md`."""
    from safetensors.torch import save

    weights = {name: value.contiguous() for name, value in network.network.state_dict().items()}
    config = json.dumps(huggingface_config(network), indent=2, ensure_ascii=False)
    return {
        CONFIG_FILE: f"{config}\n".encode(),
        WEIGHTS_FILE: save(weights, {"format": "pt"}),
        CARD_FILE: model_card(network),
    }


def huggingface_logits(network: Exportable, files: Mapping[str, bytes], images: "Tensor") -> "Tensor":
    return _logits(network, files[WEIGHTS_FILE], images)


def huggingface_config(network: Exportable) -> dict[str, Any]:
    """`config.json`: the keys that timm reads, and under `bneck` the architecture with its metadata."""
    architecture = network.architecture
    size_px, head = architecture.resolution_px, architecture.head
    return {
        "architecture": network.model_name,
        "num_classes": architecture.classes,
        "num_features": head.hidden or head.features,
        "label_names": list(network.data.class_names),
        "pretrained_cfg": {
            "input_size": [architecture.image_channels, size_px, size_px],
            "num_classes": architecture.classes,
            **timm_config(network),
            "first_conv": "conv_stem",
            "classifier": "classifier",
        },
        "bneck": {**architecture.to_dict(), "metadata": network.full_metadata},
    }


def timm_config(network: Exportable) -> dict[str, Any]:
    """Crop and normalization as timm names them; its pixels are from 0 to 1."""
    data, center = network.data, network.trained.crop == "center"
    return {
        "interpolation": "bilinear",
        "crop_pct": 224 / 256 if center else 1.0,
        "crop_mode": "center" if center else "squash",
        "mean": [value / 255 for value in data.pixel_mean],
        "std": [value / 255 for value in data.pixel_std],
    }


def _logits(network: Exportable, content: bytes, images: "Tensor") -> "Tensor":
    """Of a plain network of the same architecture, with the tensors by their names in the file."""
    from safetensors.torch import load

    from ...search_space.network import build_network

    plain = build_network(network.architecture, norm_eps=network.trained.norm_eps).eval()
    plain.load_state_dict(load(content))
    logits: Tensor = plain(images)
    return logits
