"""Interrupted measurements."""

from pathlib import Path

import pytest

from bneck.evaluate.latency import cache
from bneck.evaluate.latency.meter import LatencyMeter
from bneck.search_space import Architecture

from ..example_trainings import run

BUILD = ("latency-predictor", "build", "tiny", "--latency-backend", "fake", "--networks", 20, "--held-out", 5)
BUILD_TO_FILE = (*BUILD, "--file", "predictor.json")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path / "cache"))
    return tmp_path


def stop_after(number: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have Ctrl-C pressed after so many measurements; returns the keys of what is measured."""
    measured: list[str] = []
    prepare = LatencyMeter._prepare

    def counted(meter: LatencyMeter, architecture: Architecture) -> object:
        if meter.is_calibrated:
            if len(measured) == number:
                raise KeyboardInterrupt
            measured.append(architecture.key)
        return prepare(meter, architecture)

    monkeypatch.setattr(LatencyMeter, "_prepare", counted)
    return measured


@pytest.mark.slow
def test_an_interrupted_build_says_what_is_kept_and_measures_only_the_rest_when_it_is_repeated(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        first = stop_after(13, patch)
        ended = run(*BUILD_TO_FILE)
    assert ended.code == 130
    [folder] = (here / "cache" / "latency").iterdir()
    assert f"interrupted after 13 of 25 networks, kept in {folder}; run the same command" in ended.err
    assert not (here / "predictor.json").exists()
    second = stop_after(25, monkeypatch)
    assert run(*BUILD_TO_FILE).code == 0
    assert len(first) == 13
    assert set(first).isdisjoint(second)
    # the three networks of the panel, and the reference at its own resolution, are prepared again
    assert len(second) == 12 + 4
    assert (here / "predictor.json").is_file()


def test_without_a_cache_an_interrupted_build_does_not_claim_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "cache").write_text("a file in place of the folder")
    stop_after(3, monkeypatch)
    ended = run(*BUILD_TO_FILE)
    assert ended.code == 130
    assert "interrupted after 0 of 25 networks; run" in ended.err


def test_a_predictor_file_made_in_the_meantime_is_not_overwritten(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = cache.LatencyCache.store

    def another_job(*arguments: object) -> None:
        (here / "predictor.json").write_text("of another job")
        store(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cache.LatencyCache, "store", another_job)
    ended = run(*BUILD_TO_FILE)
    assert ended.code == 2
    assert "predictor.json exists" in ended.err
    assert (here / "predictor.json").read_text() == "of another job"
