import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bneck.search_space import (
    PRESETS,
    PUBLISHED_NAMES,
    FileFormatError,
    architecture_yaml,
    load_architecture,
    published_architecture,
)

from ..helpers import REMEDY, TOY, random_networks, write

TOY_YAML = """\
bneck: architecture/1
resolution_px: 8
image_channels: 3
classes: 2
stem: {out: 4, activation: hardswish, kernel: 3, stride: 2}
blocks:
  - {kernel: 3, expanded: 8, out: 4, attention: se, activation: relu, stride: 1, squeeze: 2}
  - {kernel: 5, expanded: 4, out: 6, attention: none, activation: hardswish, stride: 2, squeeze: 0}
head: {features: 10, hidden: 0, activation: hardswish}
"""
NETWORKS = [
    *map(published_architecture, PUBLISHED_NAMES),
    TOY,
    *(n for preset in PRESETS for n in random_networks(preset, 10)),
]


def message_of(path: Path) -> str:
    """The refusal of a file, its folder left out."""
    with pytest.raises(FileFormatError) as refusal:
        load_architecture(path)
    message = str(refusal.value)
    assert message.startswith(str(path))
    return message.replace(str(path), path.name)


def test_the_file_has_one_block_a_line() -> None:
    assert architecture_yaml(TOY) == TOY_YAML


def test_every_network_comes_back_from_its_file(tmp_path: Path) -> None:
    for network in NETWORKS:
        assert load_architecture(write(tmp_path, architecture_yaml(network))) == network


def test_other_yaml_readers_see_the_same_values() -> None:
    for network in NETWORKS:
        assert yaml.safe_load(architecture_yaml(network)) == network.to_dict()


