import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bneck.evaluate import Calibration, Device, LatencySetup, Recipe, ReferencePanel, parse_goals
from bneck.results import DataSettings, Run, RunSettings
from bneck.results.store.fidelities import Rungs
from bneck.results.store.settings import fitted_to_space, load_settings, settings_yaml
from bneck.search_space import FileFormatError, cost, load_space, published_architecture

from ..example_run import run_settings

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
    recipe=Recipe(epochs=3, batch_size=7, learning_rate=1e-5, weight_decay=0.0, augment="none"),
    enqueue_published=True,
    baselines=("mobilenet_v2@0.75", "mnasnet_a1"),
    torch_device="cuda",
    storage="postgresql://user@host/bneck",
    host={"processor": "AMD EPYC 7B13 @ 2.4 GHz", "cores": "2", "note": "yes"},
    versions={"python": "3.11", "torch": "2.9.0+cu128"},
)


EVERYTHING_ELSE = replace(
    FULL,
    study="another",
    created="2027-01-02T03:04:05",
    latency=LatencySetup(
        "command:adb shell run {model} --threads 2",
        Device(
            "command",
            "adb: 1.0 'beta'",
            "Cortex-A76",
            features="",
            threads=2,
            dtype="fp16",
            layout="NHWC",
            batch_size=8,
            system="Android aarch64",
        ),
        ReferencePanel(
            "mobilenet_v2@0.35", {"mobilenet_v2@0.35": published_architecture("mobilenet_v2@0.35")}
        ),
        Calibration(
            {"mobilenet_v2@0.35": 1.0}, 0.1 + 0.2, "its own: clock", "2027-01-01T00:00:00+00:00", 1.5
        ),
    ),
    latency_policy="model",
    n_trials=41,
    seed=8,
    sampler="nsga2",
    replicates=9,
    evaluator="supernet:/nets/mine.safetensors",
    rungs=Rungs((1, 2, 3), 3),
    teacher="runs/large",
    soft_label_weight=0.7,
)


def there_and_back(kept: RunSettings, folder: Path) -> RunSettings:
    (folder / "run.yaml").write_text(settings_yaml(kept), encoding="utf-8")
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
        changed(goals=parse_goals("reward:0.1234567x", {"macs": "2M"})),
        changed(goals=parse_goals("reward:60M", {})),
        changed(baselines=(), host={}, versions={}),
        changed(data=DataSettings("digits")),
        changed(recipe=Recipe(learning_rate=1e-22, label_smoothing=1 / 3)),
        changed(space=load_space("mobile-small").for_data(1, 37)),
    ],
)
def test_settings_come_back_equal(kept: RunSettings, tmp_path: Path) -> None:
    assert there_and_back(kept, tmp_path) == kept


@pytest.mark.slow
@settings(max_examples=20)
@given(st.floats(min_value=0, max_value=1e38, allow_nan=False), st.integers(0, 2**40))
def test_every_number_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, number: float, seed: int
) -> None:
    setup = run_settings().latency
    setup = replace(setup, calibration=replace(setup.calibration, reference_ms=number, load=number))
    kept = changed(seed=seed, recipe=Recipe(learning_rate=number), latency=setup)
    found = there_and_back(kept, tmp_path_factory.mktemp("run"))
    assert (found.seed, found.recipe.learning_rate, found.latency.reference_ms) == (seed, number, number)
    assert found.latency == setup


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
    (tmp_path / "run.yaml").write_text(settings_yaml(FULL), encoding="utf-8")
    form = yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    assert form["bneck"] == "run/3"
    assert form["space"]["name"] == "mobile"
    assert form["goals"]["objectives"] == ["accuracy", "latency", "macs", "params"]
    assert {"quantity": "latency", "limit": 0.5, "unit": "x"} in form["goals"]["limits"]
    assert {"quantity": "macs", "limit": 60_000_000, "unit": ""} in form["goals"]["limits"]
    assert form["recipe"]["epochs"] == 3


def test_a_run_without_its_target_or_with_another_objective_beside_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(settings_yaml(changed(goals=parse_goals("reward:5ms", {}))), encoding="utf-8")
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    [reward] = form["goals"]["objectives"]
    assert reward == {"quantity": "reward", "target": {"quantity": "latency", "limit": 5, "unit": "ms"}}
    for objectives, said in (
        (["reward"], "target must be on latency or MACs for reward"),
        (["accuracy", reward], "reward:5ms is a scalarized objective"),
    ):
        form["goals"]["objectives"] = objectives
        path.write_text(yaml.safe_dump(form), encoding="utf-8")
        with pytest.raises(FileFormatError, match=rf"run\.yaml:\d+: goals.*{said}"):
            load_settings(path)


