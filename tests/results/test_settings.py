from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bneck.evaluate import Recipe, parse_goals
from bneck.results import DataSettings, RunSettings
from bneck.results.settings import for_images, load_settings, save_settings
from bneck.search_space import FileFormatError, cost, load_space, published

from .example_run import run_settings

FULL = replace(
    run_settings("accuracy,latency,macs,params", {"macs": "60M", "params": "3M", "latency": "0.5x"}),
    space=load_space("mobile"),
    data=DataSettings(
        "folder:my photos",
        root="/data/with: colon",
        train_images=1000,
        validation_images=None,
        class_names=("cat", "dog"),
        pixel_mean=(123.675, 116.28, 103.53),
        pixel_std=(58.395, 57.12, 57.375),
    ),
    recipe=Recipe(epochs=3, batch_size=7, learning_rate=1e-5, weight_decay=0.0, augment=False),
    warm_start=True,
    baselines=("mobilenet_v2@0.75", "mnasnet_a1"),
    torch_device="cuda",
    storage="postgresql://user:secret@host/bneck",
    device={"processor": "AMD EPYC 7B13 @ 2.4 GHz", "cores": "2", "note": "yes"},
    versions={"python": "3.11", "torch": "2.9.0+cu128"},
)


def there_and_back(kept: RunSettings, folder: Path) -> RunSettings:
    save_settings(kept, folder / "run.yaml")
    return load_settings(folder / "run.yaml")


def changed(**changes: Any) -> RunSettings:
    return replace(run_settings(), **changes)


@pytest.mark.parametrize(
    "kept",
    [
        run_settings(),
        FULL,
        changed(goals=parse_goals("accuracy", {})),
        changed(goals=parse_goals("latency", {"latency": "5ms"})),
        changed(baselines=(), device={}, versions={}),
        changed(data=DataSettings("digits")),
        changed(recipe=Recipe(learning_rate=1e-22, label_smoothing=1 / 3)),
        changed(space=load_space("mobile-small").for_data(1, 37)),
    ],
)
def test_settings_come_back_equal(kept: RunSettings, tmp_path: Path) -> None:
    assert there_and_back(kept, tmp_path) == kept


@settings(max_examples=20)
@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False), st.integers(0, 2**40))
def test_every_number_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, number: float, seed: int
) -> None:
    kept = changed(seed=seed, recipe=Recipe(learning_rate=number)).with_reference_ms(number)
    found = there_and_back(kept, tmp_path_factory.mktemp("run"))
    assert (found.seed, found.recipe.learning_rate, found.latency.reference_ms) == (seed, number, number)


@pytest.mark.parametrize(
    "name",
    [
        "cat",
        "07",
        "08",
        "1e3",
        "1_000",
        "12:30",
        "0x1f",
        "no",
        "null",
        "~",
        "2026-01-02",
        ".inf",
        "a: b",
        "- a",
        "# a",
        "'quoted'",
        "é 猫 😀",
        "with\ttab",
        "",
    ],
)
def test_a_class_may_have_any_name(tmp_path: Path, name: str) -> None:
    kept = changed(data=DataSettings("folder:photos", class_names=(name, "other")))
    assert there_and_back(kept, tmp_path).data.class_names == (name, "other")


def test_the_file_is_plain_yaml_with_what_a_person_looks_for(tmp_path: Path) -> None:
    save_settings(FULL, tmp_path / "run.yaml")
    form = yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    assert form["bneck"] == "run/1"
    assert form["space"]["name"] == "mobile"
    assert form["goals"]["objectives"] == ["accuracy", "latency", "macs", "params"]
    assert {"quantity": "latency", "limit": 0.5, "unit": "x"} in form["goals"]["limits"]
    assert {"quantity": "macs", "limit": 60_000_000, "unit": ""} in form["goals"]["limits"]
    assert form["recipe"]["epochs"] == 3


def test_published_networks_take_the_images_the_classes_and_the_highest_resolution_of_a_space() -> None:
    space = load_space("tiny").for_data(1, 7)
    network = for_images(published("mobilenet_v3_small"), space)
    assert (network.resolution_px, network.image_channels, network.classes) == (24, 1, 7)
    assert network.blocks == published("mobilenet_v3_small").blocks
    assert replace(run_settings(), space=space).published("mobilenet_v3_small") == network
    # a classifier of 1024 x 993 weights and 993 biases less, and a stem of 16 x 9 x 2 weights less
    difference = cost(published("mobilenet_v3_small")).params - cost(network).params
    assert difference == 1025 * 993 + 16 * 9 * 2


