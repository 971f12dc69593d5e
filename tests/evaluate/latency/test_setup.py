"""Latency setups: round trip and errors of their stored form."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from bneck.evaluate import Calibration, Device, LatencySetup, ReferencePanel, build_reference_panel
from bneck.evaluate.latency.setup import read_latency_setup
from bneck.search_space import FileFormatError
from bneck.search_space.serialization.yaml_nodes import dump, parse

from ..example_setup import CALIBRATION, DEVICE, PANEL, SETUP

FULL = LatencySetup(
    "command:adb shell /data/run {onnx} '#1'",
    Device("command", "run: 2", "Cortex-A76 @ 2.4 GHz", "asimd sve2", 4, "fp16", "NC4HW4", 8, "Linux arm64"),
    build_reference_panel("mobilenet_v2@0.75"),
    Calibration(
        dict.fromkeys(build_reference_panel("mobilenet_v2@0.75").networks, 1 / 3),
        reference_ms=1e-7,
        clock="CPU time",
        measured_at="2026-01-02T03:04:05+00:00",
        load=0.1 + 0.2,
    ),
)


def lines_of(setup: LatencySetup = SETUP) -> list[str]:
    return json.dumps(setup.to_dict(), indent=1).splitlines()


@pytest.mark.parametrize("setup", [SETUP, FULL], ids=["small", "full"])
@pytest.mark.parametrize("form", [json.dumps, dump, lambda form: json.dumps(form, indent=1)])
def test_a_setup_comes_back_equal(setup: LatencySetup, form: Callable[[Any], str]) -> None:
    loaded = read_latency_setup(parse(form(setup.to_dict()), "setup.json"))
    assert loaded == setup
    # in the order that the key rests on
    assert list(loaded.panel.networks) == list(setup.panel.networks)
    assert (loaded.device.key, loaded.panel.key) == (setup.device.key, setup.panel.key)


def test_other_readers_see_the_same_values() -> None:
    assert yaml.safe_load(json.dumps(SETUP.to_dict())) == {
        "backend": "fake",
        "device": {
            "backend": "fake",
            "runtime": "none",
            "processor": "simulated",
            "features": "",
            "threads": 1,
            "dtype": "fp32",
            "layout": "NCHW",
            "batch_size": 1,
            "system": "",
        },
        "panel": {
            "reference": "medium",
            "networks": {name: network.to_dict() for name, network in PANEL.networks.items()},
        },
        "calibration": {
            "ratios": {"small": 0.5, "medium": 1.0, "large": 2.5},
            "reference_ms": 8.0,
            "clock": "CPU time",
            "measured_at": "2026-01-02",
            "load": 0.25,
        },
    }


def test_the_reference_is_the_panels_reference_and_its_milliseconds_are_those_of_the_calibration() -> None:
    assert (SETUP.reference, SETUP.reference_ms) == ("medium", 8.0)
    other = replace(
        SETUP,
        panel=ReferencePanel("small", PANEL.networks),
        calibration=replace(CALIBRATION, reference_ms=4.0),
    )
    assert (other.reference, other.reference_ms) == ("small", 4.0)


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ('"backend": "fake"', '"backend": 3', "backend", "got 3"),
        ('"threads": 1', '"threads": "one"', "device.threads", "got one"),
        ('"processor": "simulated"', '"processor": null', "device.processor", "got None"),
        ('"layout": "NCHW"', '"colour": "red"', "device.colour", "layout"),
        ('"reference_ms": 8.0', '"reference_ms": "8 ms"', "calibration.reference_ms", "got 8 ms"),
        ('"large": 2.5', '"large": true', "calibration.ratios.large", "got True"),
        ('"ratios": {', '"ratios": 1, "others": {', "calibration.others", "ratios"),
        ('"resolution_px": 32', '"resolution_px": 7', "panel.networks.medium", "resolution_px must be"),
        ('"kernel": 5', '"kernel": 4', "panel.networks.small.blocks[2]", "kernel must be 3, 5 or 7, got 4"),
        ('"reference": "medium"', '"reference": "huge"', "panel", "small, medium, large, got huge"),
        ('"reference": "medium"', '"reference": 1', "panel.reference", "got 1"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_value(
    old: str, new: str, place: str, problem: str
) -> None:
    lines = lines_of()
    number = next(number for number, line in enumerate(lines, start=1) if old in line)
    lines[number - 1] = lines[number - 1].replace(old, new)
    with pytest.raises(FileFormatError) as refusal:
        read_latency_setup(parse("\n".join(lines), "setup.json"))
    assert str(refusal.value).startswith(f"setup.json:{number}: {place}: ")
    assert problem in str(refusal.value)


@pytest.mark.parametrize("name", ["backend", "device", "panel", "calibration"])
def test_a_part_that_is_missing_or_no_mapping_is_named(name: str) -> None:
    form = SETUP.to_dict()
    del form[name]
    with pytest.raises(FileFormatError, match=rf"^setup\.json:1: '{name}' is missing$"):
        read_latency_setup(parse(json.dumps(form), "setup.json"))
    with pytest.raises(FileFormatError, match=rf"^setup\.json:1: {name}: must be "):
        read_latency_setup(parse(json.dumps(form | {name: [1]}), "setup.json"))


@pytest.mark.parametrize("networks", [3, [1], None])
def test_networks_that_are_no_mapping_are_refused(networks: Any) -> None:
    form = SETUP.to_dict() | {"panel": {"reference": "small", "networks": networks}}
    with pytest.raises(FileFormatError, match=r"^setup\.json:1: panel\.networks: must be a mapping"):
        read_latency_setup(parse(json.dumps(form), "setup.json"))


def test_a_panel_without_networks_is_refused() -> None:
    form = SETUP.to_dict() | {"panel": {"reference": "small", "networks": {}}}
    with pytest.raises(FileFormatError, match=r"^setup\.json:1: panel: reference must be one of "):
        read_latency_setup(parse(json.dumps(form), "setup.json"))


def test_a_calibration_of_other_networks_than_the_panels_is_refused() -> None:
    # measuring would end in a KeyError
    form = replace(SETUP, calibration=replace(CALIBRATION, ratios={"tiny": 0.1, "medium": 1.0})).to_dict()
    with pytest.raises(FileFormatError, match="tiny"):
        read_latency_setup(parse(json.dumps(form), "setup.json"))


def test_a_device_may_not_leave_anything_to_defaults() -> None:
    form = SETUP.to_dict()
    form["device"] = {"backend": DEVICE.backend, "runtime": DEVICE.runtime, "processor": DEVICE.processor}
    with pytest.raises(FileFormatError, match=r"^setup\.json:1: device: 'features' is missing$"):
        read_latency_setup(parse(json.dumps(form), "setup.json"))