def test_published_networks_take_the_images_the_classes_and_the_highest_resolution_of_a_space() -> None:
    space = load_space("tiny").for_data(1, 7)
    network = fitted_to_space(published_architecture("mobilenet_v3_small"), space)
    assert (network.resolution_px, network.image_channels, network.classes) == (24, 1, 7)
    assert network.blocks == published_architecture("mobilenet_v3_small").blocks
    assert replace(run_settings(), space=space).published_architecture("mobilenet_v3_small") == network
    # a classifier of 1024 x 993 weights and 993 biases less, and a stem of 16 x 9 x 2 weights less
    difference = cost(published_architecture("mobilenet_v3_small")).params - cost(network).params
    assert difference == 1025 * 993 + 16 * 9 * 2


def test_a_file_with_every_field_changed_comes_back_equal(tmp_path: Path) -> None:
    # no field may be read from a default or from another field
    for field in fields(RunSettings):
        assert getattr(EVERYTHING_ELSE, field.name) != getattr(run_settings(), field.name), field.name
    for field in fields(Device):
        here, there = (each.latency.device for each in (run_settings(), EVERYTHING_ELSE))
        assert getattr(here, field.name) != getattr(there, field.name), field.name
    assert there_and_back(EVERYTHING_ELSE, tmp_path) == EVERYTHING_ELSE


def test_the_reference_is_the_unit_of_the_panel_and_its_time_that_of_the_calibration() -> None:
    setup = EVERYTHING_ELSE.latency
    assert (setup.reference, setup.reference_ms) == ("mobilenet_v2@0.35", 0.1 + 0.2)


def test_the_setup_tells_device_panel_and_calibration_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(settings_yaml(run_settings()), encoding="utf-8")
    latency = yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))["latency"]
    assert latency["backend"] == "onnxruntime"
    assert (latency["device"]["processor"], latency["device"]["threads"]) == ("an example", 1)
    assert latency["panel"]["reference"] == "mobilenet_v2"
    assert list(latency["panel"]["networks"]) == ["mobilenet_v3_small@0.5", "mobilenet_v2"]
    assert latency["calibration"]["reference_ms"] == 2.0
    assert latency["calibration"]["ratios"] == {"mobilenet_v3_small@0.5": 0.25, "mobilenet_v2": 1.0}


def test_a_run_of_an_earlier_format_is_refused_by_its_first_line(tmp_path: Path) -> None:
    # as an earlier bneck wrote it: other keys too, and the format is told first
    path = tmp_path / "run.yaml"
    path.write_text("bneck: run/1\nstudy: example\ndevice: {processor: a}\n", encoding="utf-8")
    with pytest.raises(FileFormatError) as raised:
        Run.open(tmp_path)
    assert str(raised.value).startswith(f"{path}:1: bneck: must be run/3, got run/1; ")


