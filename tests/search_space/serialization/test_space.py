import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bneck.search_space import (
    PRESETS,
    FileFormatError,
    SearchSpace,
    UnknownNameError,
    load_space,
    preset_yaml,
)
from bneck.search_space.choices import BLOCK_GENES, HeadChoices, StageChoices, StemChoices
from bneck.search_space.serialization.space import read_space, space_to_dict
from bneck.search_space.serialization.yaml_nodes import parse

from ..helpers import REMEDY, write

SPACE_YAML = """\
bneck: space/1
name: small
resolution_px: [32, 64]
image_channels: 1
classes: 10
stem: {out: [8, 16], activation: relu, kernel: 3, stride: [1, 2]}
stages:
  - {out: 8, depth: [0, 1], kernel: [3, 5], expansion: [1, 2.5]}
  - {out: [16, 24], depth: [1, 2], stride: 2, kernel: 3, expansion: 3, attention: [none, se],
     squeeze: [expanded/4, input/4], activation: [relu, silu], shared: [squeeze, activation]}
head: {features: [64, 128], hidden: [0, 32], activation: [relu, hardswish]}
"""
SPACE = SearchSpace(
    name="small",
    resolution_px=(32, 64),
    stem=StemChoices(out=(8, 16), activation=("relu",), kernel=(3,), stride=(1, 2)),
    stages=(
        StageChoices(out=(8,), kernel=(3, 5), expansion=(1, 2.5), depth=(0, 1)),
        StageChoices(
            out=(16, 24),
            kernel=(3,),
            expansion=(3,),
            depth=(1, 2),
            attention=("none", "se"),
            squeeze=("expanded/4", "input/4"),
            activation=("relu", "silu"),
            stride=(2,),
            shared=("squeeze", "activation"),
        ),
    ),
    head=HeadChoices(features=(64, 128), hidden=(0, 32), activation=("relu", "hardswish")),
    image_channels=1,
    classes=10,
)


def test_a_file_says_what_the_same_space_in_python_says(tmp_path: Path) -> None:
    assert load_space(str(write(tmp_path, SPACE_YAML))) == SPACE


def test_what_a_file_leaves_out_has_a_default() -> None:
    text = "{bneck: space/1, name: n, resolution_px: 32, stem: {out: 8}, head: {features: 64},\n"
    space = read_space(parse(text + "stages: [{out: 8, kernel: 3, expansion: 2}]}", "n.yaml"))
    assert (space.image_channels, space.classes) == (3, 1000)
    assert space.stem == StemChoices((8,), ("hardswish",), (3,), (2,))
    assert space.head == HeadChoices((64,), (0,), ("hardswish",))
    stage = space.stages[0]
    assert (stage.depth, stage.stride, stage.shared) == ((1,), (1,), ())
    assert (stage.attention, stage.squeeze, stage.activation) == (("none",), ("expanded/4",), ("relu",))


def test_shared_all_shares_every_choice_of_a_block() -> None:
    space = read_space(parse(SPACE_YAML.replace("shared: [squeeze, activation]", "shared: all"), "s.yaml"))
    assert space.stages[1].shared == BLOCK_GENES


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_comes_back_from_the_file_it_is_written_to(tmp_path: Path, preset: str) -> None:
    space = load_space(preset)
    assert space.name == preset
    form = space_to_dict(space)
    assert load_space(str(write(tmp_path, yaml.safe_dump(form)))) == space
    assert load_space(str(write(tmp_path, json.dumps(form), "space.json"))) == space


@pytest.mark.parametrize("preset", PRESETS)
def test_the_text_of_a_preset_is_a_file_to_start_from(tmp_path: Path, preset: str) -> None:
    assert load_space(str(write(tmp_path, preset_yaml(preset)))) == load_space(preset)


def test_presets_are_all_the_files_that_come_along() -> None:
    from bneck import search_space

    folder = Path(search_space.__path__[0]) / "serialization" / "presets"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(PRESETS)


