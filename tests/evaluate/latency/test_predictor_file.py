"""Latency predictor files: round trip and errors."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate.latency.predictor import (
    LatencyPredictor,
    MeasuredRatio,
    PredictionMetrics,
)
from bneck.evaluate.latency.predictor_features import TERMS
from bneck.search_space import FileFormatError, RunError

from ...search_space.helpers import TOY
from ..example_setup import SETUP, crooked_networks, ratios_of

SMALL = LatencyPredictor(
    space="tiny",
    setup=SETUP,
    vector_width=16,
    ridge=0.01,
    terms={"network": 0.125, "layers": -1e-07},
    errors=(0.01, 0.0625),
    training_networks=(MeasuredRatio("a1b2c3d4e5f6", 0.5), MeasuredRatio("f6e5d4c3b2a1", 2.0)),
    held_out=PredictionMetrics(4, 0.75, 0.03, 0.5, 1.0, 0.9),
)


@cache
def training_networks() -> LatencyPredictor:
    networks = crooked_networks(80)
    ratios = ratios_of(networks, noise=0.05)
    metrics = LatencyPredictor.fit(networks[:60], ratios[:60], setup=SETUP, space="crooked")
    return replace(metrics, held_out=metrics.evaluate(networks[60:], ratios[60:]))


def there_and_back(model: LatencyPredictor, folder: Path) -> LatencyPredictor:
    model.save(folder / "model.json")
    return LatencyPredictor.load(folder / "model.json")


def message_of(path: Path) -> str:
    """The refusal of a file, its folder left out."""
    with pytest.raises(FileFormatError) as refusal:
        LatencyPredictor.load(path)
    message = str(refusal.value)
    assert message.startswith(str(path))
    return message.replace(str(path), path.name)


# There and back


def test_a_model_comes_back_equal_and_predicts_the_same(tmp_path: Path) -> None:
    model = training_networks()
    loaded = there_and_back(model, tmp_path)
    assert loaded == model
    assert loaded.predict(TOY) == model.predict(TOY)
    assert loaded.held_out is not None
    assert loaded.held_out.networks == 20


@pytest.mark.parametrize(
    "model",
    [
        SMALL,
        replace(SMALL, held_out=None),
        replace(SMALL, terms={}),
        replace(SMALL, ridge=1e-07, errors=(1e-300, 1 / 3, 0.1 + 0.2)),
        replace(SMALL, space="1e5", setup=replace(SETUP, backend="command:läuft {onnx} # no: 'x'\t\\")),
    ],
)
def test_every_value_comes_back_to_the_bit(model: LatencyPredictor, tmp_path: Path) -> None:
    assert there_and_back(model, tmp_path) == model


def test_a_space_may_have_any_name(tmp_path: Path) -> None:
    assert there_and_back(replace(SMALL, space="fast 🚀"), tmp_path).space == "fast 🚀"


def test_a_rank_correlation_that_is_not_defined_comes_back(tmp_path: Path) -> None:
    # as scipy gives it where all networks held out took equally long
    assert SMALL.held_out is not None
    undefined = replace(SMALL.held_out, spearman=float("nan"))
    assert there_and_back(replace(SMALL, held_out=undefined), tmp_path).held_out is not None


def test_the_file_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    SMALL.save(tmp_path / "model.json")
    text = (tmp_path / "model.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "bneck": "latency-predictor/1",
        "space": "tiny",
        "setup": SETUP.to_dict(),
        "vector_width": 16,
        "ridge": 0.01,
        "terms": {"network": 0.125, "layers": -1e-07},
        "errors": [0.01, 0.0625],
        "training_networks": [
            {"key": "a1b2c3d4e5f6", "ratio": 0.5},
            {"key": "f6e5d4c3b2a1", "ratio": 2.0},
        ],
        "held_out": {
            "networks": 4,
            "spearman": 0.75,
            "mape": 0.03,
            "within_5": 0.5,
            "within_10": 1.0,
            "coverage": 0.9,
        },
    }
    lines = text.splitlines()
    assert lines[:3] == ["{", ' "bneck": "latency-predictor/1",', ' "space": "tiny",']
    assert ' "vector_width": 16,' in lines
    assert text.endswith("}\n")


def test_a_model_is_read_and_predicts_without_sklearn_and_torch(tmp_path: Path) -> None:
    SMALL.save(tmp_path / "model.json")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bneck.evaluate.latency.predictor import LatencyPredictor\n"
        "from bneck.search_space import published_architecture\n"
        f"model = LatencyPredictor.load(Path({str(tmp_path / 'model.json')!r}))\n"
        "model.predict(published_architecture('mobilenet_v2'))\n"
        "print([name for name in ('sklearn', 'scipy', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# Writing


def test_a_model_takes_the_place_of_the_one_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    training_networks().save(tmp_path / "model.json")
    SMALL.save(tmp_path / "model.json")
    assert LatencyPredictor.load(tmp_path / "model.json") == SMALL
    assert [file.name for file in tmp_path.iterdir()] == ["model.json"]


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "model.json"
    with pytest.raises(RunError) as refusal:
        SMALL.save(path)
    assert str(refusal.value) == f"{path} cannot be written: No such file or directory"
    (tmp_path / "a folder").mkdir()
    with pytest.raises(RunError, match=r"a folder cannot be written: Is a directory$"):
        SMALL.save(tmp_path / "a folder")


def test_a_disk_that_is_full_leaves_the_model_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SMALL.save(tmp_path / "model.json")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match=r"model\.json cannot be written: No space left on device$"):
        training_networks().save(tmp_path / "model.json")
    assert LatencyPredictor.load(tmp_path / "model.json") == SMALL


# Mistakes


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ('"space": "tiny"', '"space": 7', "space", "got 7"),
        ('"vector_width": 16', '"vector_width": 12', "vector_width", "1, 4, 8, 16, 32, got 12"),
        ('"vector_width": 16', '"vector_width": true', "vector_width", "got True"),
        ('"ridge": 0.01', '"ridge": null', "ridge", "got None"),
        ('"layers": -1e-07', '"layers": []', "terms.layers", "got []"),
        ('"layers": -1e-07', '"colours": 1', "terms.colours", TERMS[1]),
        ("0.0625", '"wide"', "errors[2]", "got wide"),
        ('"key": "f6e5d4c3b2a1"', '"key": 12', "training_networks[2].key", "got 12"),
        ('"ratio": 2.0', '"ratio": "2x"', "training_networks[2].ratio", "got 2x"),
        ('"ratio": 2.0', '"time": 2.0', "training_networks[2].time", "key, ratio"),
        ('"networks": 4', '"networks": 4.5', "held_out.networks", "got 4.5"),
        ('"spearman": 0.75', '"spearman": "x"', "held_out.spearman", "got x"),
        ('"threads": 1', '"threads": 1.5', "setup.device.threads", "got 1.5"),
        ('"reference": "medium"', '"reference": "huge"', "setup.panel", "got huge"),
        ('"reference_ms": 8.0', '"reference_ms": []', "setup.calibration.reference_ms", "got []"),
        ('"space": "tiny"', '"place": "tiny"', "place", "training_networks"),
        ("latency-predictor/1", "latency-predictor/2", "bneck", "got latency-predictor/2"),
        ("latency-predictor/1", "architecture/1", "bneck", "got architecture/1"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_value(
    tmp_path: Path, old: str, new: str, place: str, problem: str
) -> None:
    path = tmp_path / "model.json"
    SMALL.save(path)
    lines = path.read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, start=1) if old in line)
    lines[number - 1] = lines[number - 1].replace(old, new)
    path.write_text("\n".join(lines))
    assert message_of(path).startswith(f"model.json:{number}: {place}: ")
    assert problem in message_of(path)


def edited(path: Path, **changes: Any) -> Path:
    """A small model's file with other values, one key a line; `...` takes one out."""
    SMALL.save(path)
    form = json.loads(path.read_text()) | changes
    rows = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in form.items() if value is not ...]
    path.write_text("{\n" + ",\n".join(rows) + "\n}")
    return path