# what stands in run.yaml, what it is replaced by, what the message names
BROKEN: Mapping[str, tuple[str, str, str]] = {
    "another version": ("bneck: run/3", "bneck: run/4", "bneck: must be run/3, got run/4"),
    "an unknown key": ("seed: 7", "sede: 7", "sede: unknown key"),
    "a space without classes": (
        "  classes: 10\n",
        "  classes: 1\n",
        "space: classes must be",
    ),
    "a block of the reference": ("    - kernel: 3\n", "    - kernel: 4\n", "kernel must be 3, 5 or 7, got 4"),
    "a reference time in words": (
        "reference_ms: 2.0",
        "reference_ms: fast",
        "latency.calibration.reference_ms: must be a number, got fast",
    ),
    "a ratio in words": (
        "      mobilenet_v2: 1.0",
        "      mobilenet_v2: one",
        "latency.calibration.ratios.mobilenet_v2: must be a number, got one",
    ),
    "a reference that is not in the panel": (
        "reference: mobilenet_v2\n",
        "reference: mnasnet_a1\n",
        "latency.panel: reference must be one of mobilenet_v3_small@0.5, mobilenet_v2, got mnasnet_a1",
    ),
    "half a thread": (
        "threads: 1",
        "threads: 0.5",
        "latency.device.threads: must be a whole number, got 0.5",
    ),
    "a device with an unknown key": ("    runtime: ", "    runtme: ", "latency.device.runtme: unknown key"),
    "latencies from elsewhere": (
        "latency_policy: both",
        "latency_policy: guesses",
        "latency_policy: must be measurements, model or both, got guesses",
    ),
    "latencies from a number": (
        "latency_policy: both",
        "latency_policy: 2",
        "latency_policy: must be measurements, ",
    ),
    "an unknown key of the data": ("  root: null", "  rot: null", "data.rot: unknown key"),
    "a limit that is no mapping": (
        "  - quantity: latency\n    limit: 0.5\n    unit: x",
        "  - 1",
        "limits[1]",
    ),
    "a total in words": ("n_trials: 40", "n_trials: many", "n_trials: "),
    "a total of none": ("n_trials: 40", "n_trials: 0", "n_trials: "),
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
    "repeats below none": ("replicates: 0", "replicates: -1", "replicates: must be at least 0, got -1"),
    "an unknown scorer": (
        "evaluator: train",
        "evaluator: trian",
        "evaluator: unknown evaluator 'trian'; nearest: train",
    ),
    "a scorer without its file": (
        "evaluator: train",
        "evaluator: supernet",
        "evaluator: unknown evaluator 'supernet'",
    ),
    "a host that is a list": ("host:\n  cpu: an example", "host: [1]", "host: "),
}


@pytest.mark.parametrize(("before", "after", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_with_file_line_and_key(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(settings_yaml(run_settings()), encoding="utf-8")
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


@pytest.mark.parametrize(
    ("epochs", "reduction_factor", "problem"),
    [
        ([1, 2], 2, "rungs must end with the recipe's 3 epochs, got 2"),
        ([2, 1, 3], 2, "epochs must be two or more increasing numbers, got (2, 1, 3)"),
        ([3], 2, "epochs must be two or more increasing numbers, got (3,)"),
        ([1, 3], 1, "rungs.reduction_factor: must be at least 2, got 1"),
    ],
)
def test_rungs_that_cannot_be_are_refused_with_their_line(
    tmp_path: Path, epochs: list[int], reduction_factor: int, problem: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(settings_yaml(FULL), encoding="utf-8")
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    form["rungs"] = {"epochs": epochs, "reduction_factor": reduction_factor}
    path.write_text(yaml.safe_dump(form), encoding="utf-8")
    with pytest.raises(FileFormatError, match=rf"run\.yaml:\d+: .*{re.escape(problem)}"):
        load_settings(path)


@pytest.mark.parametrize(
    ("evaluator", "keeps"), [("train", True), ("finetuned-supernet:a.st", True), ("table:a.csv", False)]
)
def test_a_table_alone_keeps_no_weights(evaluator: str, keeps: bool) -> None:
    assert changed(evaluator=evaluator).saves_weights is keeps


REQUIRED = [each.name for each in fields(RunSettings) if each.name not in RunSettings.OPTIONAL_KEYS]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_key_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(settings_yaml(run_settings()), encoding="utf-8")
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    del form[key]
    path.write_text(yaml.safe_dump(form), encoding="utf-8")
    with pytest.raises(FileFormatError, match=rf"run\.yaml:1: '{key}' is missing"):
        load_settings(path)


def test_settings_of_earlier_versions_have_no_teacher(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    lines = settings_yaml(run_settings()).splitlines(keepends=True)
    earlier = [line for line in lines if not line.startswith(("teacher", "soft_label_weight"))]
    assert len(earlier) == len(lines) - 2
    path.write_text("".join(earlier), encoding="utf-8")
    assert load_settings(path) == run_settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("a: [1", "no valid YAML"),
        ("- 1", "must be a mapping"),
        ("bneck: run/1\nbneck: run/1", "run.yaml:2: bneck: duplicate key"),
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


def test_a_run_of_a_version_without_fingerprints_is_opened(tmp_path: Path) -> None:
    text = settings_yaml(run_settings())
    earlier = "".join(line for line in text.splitlines(keepends=True) if "fingerprint" not in line)
    assert earlier != text
    (tmp_path / "run.yaml").write_text(earlier, encoding="utf-8")
    assert load_settings(tmp_path / "run.yaml").data.fingerprint == ""
