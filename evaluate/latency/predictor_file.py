"""A latency model as a JSON file that a person can read and a later bneck too."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

from ...search_space.serialization.atomic_write import write_whole
from ...search_space.serialization.dataclass_reader import read_as, read_flat
from ...search_space.serialization.yaml_nodes import Entry, parse_file
from .predictor import LatencyModel, Measured, Scores
from .predictor_features import DETAILED_TERMS, VECTOR_WIDTHS
from .setup import read_setup

FORMAT = "latency-model/1"


def model_to_dict(model: LatencyModel) -> dict[str, Any]:
    """The versioned form."""
    form: dict[str, Any] = {"bneck": FORMAT}
    form |= {field.name: getattr(model, field.name) for field in fields(LatencyModel)}
    form["setup"] = model.setup.to_dict()
    form["fitted"] = [asdict(each) for each in model.fitted]
    form["held_out"] = asdict(model.held_out) if model.held_out else None
    if model.held_out and model.held_out.spearman != model.held_out.spearman:
        form["held_out"]["spearman"] = None
    return form


def save_model(model: LatencyModel, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        RunError: it cannot be written there.
    """
    text = json.dumps(model_to_dict(model), indent=1, ensure_ascii=False)
    write_whole(path, f"{text}\n")


def load_model(path: Path) -> LatencyModel:
    """Read a model.

    Raises:
        FileFormatError: names file, line and key.
    """
    given = parse_file(path).versioned(FORMAT, [field.name for field in fields(LatencyModel)])
    hints = get_type_hints(LatencyModel)
    plain = {name: read_as(hints[name], given[name]) for name in ("space", "ridge", "errors")}
    held_out = given["held_out"]
    for name in ("errors", "fitted"):
        if not given[name].items():
            raise given[name].error("must hold at least one network's")
    return LatencyModel(
        setup=read_setup(given["setup"]),
        vector_width=_one_of(given["vector_width"], VECTOR_WIDTHS),
        terms={name: each.number() for name, each in given["terms"].mapping((), DETAILED_TERMS).items()},
        fitted=tuple(read_flat(Measured, each) for each in given["fitted"].items()),
        held_out=None if held_out.value is None else read_flat(Scores, held_out),
        **plain,
    )


def _one_of(entry: Entry, known: tuple[int, ...]) -> int:
    value = entry.integer()
    if value not in known:
        raise entry.error(f"must be one of {', '.join(map(str, known))}, got {value}")
    return value
