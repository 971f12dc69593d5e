"""Figures of NetAdapt: the pruning path and its limit."""

import json
from pathlib import Path
from typing import Any

import pytest

from bneck.results.plots.netadapt import netadapt_path_figure, netadapt_trace, netadapt_traces
from bneck.results.store.netadapt_run import NetAdaptRun, netadapt_runs_of
from bneck.search_space import cost

from ..example_adaptation import SETTINGS, example_adaptation, path_rows, result


def test_the_path_runs_from_the_start_to_the_last_training() -> None:
    trace = netadapt_trace(path_rows(), "latency", "a path", result())
    assert list(trace.x) == pytest.approx([1.0, 0.8, 0.5, 0.5])
    assert list(trace.y) == pytest.approx([90, 85, 80, 88])
    assert list(trace.marker.symbol) == ["circle-open"] * 3 + ["star"]
    assert trace.name == "a path"
    assert "(initial)" in trace.customdata[0]
    assert "expansion of block 2: 64 to 40" in trace.customdata[1]
    assert "fine-tuning" in trace.customdata[2] and "final training" in trace.customdata[3]


def test_an_unfinished_path_has_no_star_and_one_without_latencies_no_place_among_them() -> None:
    assert list(netadapt_trace(path_rows(), "macs", "p").x) == [
        cost(row.architecture).macs for row in path_rows()
    ]
    assert not netadapt_trace(path_rows(measured=False), "latency", "p", result()).x


def test_the_paths_of_a_run_are_those_in_its_folder(tmp_path: Path) -> None:
    assert netadapt_traces(tmp_path, "latency") == []
    for name in ("trial-3-1", "trial-12-1"):
        example_adaptation(tmp_path / "netadapt" / name)
    finished = NetAdaptRun.open(tmp_path / "netadapt" / "trial-12-1")
    finished.result_file.write_text(json.dumps(result()), encoding="utf-8")
    assert [each.folder.name for each in netadapt_runs_of(tmp_path)] == ["trial-12-1", "trial-3-1"]
    first, second = netadapt_traces(tmp_path, "latency")
    assert (first.name, len(first.x)) == ("NetAdapt: trial-12-1", 4)
    assert (second.name, len(second.x)) == ("NetAdapt: trial-3-1", 3)


def test_the_limit_is_drawn_where_the_limited_quantity_is() -> None:
    def lines(x: Any) -> list[float]:
        return [shape.x0 for shape in netadapt_path_figure(SETTINGS, path_rows(), x, None).layout.shapes]

    assert lines("latency") == pytest.approx([0.6])  # 0.3 of 2 ms
    assert lines("macs") == []
