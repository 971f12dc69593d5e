"""The disk cache of latencies: round trip, and robustness against damaged files."""

import json
import os
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate import Calibration, Device, Latency, ReferencePanel
from bneck.evaluate.latency.cache import LatencyCache, cache_directory

from ...search_space.helpers import TOY
from ..example_setup import CALIBRATION, DEVICE, PANEL

LATENCY = Latency(0.75, 0.5, 1.25, 6.0, "noisy", "CPU time", 42, 1.5, 0.25, DEVICE.key, "measured", "none")
OTHER_DEVICES: dict[str, Any] = {
    "backend": "torch",
    "runtime": "none 2",
    "processor": "another machine",
    "features": "avx2",
    "threads": 2,
    "dtype": "fp16",
    "layout": "NHWC",
    "batch_size": 8,
    "system": "Linux arm64",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> LatencyCache:
    return LatencyCache.for_device(DEVICE, PANEL)


def changed(file: Path, **changes: Any) -> None:
    """A file with other values; None takes one out."""
    known = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in known.items() if value is not None}))


# There and back


def test_a_latency_comes_back_as_it_was_stored(cache: LatencyCache) -> None:
    assert cache.latency(TOY.key, CALIBRATION) is None
    cache.store(TOY.key, LATENCY, CALIBRATION)
    assert cache.latency(TOY.key, CALIBRATION) == LATENCY
    assert cache.latency(replace(TOY, classes=3).key, CALIBRATION) is None


def test_a_calibration_comes_back_as_it_was_stored(cache: LatencyCache) -> None:
    assert cache.calibration() is None
    cache.store_calibration(CALIBRATION)
    assert cache.calibration() == CALIBRATION


def test_every_number_comes_back_to_the_bit(cache: LatencyCache) -> None:
    numbers = replace(LATENCY, ratio=1 / 3, ratio_low=1e-22, ratio_high=0.1 + 0.2, latency_ms=1e300)
    cache.store(TOY.key, numbers, CALIBRATION)
    assert cache.latency(TOY.key, CALIBRATION) == numbers


def test_another_process_reads_what_was_stored(cache: LatencyCache) -> None:
    cache.store_calibration(CALIBRATION)
    cache.store(TOY.key, LATENCY, CALIBRATION)
    again = LatencyCache.for_device(replace(DEVICE), ReferencePanel(PANEL.reference, dict(PANEL.networks)))
    assert again.calibration() == CALIBRATION
    assert again.latency(TOY.key, CALIBRATION) == LATENCY


def test_storing_again_replaces_the_entry(cache: LatencyCache) -> None:
    cache.store(TOY.key, LATENCY, CALIBRATION)
    cache.store(TOY.key, replace(LATENCY, ratio=9.0), CALIBRATION)
    measured = cache.latency(TOY.key, CALIBRATION)
    assert measured is not None
    assert measured.ratio == 9


def test_a_latency_of_another_calibration_is_not_known(cache: LatencyCache) -> None:
    cache.store(TOY.key, LATENCY, CALIBRATION)
    assert cache.latency(TOY.key, replace(CALIBRATION, measured_at="2026-01-03")) is None
    assert cache.latency(TOY.key, CALIBRATION) == LATENCY


# Files


def test_the_files_are_plain_json_of_a_version(cache: LatencyCache) -> None:
    cache.store_calibration(CALIBRATION)
    cache.store(TOY.key, LATENCY, CALIBRATION)
    result = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in cache.folder.iterdir()}
    assert result == {
        "device.json": {
            "bneck": "latency/1",
            "device": asdict(DEVICE),
            "reference": "medium",
            "panel": {name: network.key for name, network in PANEL.networks.items()},
        },
        "calibration.json": {"bneck": "latency/1", "calibration": asdict(CALIBRATION)},
        f"{TOY.key}.json": {
            "bneck": "latency/1",
            "calibrated_at": "2026-01-02",
            "latency": asdict(LATENCY),
        },
    }
    # a person can read them
    assert all(len(file.read_text().splitlines()) > 4 for file in cache.folder.iterdir())


def test_no_two_devices_share_a_file() -> None:
    assert list(OTHER_DEVICES) == [field.name for field in fields(Device)]
    cache = LatencyCache.for_device(DEVICE, PANEL)
    cache.store_calibration(CALIBRATION)
    cache.store(TOY.key, LATENCY, CALIBRATION)
    others = [
        LatencyCache.for_device(replace(DEVICE, **{name: value}), PANEL)
        for name, value in OTHER_DEVICES.items()
    ]
    assert len({cache.folder, *(other.folder for other in others)}) == 1 + len(OTHER_DEVICES)
    for other in others:
        assert other.calibration() is None
        assert other.latency(TOY.key, CALIBRATION) is None