KEYS = ["bneck", *(field.name for field in fields(LatencyPredictor))]


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    assert message_of(edited(tmp_path / "model.json", **{name: ...})).startswith(f"model.json:1: '{name}' ")


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("setup", 3, "setup"),
        ("errors", 0.1, "errors"),
        ("errors", [], "errors"),
        ("terms", [1], "terms"),
        ("training_networks", {}, "training_networks"),
        ("training_networks", [], "training_networks"),
        ("training_networks", [0.1], "training_networks[1]"),
        ("held_out", [], "held_out"),
        ("held_out", {"networks": 3}, "held_out"),
    ],
)
def test_a_value_of_another_shape_is_named(name: str, value: Any, place: str, tmp_path: Path) -> None:
    message = message_of(edited(tmp_path / "model.json", **{name: value}))
    assert message.startswith(f"model.json:{2 + KEYS.index(name)}: {place}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model.json: "),
        ("[1]", "model.json:1: "),
        ('{\n "bneck": "latency-predictor/1",\n "space": ', "model.json:3: "),
        ("\x80\x04\x95", "model.json: "),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_model_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(text)
    assert message_of(tmp_path / "model.json").startswith(message)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert message_of(tmp_path / "none.json") == "none.json: cannot be read: No such file or directory"
    (tmp_path / "pickled.json").write_bytes(b"\x80\x04\x95\xff")
    assert message_of(tmp_path / "pickled.json") == "pickled.json: cannot be read: no UTF-8 text"
