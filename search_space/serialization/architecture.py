"""Architectures as YAML and JSON files: versioned, canonical, lossless."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from ..architecture import FORMAT, Architecture, Block, FineTuning, Head, Padding, Stem
from .dataclass_reader import read_dataclass
from .foreign import is_foreign, read_foreign
from .yaml_nodes import YamlNode, parse_file


def architecture_yaml(architecture: Architecture, metadata: Mapping[str, Any] | None = None) -> str:
    """The canonical YAML form: one block a line.

    Args:
        metadata: information about the network (run, accuracy); not part of it and without effect on its key.
    """
    data = architecture.to_dict()
    lines = [f"bneck: {data['bneck']}"]
    if metadata:
        lines += ["metadata:"] + [
            f"  {key if key.isidentifier() else _json(key)}: {_json(value)}"
            for key, value in metadata.items()
        ]
    scalars = ("resolution_px", "image_channels", "classes", "padding")
    lines += [f"{key}: {data[key]}" for key in scalars if key in data]
    lines += [f"stem: {_flow_mapping(data['stem'])}", "blocks:"]
    lines += [f"  - {_flow_mapping(block)}" for block in data["blocks"]]
    lines += [f"head: {_flow_mapping(data['head'])}"]
    if "fine_tuning" in data:
        lines += [f"fine_tuning: {_json(data['fine_tuning'])}"]
    return "\n".join(lines) + "\n"


def load_architecture(path: str | Path) -> Architecture:
    """Read a YAML or JSON file: bneck's own, its `config.json` for the Hugging Face hub, a timm `arch_def`,
    or a configuration of Once-for-All.

    Raises:
        FileFormatError: names file, line, key, value and remedy.
    """
    return load_config(path).architecture


class Config(NamedTuple):
    """An architecture, and the epsilon of its batch normalization if the file has it."""

    architecture: Architecture
    norm_eps: float | None


def load_config(path: str | Path) -> Config:
    """Read such a file with what its metadata say of the weights.

    Raises:
        FileFormatError: names file, line, key, value and remedy.
    """
    root = parse_file(path)
    if is_foreign(root):
        return Config(read_foreign(root), None)
    own = root.value.get("bneck") if isinstance(root.value, dict) else None
    entry = own if own and isinstance(own.value, dict) else root
    architecture = read_architecture(entry)
    metadata = entry.value.get("metadata")
    known = metadata.value if metadata and isinstance(metadata.value, dict) else {}
    return Config(architecture, known["norm_eps"].number() if "norm_eps" in known else None)


def read_architecture(entry: YamlNode) -> Architecture:
    """An architecture from a parsed file."""
    required = ("resolution_px", "image_channels", "classes", "stem", "blocks", "head")
    fields = entry.versioned_mapping(FORMAT, required, ("metadata", "padding", "fine_tuning"))
    padding = fields["padding"].text() if "padding" in fields else "symmetric"
    with entry.error_context():
        return Architecture(
            resolution_px=fields["resolution_px"].integer(),
            stem=read_dataclass(Stem, fields["stem"]),
            blocks=tuple(
                read_dataclass(Block, item, optional=("squeeze", "gate")) for item in fields["blocks"].items()
            ),
            head=read_dataclass(Head, fields["head"], optional=("hidden_bias",)),
            image_channels=fields["image_channels"].integer(),
            classes=fields["classes"].integer(),
            padding=cast("Padding", padding),
            fine_tuning=(
                read_dataclass(
                    FineTuning, fields["fine_tuning"], optional=("dropped_blocks", "dropped_stages")
                )
                if "fine_tuning" in fields
                else None
            ),
        )


def _flow_mapping(fields: Mapping[str, Any]) -> str:
    texts = (f"{key}: {_json(value) if isinstance(value, bool) else value}" for key, value in fields.items())
    return "{" + ", ".join(texts) + "}"


def _json(value: Any) -> str:
    """JSON is valid YAML, but PyYAML takes a number with an exponent and without a dot for text."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text
