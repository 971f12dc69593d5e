"""The JSON Schema of architecture files."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bneck.search_space import (
    PRESETS,
    PUBLISHED_NAMES,
    Architecture,
    FileFormatError,
    load_architecture,
    load_space,
    published_architecture,
)
from bneck.search_space.architecture import FineTuning, Head
from bneck.search_space.serialization.schema import architecture_schema

FILE = Path(__file__).parents[3] / "docs" / "architecture.schema.json"


def random_networks() -> list[Architecture]:
    spaces = [load_space(name) for name in PRESETS]
    return [space.decode(space.sample(random.Random(seed))) for space in spaces for seed in range(5)]


def test_the_file_in_the_documentation_is_up_to_date() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == architecture_schema()


def changed(config: dict[str, Any], *path: str | int, value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(config))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return dict(copy)


@pytest.mark.extra
def test_the_schema_accepts_what_bneck_reads_and_nothing_else(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="extra: bneck[dev]")
    validator = jsonschema.Draft202012Validator(architecture_schema())
    large = published_architecture("mobilenet_v3_large")
    valid = [
        *random_networks(),
        *map(published_architecture, PUBLISHED_NAMES),
        replace(large, head=Head(960, 1280, hidden_bias=False), fine_tuning=FineTuning("large", "head", 2)),
    ]
    for architecture in valid:
        validator.validate(json.loads(json.dumps({**architecture.to_dict(), "metadata": {"top1": 0.9}})))
    config = json.loads(json.dumps(large.to_dict()))
    invalid = [
        changed(config, *path, value=value)
        for path, value in (
            (("blocks", 0, "kernel"), 4),
            (("blocks", 3, "squeeze"), 0),
            (("blocks", 0, "squeeze"), 8),
            (("blocks", 0, "gate"), "sigmoid"),
            (("blocks", 0, "out"), None),
            (("blocks", 0, "expanded"), 0),
            (("blocks", 0, "width"), 3),
            (("blocks",), []),
            (("stem", "stride"), 3),
            (("stem", "kernel"), None),
            (("head", "activation"), "mish"),
            (("head", "hidden"), -1),
            (("resolution_px",), 7),
            (("classes",), 1),
            (("classes",), "ten"),
            (("padding",), "valid"),
            (("bneck",), "architecture/2"),
            (("head",), None),
            (("fine_tuning",), {"parent": "large", "tuned": "most"}),
            (("fine_tuning",), {"parent": "large"}),
        )
    ]
    path = tmp_path / "network.json"
    for config in invalid:
        assert not validator.is_valid(config)
        path.write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(FileFormatError):
            load_architecture(path)
