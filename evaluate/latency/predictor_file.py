"""A latency model as a JSON file that a person can read and a later bneck too."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.dataclass_reader import read_dataclass, read_value
from ...search_space.serialization.yaml_nodes import YamlNode, parse_file
from .predictor import LatencyPredictor, MeasuredRatio, PredictionMetrics
from .predictor_features import DETAILED_TERMS, VECTOR_WIDTHS
from .setup import read_latency_setup

FORMAT = "latency-predictor/1"


def latency_predictor_to_dict(model: LatencyPredictor) -> dict[str, Any]:
    """The versioned form."""
    document: dict[str, Any] = {"bneck": FORMAT}
    document |= {field.name: getattr(model, field.name) for field in fields(LatencyPredictor)}
    document["setup"] = model.setup.to_dict()
    document["training_networks"] = [asdict(each) for each in model.training_networks]
    document["held_out"] = asdict(model.held_out) if model.held_out else None
    if model.held_out and model.held_out.spearman != model.held_out.spearman:
        document["held_out"]["spearman"] = None
    return document


def save_latency_predictor(model: LatencyPredictor, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        RunError: it cannot be written there.
    """
    text = json.dumps(latency_predictor_to_dict(model), indent=1, ensure_ascii=False)
    write_atomic(path, f"{text}\n")


def load_latency_predictor(path: Path) -> LatencyPredictor:
    """Read a model.

    Raises:
        FileFormatError: names file, line and key.
    """
    entries = parse_file(path).versioned_mapping(FORMAT, [field.name for field in fields(LatencyPredictor)])
    hints = get_type_hints(LatencyPredictor)
    scalars = {name: read_value(hints[name], entries[name]) for name in ("space", "ridge", "errors")}
    held_out = entries["held_out"]
    for name in ("errors", "training_networks"):
        if not entries[name].items():
            raise entries[name].error("must hold at least one network's")
    return LatencyPredictor(
        setup=read_latency_setup(entries["setup"]),
        vector_width=_one_of(entries["vector_width"], VECTOR_WIDTHS),
        terms={name: each.number() for name, each in entries["terms"].mapping((), DETAILED_TERMS).items()},
        training_networks=tuple(
            read_dataclass(MeasuredRatio, each) for each in entries["training_networks"].items()
        ),
        held_out=None if held_out.value is None else read_dataclass(PredictionMetrics, held_out),
        **scalars,
    )


def _one_of(entry: YamlNode, known: tuple[int, ...]) -> int:
    value = entry.integer()
    if value not in known:
        raise entry.error(f"must be one of {', '.join(map(str, known))}, got {value}")
    return value