@pytest.mark.parametrize(
    "panel",
    [
        ReferencePanel("small", PANEL.networks),
        ReferencePanel("medium", dict(PANEL.networks) | {"large": replace(TOY, classes=3)}),
    ],
    ids=["another reference", "another network"],
)
def test_no_two_panels_share_a_file(panel: ReferencePanel, cache: LatencyCache) -> None:
    cache.store_calibration(CALIBRATION)
    assert LatencyCache.for_device(DEVICE, panel).calibration() is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"BNECK_CACHE": "/of/bneck", "XDG_CACHE_HOME": "/of/the user"}, "/of/bneck"),
        ({"BNECK_CACHE": "", "XDG_CACHE_HOME": "/of/the user"}, "/of/the user/bneck"),
        ({"XDG_CACHE_HOME": "/of/the user"}, "/of/the user/bneck"),
        ({"XDG_CACHE_HOME": ""}, "/the/home/.cache/bneck"),
        ({}, "/the/home/.cache/bneck"),
    ],
)
def test_the_folder_is_bnecks_or_in_the_users_cache(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BNECK_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/the/home")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == Path(expected)


def test_latencies_are_in_a_folder_of_their_own(cache: LatencyCache, folder: Path) -> None:
    assert cache.folder == folder / "latency" / f"{DEVICE.key}-{PANEL.key}"


# What cannot be read counts as missing


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"latency/1"', "{}", "\x00", '{"bneck": "lat'])
def test_a_broken_file_counts_as_missing(text: str, cache: LatencyCache) -> None:
    (cache.folder / "calibration.json").write_text(text)
    (cache.folder / f"{TOY.key}.json").write_text(text)
    assert cache.calibration() is None
    assert cache.latency(TOY.key, CALIBRATION) is None


def test_a_file_that_is_no_text_counts_as_missing(cache: LatencyCache) -> None:
    for name in ("calibration", TOY.key):
        (cache.folder / f"{name}.json").write_bytes(b"\xff\xfe{}")
    assert cache.calibration() is None
    assert cache.latency(TOY.key, CALIBRATION) is None


def test_a_folder_in_place_of_a_file_counts_as_missing(cache: LatencyCache) -> None:
    (cache.folder / f"{TOY.key}.json").mkdir()
    assert cache.latency(TOY.key, CALIBRATION) is None
    cache.store(TOY.key, LATENCY, CALIBRATION)
    assert cache.latency(TOY.key, CALIBRATION) is None


@pytest.mark.parametrize("version", ["latency/2", "architecture/1", 1, None])
def test_another_version_counts_as_missing(version: Any, cache: LatencyCache) -> None:
    cache.store_calibration(CALIBRATION)
    cache.store(TOY.key, LATENCY, CALIBRATION)
    changed(cache.folder / "calibration.json", bneck=version)
    changed(cache.folder / f"{TOY.key}.json", bneck=version)
    assert cache.calibration() is None
    assert cache.latency(TOY.key, CALIBRATION) is None


def without(known: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in known.items() if each != name}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("latency", asdict(LATENCY) | {"watts": 3}),
        ("latency", without(asdict(LATENCY), "ratio")),
        ("latency", without(asdict(LATENCY), "status")),
        ("calibration", asdict(CALIBRATION) | {"watts": 3}),
        *(("calibration", without(asdict(CALIBRATION), field.name)) for field in fields(Calibration)),
        *product(("latency", "calibration"), ({}, [], 3, "fast", None)),
    ],
)
def test_an_entry_with_surplus_or_missing_fields_counts_as_missing(
    kind: str, content: Any, cache: LatencyCache
) -> None:
    cache.store_calibration(CALIBRATION)
    cache.store(TOY.key, LATENCY, CALIBRATION)
    changed(cache.folder / f"{TOY.key if kind == 'latency' else kind}.json", **{kind: content})
    assert (cache.calibration() is None) == (kind == "calibration")
    assert (cache.latency(TOY.key, CALIBRATION) is None) == (kind == "latency")


def test_a_file_without_its_calibration_counts_as_missing(cache: LatencyCache) -> None:
    cache.store(TOY.key, LATENCY, CALIBRATION)
    changed(cache.folder / f"{TOY.key}.json", calibrated_at=None)
    assert cache.latency(TOY.key, CALIBRATION) is None


def test_a_field_that_an_older_bneck_did_not_know_has_its_default(cache: LatencyCache) -> None:
    cache.store(TOY.key, LATENCY, CALIBRATION)
    for name in ("clock", "pairs", "seconds", "load", "device", "source", "error"):
        changed(cache.folder / f"{TOY.key}.json", latency=without(asdict(LATENCY), name))
        default: dict[str, Any] = {f.name: f.default for f in fields(Latency) if f.name == name}
        assert cache.latency(TOY.key, CALIBRATION) == replace(LATENCY, **default)


def test_additional_keys_of_a_newer_version_are_ignored(cache: LatencyCache) -> None:
    cache.store_calibration(CALIBRATION)
    cache.store(TOY.key, LATENCY, CALIBRATION)
    for file in cache.folder.iterdir():
        changed(file, host="a laptop")
    assert cache.calibration() == CALIBRATION
    assert cache.latency(TOY.key, CALIBRATION) == LATENCY


# What cannot be written is left out


def test_a_folder_that_cannot_be_created_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path / "a file"))
    cache = LatencyCache.for_device(DEVICE, PANEL)
    cache.store_calibration(CALIBRATION)
    cache.store(TOY.key, LATENCY, CALIBRATION)
    assert cache.calibration() is None
    assert cache.latency(TOY.key, CALIBRATION) is None


def test_a_full_disk_leaves_the_previous_file(cache: LatencyCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(TOY.key, LATENCY, CALIBRATION)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    cache.store(TOY.key, replace(LATENCY, ratio=9.0), CALIBRATION)
    assert cache.latency(TOY.key, CALIBRATION) == LATENCY


def test_a_folder_that_was_cleared_meanwhile_is_made_again(cache: LatencyCache) -> None:
    (cache.folder / "device.json").unlink()
    cache.folder.rmdir()
    cache.store(TOY.key, LATENCY, CALIBRATION)
    assert cache.latency(TOY.key, CALIBRATION) == LATENCY
