"""Flat dataclasses from YAML mappings; every value is checked by its type hint."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from .yaml_nodes import YamlNode, parse_file

T = TypeVar("T")
MAX_INTEGER, MAX_FLOAT = 10**15, 1e38  # of fields without a range of their own
RANGES: Mapping[str, tuple[float, float]] = {  # of the fields of all settings; constructors check the others
    "finetune_images": (1, 10**9),
    "finetune_lr_scale": (0, 1000),
    "n_trials": (1, 1_000_000),
    "processes": (1, 1024),
    "replicates": (0, 1_000_000),
    "seed": (0, 2**63 - 1),
    "seeds": (1, 10_000),
    "step": (1e-6, 1),
    "threads": (1, 1024),
    "train_images": (1, 10**9),
    "validation_images": (1, 10**9),
}


def read_dataclass(kind: type[T], entry: YamlNode, optional: Collection[str] = ()) -> T:
    """Read a dataclass whose fields are the keys of the mapping.

    Args:
        optional: fields that may be missing; they take their default.
    Raises:
        FileFormatError: names file, line, key, value and remedy.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    nodes = entry.mapping([name for name in names if name not in optional], optional)
    values = {name: read_value(hints[name], item) for name, item in nodes.items()}
    _require_ranges(nodes)
    with entry.error_context():
        return kind(**values)


def read_versioned_file(
    kind: type[T], path: Path, schema: str, readers: Mapping[str, Callable[[YamlNode], Any]]
) -> T:
    """Read a dataclass from a file: fields with a reader by it, other fields by their type.

    Fields in `OPTIONAL_KEYS` of the dataclass may be missing.

    Raises:
        FileFormatError: names file, line, key, value and remedy.
    """
    optional = getattr(kind, "OPTIONAL_KEYS", ())
    required = [field.name for field in fields(kind) if field.name not in optional]  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    root = parse_file(path)
    nodes = root.versioned_mapping(schema, required, optional)
    names = [name for name in nodes if name != "bneck"]
    values = {
        name: readers[name](nodes[name]) if name in readers else read_value(hints[name], nodes[name])
        for name in names
    }
    _require_ranges(nodes)
    with root.error_context():
        return kind(**values)


def _require_ranges(nodes: Mapping[str, YamlNode]) -> None:
    for name, node in nodes.items():
        if name in RANGES:
            node.require_between(*RANGES[name])


def read_choice(literal: Any, entry: YamlNode) -> Any:
    """One of the values of a `Literal`.

    Raises:
        FileFormatError: any other value.
    """
    choices = get_args(literal)
    if entry.value not in choices:
        raise entry.error(f"must be {', '.join(choices[:-1])} or {choices[-1]}, got {entry.value_text}")
    return entry.value


def read_value(hint: Any, entry: YamlNode) -> Any:
    """Read a value of a type: int, float, str, bool, or a union, tuple, mapping or literal of them.

    Values of a literal are checked by the dataclass, whose message names the field. A dataclass names keys
    that may be missing in `OPTIONAL_KEYS`.
    """
    if is_dataclass(hint):
        return read_dataclass(hint, entry, getattr(hint, "OPTIONAL_KEYS", ()))  # type: ignore[arg-type]
    arguments = get_args(hint)
    origin = get_origin(hint)
    if NoneType in arguments:
        (other,) = (argument for argument in arguments if argument is not NoneType)
        return None if entry.value is None else read_value(other, entry)
    if origin is tuple:
        return tuple(read_value(arguments[0], item) for item in entry.items())
    if origin is Mapping:
        items = entry.mapping((), entry.value if isinstance(entry.value, dict) else ())
        return {key: read_value(arguments[1], item) for key, item in items.items()}
    if origin is Literal:
        return entry.text()
    most = MAX_FLOAT if isinstance(entry.value, float) else MAX_INTEGER
    entry.require_between(-most, most)
    return {int: entry.integer, float: entry.number, str: entry.text, bool: entry.boolean}[hint]()