@pytest.mark.parametrize("style", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_json_is_read_as_well(tmp_path: Path, style: dict[str, Any]) -> None:
    for network in NETWORKS:
        path = write(tmp_path, json.dumps(network.to_dict(), **style), "net.json")
        assert load_architecture(path) == network


@pytest.mark.parametrize(
    "metadata",
    [
        {"run": "runs/3: the second", "accuracy": 0.93, "note": "it's #1", "seed": 7},
        {"note": "", "good": True, "sizes": [1, 2]},
    ],
)
def test_what_is_known_of_a_network_stands_beside_it_and_leaves_the_key(
    tmp_path: Path, metadata: dict[str, Any]
) -> None:
    text = architecture_yaml(TOY, metadata)
    assert yaml.safe_load(text)["metadata"] == metadata
    assert load_architecture(write(tmp_path, text)).key == TOY.key


@pytest.mark.parametrize(
    "metadata",
    [
        {"note": "first\n---\nthird"},
        {"note": "\x1b[1mbold"},
        {"a: b": 1},
        {"note": "😀"},
        {"note": "two\nlines"},
        {"note": None},
    ],
    ids=repr,
)
def test_nothing_known_of_a_network_can_break_its_file(tmp_path: Path, metadata: dict[str, Any]) -> None:
    text = architecture_yaml(TOY, metadata)
    assert yaml.safe_load(text)["metadata"] == metadata
    assert load_architecture(write(tmp_path, text)) == TOY


def test_defaults_may_be_left_out_where_they_are_no_choice(tmp_path: Path) -> None:
    assert load_architecture(write(tmp_path, TOY_YAML.replace(", squeeze: 0", ""))) == TOY


def test_a_word_that_yaml_1_1_takes_for_a_boolean_stays_a_word(tmp_path: Path) -> None:
    path = write(tmp_path, TOY_YAML.replace("activation: relu", "activation: no"))
    message = "net.yaml:7: blocks[1]: activation must be relu, relu6, hardswish or silu, got no"
    assert message_of(path) == message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kernel: 5", "kernel: 4", "8: blocks[2]: kernel must be 3, 5 or 7, got 4"),
        ("expanded: 4", "expanded: 0", "8: blocks[2]: expanded must be a whole number of at least 1, got 0"),
        ("expanded: 4", "expanded: 4.5", "8: blocks[2].expanded: must be a whole number, got 4.5"),
        ("attention: se", "attention: 1", "7: blocks[1].attention: must be text, got 1"),
        ("squeeze: 2", "squeeze: 0", "7: blocks[1]: squeeze must be at least 1 with attention se, got 0"),
        (", squeeze: 2", "", "7: blocks[1]: squeeze must be at least 1 with attention se, got 0"),
        (", stride: 2, squeeze", ", squeeze", "8: blocks[2]: 'stride' is missing"),
        ("out: 6", "out: 6, colour: red", "8: blocks[2].colour: unknown key; known here: kernel, expanded, "
         "out, attention, activation, stride, squeeze"),
        ("out: 6", "out: 6, out: 6", "8: blocks[2].out: duplicate key"),
        ("classes: 2", "classes: 1", "4: classes must be a whole number of at least 2, got 1"),
        ("classes: 2", "classes: ten", "4: classes: must be a whole number, got ten"),
        ("classes: 2", "classes: true", "4: classes: must be a whole number, got True"),
        ("classes: 2", "classes: '2'", "4: classes: must be a whole number, got 2"),
        ("classes: 2", "classes: 2\nclasses: 3", "5: classes: duplicate key"),
        ("classes: 2\n", "", "1: 'classes' is missing"),
        ("classes: 2", "classes: 2\ncolour: red", "5: colour: unknown key; known here: bneck, "
         "resolution_px, image_channels, classes, stem, blocks, head, metadata"),
        ("resolution_px: 8", "resolution_px: 7",
         "2: resolution_px must be a whole number of at least 8, got 7"),
        ("out: 4, activation", "activation", "5: stem: 'out' is missing"),
        ("kernel: 3, stride: 2", "kernel: 3, stride: 3", "5: stem: stride must be 1 or 2, got 3"),
        ("{features: 10, hidden: 0, activation: hardswish}", "10",
         "9: head: must be a mapping with features, hidden, activation, got 10"),
        ("hidden: 0", "hidden: -1", "9: head: hidden must be a whole number of at least 0, got -1"),
        ("architecture/1", "architecture/2", "1: bneck: must be architecture/1, got architecture/2" + REMEDY),
        ("architecture/1", "space/1", "1: bneck: must be architecture/1, got space/1"),
        ("stride: 2}", "stride: 2", "6: no valid YAML: expected ',' or '}', but got ':'"),
        ("classes: 2", "classes: *other", "4: alias *other is not supported; repeat the value"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_key_value_and_remedy(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path, TOY_YAML.replace(old, new, 1))
    assert message_of(path).startswith(f"net.yaml:{message}")


def test_a_key_on_a_line_of_its_own_is_named_with_that_line(tmp_path: Path) -> None:
    rows = "out: 4", "expanded: 8", "kernel: 4", "attention: none", "activation: relu", "stride: 1"
    block = "\n    ".join(rows)
    path = write(tmp_path, TOY_YAML.replace("blocks:\n", f"blocks:\n  - {block}\n"))
    assert message_of(path) == "net.yaml:9: blocks[1]: kernel must be 3, 5 or 7, got 4"


def test_an_unknown_key_is_named_with_its_own_line_not_that_of_its_value(tmp_path: Path) -> None:
    path = write(tmp_path, TOY_YAML.replace("classes: 2\n", "classes: 2\ncolour:\n  red: 1\n"))
    assert message_of(path).startswith("net.yaml:5: colour: unknown key")


def test_a_network_without_blocks_is_refused(tmp_path: Path) -> None:
    text = "".join(line for line in TOY_YAML.splitlines(keepends=True) if not line.startswith("  -"))
    assert message_of(write(tmp_path, text)) == "net.yaml:6: blocks: must be a list, got None"
    text = text.replace("blocks:", "blocks: []")
    assert message_of(write(tmp_path, text)) == "net.yaml:6: blocks must hold at least one block, got none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "net.yaml: is empty"),
        ("# only a comment\n", "net.yaml: is empty"),
        ("- 1\n- 2\n", "net.yaml:1: must be a mapping with bneck, resolution_px, image_channels, classes, "
         "stem, blocks, head, got [1, 2]"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message_of(write(tmp_path, text)) == message


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, TOY_YAML.replace("classes: 2", "classes: &all [*all]"))
    assert message_of(path).startswith("net.yaml:4: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert message_of(tmp_path / "none.yaml") == "none.yaml: cannot be read: No such file or directory"
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert message_of(binary) == "binary.yaml: cannot be read: no UTF-8 text"
