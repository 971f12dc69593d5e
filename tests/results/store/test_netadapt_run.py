"""The folder of an adaptation, its tables, its path in a plot, and its page."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bneck.results.pages.netadapt import figures, netadapt_html, netadapt_path_figure
from bneck.results.plots.netadapt import netadapt_trace, netadapt_traces
from bneck.results.store.netadapt_run import NetAdaptRun, netadapt_runs_of
from bneck.search_space import FileFormatError, RunError, cost

from ..example_adaptation import SETTINGS, START, example_adaptation, path_rows, result


@pytest.fixture
def made(tmp_path: Path) -> NetAdaptRun:
    return example_adaptation(tmp_path / "a")


def changed(folder: NetAdaptRun, name: str, pattern: str, by: str) -> None:
    file = folder.folder / name
    before = file.read_text(encoding="utf-8")
    after = re.sub(pattern, by, before, count=1, flags=re.MULTILINE)
    assert after != before
    file.write_text(after, encoding="utf-8")


def test_what_is_written_is_read_back(made: NetAdaptRun) -> None:
    again = NetAdaptRun.open(made.folder)
    assert again.settings == SETTINGS
    assert again.path() == path_rows()
    assert again.result() is None


def test_without_latencies_it_is_read_back_too(tmp_path: Path) -> None:
    made = example_adaptation(tmp_path / "a", measured=False)
    again = NetAdaptRun.open(made.folder)
    assert again.settings == made.settings and again.settings.latency is None
    assert again.path() == path_rows(measured=False)


def test_nothing_is_written_over(made: NetAdaptRun) -> None:
    with pytest.raises(RunError, match=f"exists; .*bneck netadapt {made.folder} --resume"):
        NetAdaptRun.create(made.folder, SETTINGS)


def test_another_folder_is_no_adaptation(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no adaptation \(it has no netadapt.yaml\)"):
        NetAdaptRun.open(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "by", "words"),
    [
        ("^final: scratch", "final: zero", "final: must be inherit or scratch, got zero"),
        ("^step: .*", "step: wide", "step: must be a number, got wide"),
        ("^  limit: .*", "  limit: -1", "limit must be above 0"),
        ("^seed: .*\n", "", "'seed' is missing"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(
    made: NetAdaptRun, pattern: str, by: str, words: str
) -> None:
    changed(made, "netadapt.yaml", pattern, by)
    with pytest.raises(FileFormatError, match=rf"netadapt.yaml:\d+: .*{words}"):
        NetAdaptRun.open(made.folder)


@pytest.mark.parametrize(
    ("pattern", "by"), [("netadapt-path/1", "netadapt-path/2"), ('"loss"', '"gloss"'), (r"^\{", "")]
)
def test_a_damaged_path_is_an_error_that_names_the_file(made: NetAdaptRun, pattern: str, by: str) -> None:
    changed(made, "path.json", pattern, by)
    with pytest.raises(RunError, match=r"path\.json"):
        made.path()


def test_the_tables_tell_every_cut(made: NetAdaptRun) -> None:
    with (made.folder / "path.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    told = json.loads((made.folder / "path.json").read_text(encoding="utf-8"))["rows"]
    for kind in (rows, told):
        assert [str(row["step"]) for row in kind] == ["0", "1", "2"]
        assert [
            (row["group"], str(row["channels_before"]), str(row["channels_after"])) for row in kind[1:]
        ] == [
            ("expansion of block 2", "64", "40"),
            ("features of the head", "40", "32"),
        ]
        assert [int(row["macs"]) for row in kind] == [cost(row.architecture).macs for row in path_rows()]
        assert [float(row["latency_ms"]) for row in kind] == pytest.approx([1.0, 0.8, 0.5])
        assert float(kind[2]["unpruned_top1"]) == pytest.approx(0.81)
    assert rows[0]["unpruned_top1"] == "" and told[0]["unpruned_top1"] is None
    assert "architecture" not in rows[0]
    assert told[0]["architecture"] == START.to_dict()


def test_the_value_of_a_row_is_what_the_limit_looks_at() -> None:
    assert [row.value(SETTINGS.limit) for row in path_rows()] == [0.5, 0.4, 0.25]


def test_the_path_runs_from_the_start_to_the_last_training() -> None:
    trace = netadapt_trace(path_rows(), "latency", "a path", result())
    assert list(trace.x) == pytest.approx([1.0, 0.8, 0.5, 0.5])
    assert list(trace.y) == pytest.approx([90, 85, 80, 88])
    assert list(trace.marker.symbol) == ["circle-open"] * 3 + ["star"]
    assert trace.name == "a path"
    assert "initial network" in trace.customdata[0] and "as given" in trace.customdata[0]
    assert "expansion of block 2: 64 to 40" in trace.customdata[1]
    assert "tuned briefly" in trace.customdata[2] and "trained to the end" in trace.customdata[3]


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
    assert (first.name, len(first.x)) == ("adapted: trial-12-1", 4)
    assert (second.name, len(second.x)) == ("adapted: trial-3-1", 3)


def test_the_page_tells_both_ends_and_every_cut(made: NetAdaptRun) -> None:
    html = netadapt_html(made, path_rows(), result())
    assert netadapt_html(made, path_rows(), result()) == html
    text = re.sub(r"<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    # Wilson's interval of 400 images at 87%: 3.3 points, at 89%: 3.1; validation 85%: 3.5.
    assert "answers 87.0 ± 3.3% right, the start 89.0 ± 3.1%" in text
    assert "2 steps bring the network from 1.00 ms" in text and "to 0.500 ms" in text
    assert "expansion of block 2: 64 to 40 0.800 ms" in text
    assert "0.400 (+0.050) 85.0 ± 3.5% (-1.0) 3 of 4" in text
    assert START.key in text and "from random weights" in text
    assert "runs/one/checkpoints/abc.safetensors" in text
    for name in ("path-latency", "path-macs", "start-blocks", "result-blocks"):
        assert f'id="{name}"' in html


def test_the_limit_is_drawn_where_the_limited_quantity_is() -> None:
    def lines(x: Any) -> list[float]:
        return [shape.x0 for shape in netadapt_path_figure(SETTINGS, path_rows(), x, None).layout.shapes]

    assert lines("latency") == pytest.approx([0.6])  # 0.3 of 2 ms
    assert lines("macs") == []


def test_without_latencies_the_page_speaks_of_macs_alone(tmp_path: Path) -> None:
    made = example_adaptation(tmp_path / "a", measured=False)
    rows = path_rows(measured=False)
    assert list(figures(made.settings, rows, None)) == ["path-macs"]
    found = result()
    for end in ("start", "final"):
        found[end]["latency_ms"] = None
    html = netadapt_html(made, rows, found)
    assert " ms" not in html.split("<body>")[1] and "<th>latency</th>" not in html