def test_a_space_that_is_neither_preset_nor_file_lists_the_presets(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown space 'mobil'; known: tiny, mobile"):
        load_space("mobil")
    with pytest.raises(FileFormatError, match=r"none\.yaml: cannot be read: No such file"):
        load_space(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kernel: [3, 5]", "kernel: [3, 4]", "8: stages[1]: kernel must be 3, 5 or 7, got 4"),
        ("kernel: [3, 5]", "kernel: [3, 3]", "8: stages[1].kernel: holds a choice twice: [3, 3]"),
        ("kernel: [3, 5]", "kernel: []", "8: stages[1].kernel: must hold at least one choice"),
        ("kernel: [3, 5]", "kernel: [3, 5.5]", "8: stages[1].kernel[2]: must be a whole number, got 5.5"),
        ("kernel: [3, 5], ", "", "8: stages[1]: 'kernel' is missing"),
        ("kernel: [3, 5]", "kernels: [3, 5]", "8: stages[1].kernels: unknown key; known here: out, kernel, "
         "expansion, depth, attention, squeeze, activation, stride, shared"),
        ("[1, 2.5]", "[1, wide]", "8: stages[1].expansion[2]: must be a number, got wide"),
        ("[1, 2.5]", "[0, 2.5]", "8: stages[1]: expansion must be above 0, got 0"),
        ("depth: [0, 1]", "depth: 0", "8: stages[1]: depth must allow at least one block, got 0 alone"),
        ("depth: [1, 2]", "depth: [0, 1]",
         "7: stages must hold one stage without depth 0, or no block may be left"),
        # the second stage begins on line 9, its activations stand on line 10
        ("[relu, silu]", "[relu, no]",
         "10: stages[2]: activation must be relu, relu6, hardswish or silu, got no"),
        ("[none, se]", "[none, cbam]", "9: stages[2]: attention must be none, se or eca, got cbam"),
        ("input/4", "half", "10: stages[2]: squeeze must be expanded/4 or input/4, got half"),
        ("shared: [squeeze, activation]", "shared: [out]",
         "10: stages[2]: shared must be kernel, expansion, attention, squeeze or activation, got out"),
        ("shared: [squeeze, activation]", "shared: most", "10: stages[2].shared: must be a list, got most"),
        ("shared: [squeeze, activation]", "shared: [1]", "10: stages[2].shared[1]: must be text, got 1"),
        ("activation: relu,", "activation: gelu,",
         "6: stem: activation must be relu, relu6, hardswish or silu, got gelu"),
        ("hidden: [0, 32]", "hidden: [0, -1]",
         "11: head: hidden must be a whole number of at least 0, got -1"),
        ("features: [64, 128], ", "", "11: head: 'features' is missing"),
        ("[32, 64]", "[4, 64]", "3: resolution_px must be a whole number of at least 8, got 4"),
        ("[32, 64]", "large", "3: resolution_px: must be a whole number, got large"),
        ("classes: 10", "classes: 1", "5: classes must be a whole number of at least 2, got 1"),
        ("classes: 10", "classes: 10\nclasses: 10", "6: classes: duplicate key"),
        ("classes: 10", "classes: 10\ncolour: red", "6: colour: unknown key; known here: bneck, name, "
         "resolution_px, stem, stages, head, image_channels, classes"),
        ("name: small\n", "", "1: 'name' is missing"),
        ("name: small", "name: 5", "2: name: must be text, got 5"),
        ("space/1", "space/9", "1: bneck: must be space/1, got space/9" + REMEDY),
        ("space/1", "architecture/1", "1: bneck: must be space/1, got architecture/1"),
        ("stride: [1, 2]}", "stride: [1, 2}", "6: no valid YAML: expected ',' or ']', but got '}'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_key_value_and_remedy(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert SPACE_YAML.count(old) == 1 or old == "kernel: [3, 5]"
    path = write(tmp_path, SPACE_YAML.replace(old, new), "space.yaml")
    with pytest.raises(FileFormatError) as refusal:
        load_space(str(path))
    assert str(refusal.value).startswith(f"{path}:{message}")


@pytest.mark.parametrize("stages", ["5", "{out: 8}", "null"])
def test_stages_that_are_no_list_are_refused(stages: str) -> None:
    text = SPACE_YAML[: SPACE_YAML.index("stages:")] + f"stages: {stages}\nhead: {{features: 64}}\n"
    with pytest.raises(FileFormatError, match=r"s\.yaml:7: stages: must be a list, got"):
        read_space(parse(text, "s.yaml"))


@pytest.mark.parametrize("name", ["1e3", "08", "no", "1.5", "null", "a: b", "", "~"])
def test_any_name_comes_back_from_json(name: str) -> None:
    form: dict[str, Any] = space_to_dict(SPACE) | {"name": name}
    assert read_space(parse(json.dumps(form), "s.json")).name == name


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("-3", -3),
        ("'3'", "3"),
        ("~", None),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    read = parse(f"key: {text}", "s.yaml").to_python()["key"]
    assert read == value
    assert type(read) is type(value)
