"""JSON Schema of architecture files, for editors and other programs."""

from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

from ..architecture import (
    FORMAT,
    KERNELS,
    MAX_BLOCKS,
    MAX_CHANNELS,
    MAX_CLASSES,
    MAX_IMAGE_CHANNELS,
    MAX_RESOLUTION_PX,
    STRIDES,
    Block,
    FineTuning,
    Head,
    Padding,
    Stem,
)

_SQUEEZE_IF_SE = {
    "if": {"properties": {"attention": {"const": "se"}}},
    "then": {"properties": {"squeeze": {"minimum": 1}}, "required": ["squeeze"]},
    "else": {"properties": {"squeeze": {"const": 0}, "gate": {"const": "hardsigmoid"}}},
}
_RANGES = {"kernel": KERNELS, "stride": STRIDES}
_MINIMUMS = {"squeeze": 0, "hidden": 0, "dropped_blocks": 0, "dropped_stages": 0}
_MAXIMUMS = {"dropped_blocks": MAX_BLOCKS, "dropped_stages": MAX_BLOCKS}


def architecture_schema() -> dict[str, Any]:
    """The schema; `docs/architecture.schema.json` holds it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bneck architecture",
        "description": "A network of the MobileNetV3 family: stem, bneck blocks, head.",
        "type": "object",
        "properties": {
            "bneck": {"const": FORMAT},
            "metadata": {"type": "object", "description": "Origin and results; not part of the network."},
            "resolution_px": _whole(8, MAX_RESOLUTION_PX),
            "image_channels": _whole(1, MAX_IMAGE_CHANNELS),
            "classes": _whole(2, MAX_CLASSES),
            "padding": {"enum": list(get_args(Padding))},
            "stem": _object(Stem, all_required=True),
            "blocks": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_BLOCKS,
                "items": _object(Block) | _SQUEEZE_IF_SE,
            },
            "head": _object(Head, optional=("hidden_bias",)),
            "fine_tuning": _object(FineTuning, optional=("dropped_blocks", "dropped_stages")),
        },
        "required": ["bneck", "resolution_px", "image_channels", "classes", "stem", "blocks", "head"],
        "additionalProperties": False,
    }


def _object(
    kind: type, *, all_required: bool = False, optional: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """The schema of a dataclass; fields with a default, or those in `optional`, may be missing."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    if optional is None:
        optional = tuple(field.name for field in fields(kind) if field.default is not MISSING)
    return {
        "type": "object",
        "properties": {name: _value(name, hints[name]) for name in names},
        "required": [name for name in names if all_required or name not in optional],
        "additionalProperties": False,
    }


def _value(name: str, hint: Any) -> dict[str, Any]:
    if name in _RANGES:
        return {"enum": list(_RANGES[name])}
    if get_args(hint):
        return {"enum": list(get_args(hint))}
    if hint is int:
        return _whole(_MINIMUMS.get(name, 1), _MAXIMUMS.get(name, MAX_CHANNELS))
    return {"type": {bool: "boolean", str: "string"}[hint]}


def _whole(minimum: int, maximum: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}