def test_the_measured_reference_changes_nothing_else() -> None:
    measured = run_settings().with_reference_ms(1.25)
    assert measured.latency.reference_ms == 1.25
    assert measured.with_reference_ms(run_settings().latency.reference_ms) == run_settings()


# what stands in run.yaml, what it is replaced by, what the message names
BROKEN: Mapping[str, tuple[str, str, str]] = {
    "another version": ("bneck: run/1", "bneck: run/2", "bneck: must be run/1, got run/2"),
    "an unknown key": ("seed: 7", "sede: 7", "sede: unknown key"),
    "a space without classes": (
        "  classes: 10\n",
        "  classes: 1\n",
        "space: classes must be",
    ),
    "a block of the reference": ("    - kernel: 3\n", "    - kernel: 4\n", "kernel must be 3, 5 or 7, got 4"),
    "a reference time in words": ("reference_ms: 2.0", "reference_ms: fast", "latency.reference_ms: must be"),
    "an unknown key of the data": ("  root: null", "  rot: null", "data.rot: unknown key"),
    "a limit that is no mapping": (
        "  - quantity: latency\n    limit: 0.5\n    unit: x",
        "  - 1",
        "limits[1]",
    ),
    "a total in words": ("trials: 40", "trials: many", "trials: "),
    "a total of none": ("trials: 40", "trials: 0", "trials: "),
    "a seed that is a fraction": ("seed: 7", "seed: 0.5", "seed: "),
    "an unknown objective": ("  - accuracy\n", "  - speed\n", "goals.objectives"),
    "a single objective without a list": (
        "  objectives:\n  - accuracy\n  - latency",
        "  objectives: 5",
        "goals.o",
    ),
    "a limit on what has none": (
        "quantity: latency",
        "quantity: colour",
        "goals.limits[1]: quantity must be",
    ),
    "a limit in words": ("limit: 0.5", "limit: low", "goals.limits[1].limit: "),
    "a limit of zero": ("limit: 0.5", "limit: 0", "goals.limits[1]: limit must be"),
    "epochs in words": ("epochs: 10", "epochs: ten", "recipe.epochs: "),
    "baselines without a list": ("baselines:\n- mobilenet_v3_small@0.35", "baselines: 5", "baselines: "),
    "an unknown baseline": ("- mobilenet_v3_small@0.35", "- mobilenet_v9", "baselines[1]: "),
    "a device that is a list": ("device:\n  cpu: an example", "device: [1]", "device: "),
}


@pytest.mark.parametrize(("before", "after", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_with_file_line_and_key(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    path = tmp_path / "run.yaml"
    save_settings(run_settings(), path)
    text = path.read_text(encoding="utf-8")
    assert before in text
    broken = text.replace(before, after, 1)
    path.write_text(broken, encoding="utf-8")
    pairs = zip(text.splitlines(), broken.splitlines(), strict=False)
    line = next(number for number, (old, new) in enumerate(pairs, start=1) if old != new)
    with pytest.raises(FileFormatError) as raised:
        load_settings(path)
    message = str(raised.value)
    assert message.startswith(f"{path}:{line}: ")
    assert expected in message


@pytest.mark.parametrize("key", ["study", "space", "goals", "recipe", "latency", "trials"])
def test_a_key_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "run.yaml"
    save_settings(run_settings(), path)
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    del form[key]
    path.write_text(yaml.safe_dump(form), encoding="utf-8")
    with pytest.raises(FileFormatError, match=rf"run\.yaml:1: '{key}' is missing"):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("a: [1", "no valid YAML"),
        ("- 1", "must be a mapping"),
        ("bneck: run/1\nbneck: run/1", "run.yaml:2: bneck: stands here twice"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError) as raised:
        load_settings(path)
    assert str(raised.value).startswith(str(path))
    assert expected in str(raised.value)


def test_no_file_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"run\.yaml: cannot be read: No such file"):
        load_settings(tmp_path / "run.yaml")
