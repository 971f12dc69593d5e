"""Files that would take hours or gigabytes are refused at once, in one line."""

import json
import time
from pathlib import Path

import pytest

from bneck.search_space import FileFormatError, load_architecture, load_space
from bneck.search_space.serialization.bounded_json import load_json
from bneck.search_space.serialization.yaml_nodes import MAX_BYTES, MAX_NODES, parse

SPACE = """bneck: space/1
name: mine
resolution_px: 32
stem: {out: 16}
head: {features: 64}
classes: 10
stages:
  - {out: 16, kernel: 3, expansion: 2, depth: 2}
"""
HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth: 2", "depth: [1, 1000000000]", "8: stages[1]: depth must be a whole number from 0 to 128"),
        ("depth: 2", "depth: [1, 3000]", "8: stages[1]: depth must be a whole number from 0 to 128"),
        ("expansion: 2", "expansion: [1, 1e300]", "8: stages[1]: expansion must be at most 64, got 1e+300"),
        ("expansion: 2", "expansion: 1e400", "8: stages[1].expansion: must be a number, got 1e400"),
        ("expansion: 2", "expansion: .inf", "8: stages[1].expansion: must be a number, got .inf"),
        ("expansion: 2", "expansion: .nan", "8: stages[1].expansion: must be a number, got .nan"),
        ("out: 16, kernel", f"out: {HUGE}, kernel", "8: stages[1].out: must be a whole number, got 1000"),
        ("out: 16, kernel", "out: 99999999999999999999, kernel", "8: stages[1]: out must be a whole"),
        ("out: 16, kernel", "out: 16000, kernel", "7: stages must expand to at most 16384 channels"),
        ("kernel: 3", "kernel: 1000001", "8: stages[1]: kernel must be 3, 5 or 7, got 1000001"),
        ("resolution_px: 32", "resolution_px: 100000", "3: resolution_px must be a whole number from 8"),
        ("classes: 10", "classes: 1000000000", "6: classes must be a whole number from 2 to 100000, got"),
        ("classes: 10", "classes: 10\nimage_channels: 100000", "7: image_channels must be a whole"),
        ("{out: 16}", "{out: 100000}", "4: stem: out must be a whole number from 1 to 16384, got 100000"),
        ("{features: 64}", "{features: 64, hidden: 100000}", "5: head: hidden must be a whole number from"),
        ("out: 16, kernel", f"out: {list(range(1, 70))}, kernel", "8: stages[1]: out must hold at most 64"),
        ("depth: 2}", "depth: 100}\n  - {out: 16, kernel: 3, expansion: 2, depth: 29}", "7: stages must"),
    ],
)  # fmt: skip
def test_every_number_of_a_space_has_its_range(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "space.yaml"
    assert old in SPACE
    file.write_text(SPACE.replace(old, new), encoding="utf-8")
    with pytest.raises(FileFormatError) as raised:
        load_space(str(file))
    assert str(raised.value).startswith(f"{file}:{message}")
    assert len(str(raised.value)) < 600


def test_too_many_choices_are_refused_before_they_are_counted(tmp_path: Path) -> None:
    widths = ", ".join(str(8 * number) for number in range(1, 61))
    stage = f"  - {{out: [{widths}], kernel: [3, 5, 7], expansion: [1, 2, 3], depth: [1, 2, 3]}}\n"
    file = tmp_path / "space.yaml"
    file.write_text(SPACE + stage * 20, encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"stages have over 500,000 different blocks up to stage"):
        load_space(str(file))


def bomb() -> str:
    rows = [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(["k0: &k0 [x]", *rows])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), "x.yaml:2: k1: alias *k0 is not supported; repeat the value"),
        ("a: &a [*a]", "x.yaml:1: a: alias *a is not supported"),
        ("a: &a {b: 1}\nc:\n  <<: *a", "x.yaml:3: c: alias *a is not supported"),
        ("[" * 100_000, "x.yaml:1: "),
        ("{a: " * 100_000, "x.yaml:1: is nested more than 32 deep"),
        ("- " * 100_000, "x.yaml:1: is nested more than 32 deep"),
        ("? " * 100_000, "x.yaml:1: a key must be text"),
        ("a: 1\n---\nb: 2", "x.yaml:3: must hold one document, got another"),
        ("a: \x1b[31m", "x.yaml: no valid YAML: unacceptable character"),
        ("a: 1\na: 2", "x.yaml:2: a: duplicate key"),
    ],
)
def test_text_that_would_grow_or_nest_is_refused_at_once(text: str, message: str) -> None:
    start = time.process_time()
    with pytest.raises(FileFormatError) as raised:
        parse(text, "x.yaml")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
    assert time.process_time() - start < 2


def test_an_anchor_that_nothing_refers_to_is_harmless() -> None:
    assert parse("a: &name 1", "x.yaml").to_python() == {"a": 1}


def test_a_file_has_a_size_that_is_checked_before_it_is_parsed(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    with file.open("wb") as opened:
        opened.truncate(100 * MAX_BYTES)
    with pytest.raises(FileFormatError, match=r"x\.yaml: must have at most 8 MB$"):
        load_architecture(file)


@pytest.mark.slow
def test_a_file_has_a_number_of_values_that_is_checked_while_it_is_parsed() -> None:
    with pytest.raises(FileFormatError, match="has more than 200,000 values"):
        parse("\n".join(f"- {number}" for number in range(MAX_NODES + 1)), "x.yaml")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "1" * 31, "[1"])
def test_json_that_nests_or_counts_without_end_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        load_json(text)


def test_json_is_otherwise_as_json_is() -> None:
    value = {"a": [1, -2, 1.5, None, True, "x"], "b": float("inf")}
    assert load_json(json.dumps(value)) == value
