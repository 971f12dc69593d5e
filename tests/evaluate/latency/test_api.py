"""The public functions of `bneck.evaluate` for latency, and the examples in their docstrings."""

import doctest
from dataclasses import replace
from pathlib import Path

import pytest

import bneck.evaluate
from bneck.evaluate import LatencyMeter, LatencyPredictor, measure_latency
from bneck.search_space import UnknownNameError

from ...search_space.helpers import TOY


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BNECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("documented", [measure_latency, LatencyPredictor])
def test_the_example_runs(documented: object) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, documented.__name__)  # type: ignore[attr-defined]
    results = doctest.DocTestRunner().run(example)
    assert results.attempted > 4
    assert results.failed == 0


def test_one_network_gives_one_latency_and_a_list_a_list() -> None:
    latency = measure_latency(TOY, latency_backend="fake")
    other = replace(TOY, classes=3)
    assert [each.ratio for each in measure_latency([TOY], latency_backend="fake")] == [latency.ratio]
    assert len(measure_latency([TOY, other], latency_backend="fake")) == 2
    assert measure_latency([], latency_backend="fake") == []


def test_the_references_take_the_images_and_classes_of_the_network() -> None:
    panel = LatencyMeter.open("fake", like=TOY, reference_model="mobilenet_v2").panel
    assert panel.reference == "mobilenet_v2@224px"
    assert {name: (each.resolution_px, each.classes) for name, each in panel.networks.items()} == {
        name: (224 if "@224px" in name else TOY.resolution_px, TOY.classes) for name in panel.networks
    }


def test_a_cached_latency_is_measured_again_only_if_fresh() -> None:
    assert measure_latency(TOY, latency_backend="fake").seconds > 0
    assert measure_latency(TOY, latency_backend="fake").seconds == 0
    assert measure_latency(TOY, latency_backend="fake", fresh=True).seconds > 0


def test_threads_and_batch_size_reach_the_backend() -> None:
    one = measure_latency(TOY, latency_backend="fake")
    four = measure_latency(TOY, latency_backend="fake", latency_threads=4, batch_size=2)
    assert four.device != one.device
    assert four.latency_ms < one.latency_ms / 2


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="tensorrt"):
        measure_latency(TOY, latency_backend="tensorrt")
    with pytest.raises(UnknownNameError, match="resnet"):
        measure_latency(TOY, latency_backend="fake", reference_model="resnet")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bneck.evaluate.nothing  # noqa: B018
