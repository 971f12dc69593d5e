"""Architectures as YAML and JSON files: versioned, canonical, lossless."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..architecture import FORMAT, Architecture, Block, Head, Stem
from .dataclass_reader import read_flat
from .yaml_nodes import Entry, parse_file


def architecture_yaml(architecture: Architecture, about: Mapping[str, Any] | None = None) -> str:
    """The canonical YAML form: one block a line.

    Args:
        about: what is known of the network (its run, its accuracy), kept beside it and not
            part of it: it does not change the key.
    """
    form = architecture.to_dict()
    lines = [f"bneck: {form['bneck']}"]
    if about:
        lines += ["about:"] + [
            f"  {key if key.isidentifier() else _quoted(key)}: {_quoted(value)}"
            for key, value in about.items()
        ]
    lines += [f"{key}: {form[key]}" for key in ("resolution_px", "image_channels", "classes")]
    lines += [f"stem: {_row(form['stem'])}", "blocks:"]
    lines += [f"  - {_row(block)}" for block in form["blocks"]]
    lines += [f"head: {_row(form['head'])}"]
    return "\n".join(lines) + "\n"


def load_architecture(path: Path) -> Architecture:
    """Read a YAML or JSON file.

    Raises:
        FileFormatError: names file, line, key, value and what would work.
    """
    return read_architecture(parse_file(path))


def read_architecture(entry: Entry) -> Architecture:
    """An architecture from a parsed file."""
    required = ("resolution_px", "image_channels", "classes", "stem", "blocks", "head")
    fields = entry.versioned(FORMAT, required, ("about",))
    with entry.placed():
        return Architecture(
            resolution_px=fields["resolution_px"].integer(),
            stem=read_flat(Stem, fields["stem"]),
            blocks=tuple(read_flat(Block, item, optional=("squeeze",)) for item in fields["blocks"].items()),
            head=read_flat(Head, fields["head"]),
            image_channels=fields["image_channels"].integer(),
            classes=fields["classes"].integer(),
        )


def _row(fields: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"


def _quoted(value: Any) -> str:
    """JSON, which is YAML too."""
    return json.dumps(value, ensure_ascii=False)
