import csv
import io
import json
from dataclasses import replace

import pytest

from bneck.results import Record
from bneck.results.rows import front_csv, front_json, front_row

from .example_run import Row, record

FRONT = [record(2, Row("judged", 0.8, 0.2)), record(0, Row("judged", 0.9, 0.3))]
PROMISED = ("trial", "key", "accuracy", "latency_ms", "latency_ratio", "macs", "params")


def test_a_row_has_plain_values_in_the_units_that_its_names_say() -> None:
    judged = FRONT[1]
    row = front_row(judged)
    assert (row["trial"], row["key"]) == (0, judged.architecture.key)
    assert (row["accuracy"], row["latency_ratio"]) == (0.9, 0.3)
    # 0.3 times 2 ms, with an interval from 10% below to 20% above
    assert row["latency_ms"] == pytest.approx(0.6)
    assert (row["latency_ratio_low"], row["latency_ratio_high"]) == pytest.approx((0.27, 0.36))
    assert (row["macs"], row["params"]) == (judged.cost.macs, judged.cost.params)
    # Wilson's 95% interval of 90% of 400: 1.96 / 1.009604 * sqrt(0.09 / 400 + 3.8416 / 640000)
    assert row["accuracy_margin"] == pytest.approx(0.02951, abs=1e-5)


def test_json_is_a_list_of_rows_in_the_order_of_the_front() -> None:
    rows = json.loads(front_json(FRONT))
    assert [row["trial"] for row in rows] == [2, 0]
    assert all(set(PROMISED) <= set(row) for row in rows)
    assert rows == [front_row(each) for each in FRONT]


def test_csv_parses_back_to_the_numbers_of_the_json() -> None:
    rows = list(csv.DictReader(io.StringIO(front_csv(FRONT))))
    assert len(rows) == len(FRONT)
    for row, each in zip(rows, FRONT, strict=True):
        known = front_row(each)
        assert set(PROMISED) <= set(row) <= set(known)
        assert row["key"] == each.key
        for name in set(row) - {"key"}:
            assert float(row[name]) == known[name]
        assert row["macs"] == str(each.cost.macs)  # no 1.2e5 and no 120000.0


def test_csv_has_a_heading_and_one_line_a_network() -> None:
    lines = front_csv(FRONT).split("\n")
    assert lines[0].split(",")[:3] == ["trial", "key", "accuracy"]
    assert len(lines) == 4
    assert lines[-1] == ""


def untrained() -> list[Record]:
    # objectives without accuracy and latency still have a front
    return [FRONT[0], replace(FRONT[1], accuracy=None, latency=None)]


def test_what_was_not_measured_is_null_in_json_and_empty_in_csv() -> None:
    row = json.loads(front_json(untrained()))[1]
    assert (row["accuracy"], row["accuracy_margin"], row["latency_ms"]) == (None, None, None)
    [_, last] = csv.DictReader(io.StringIO(front_csv(untrained())))
    assert (last["accuracy"], last["latency_ms"], last["latency_ratio"]) == ("", "", "")
    assert last["params"] == str(FRONT[1].cost.params)


def test_an_empty_front_is_an_empty_list_and_a_heading() -> None:
    assert json.loads(front_json([])) == []
    assert front_csv([]).split("\n")[0].split(",") == front_csv(FRONT).split("\n")[0].split(",")
    assert front_csv([]).count("\n") == 1
