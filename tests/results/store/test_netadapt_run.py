"""The folder of a NetAdapt run and its tables."""

import csv
import json
import re
from pathlib import Path

import pytest

from bneck.results.store.netadapt_run import NetAdaptRun
from bneck.search_space import FileFormatError, RunError, cost

from ..example_adaptation import SETTINGS, START, example_adaptation, path_rows


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


@pytest.mark.parametrize(
    ("pattern", "by", "words"),
    [
        ("^- resolution", "- length", r"cuts\[2\]: must be .*, got length"),
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
    ("pattern", "by"), [("netadapt-path/2", "netadapt-path/1"), ('"loss"', '"gloss"'), (r"^\{", "")]
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
        assert [(row["place"], str(row["before"]), str(row["after"])) for row in kind[1:]] == [
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
