import csv
import io
import json
import math
from dataclasses import replace

import pytest

from bneck.evaluate import parse_goals
from bneck.results import Record
from bneck.results.analysis.front_posterior import FrontPosterior, front_posterior_of
from bneck.results.export.front_table import front_csv, front_json, front_row
from bneck.results.store.trial import with_posteriors

from ..example_run import Row, accuracy, record

FRONT = [record(2, Row("complete", 0.8, 0.2)), record(0, Row("complete", 0.9, 0.3))]
INTERVAL = ("accuracy", "accuracy_low", "accuracy_high")
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
    # Wilson's 95% interval of 360 of 400
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx((0.8667, 0.9257), abs=1e-4)
    assert row["mean_accuracy"] == 0.9


def test_json_holds_the_rows_in_the_order_of_the_front() -> None:
    found = json.loads(front_json(FRONT))
    assert (found["seed_variance"], found["macs_baseline"]) == (None, None)
    rows = found["front"]
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
            assert (float(row[name]) if row[name] else None) == known[name]
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
    row = json.loads(front_json(untrained()))["front"][1]
    assert (row["accuracy"], row["accuracy_low"], row["latency_ms"]) == (None, None, None)
    [_, last] = csv.DictReader(io.StringIO(front_csv(untrained())))
    assert (last["accuracy"], last["latency_ms"], last["latency_ratio"]) == ("", "", "")
    assert last["params"] == str(FRONT[1].cost.params)


def test_an_empty_front_is_an_empty_list_and_a_heading() -> None:
    assert json.loads(front_json([]))["front"] == []
    assert front_csv([]).split("\n")[0].split(",") == front_csv(FRONT).split("\n")[0].split(",")
    assert front_csv([]).count("\n") == 1


def sure() -> tuple[list[Record], FrontPosterior]:
    """Three networks, two of them trained twice: 79 and 81%, 90 and 91%."""
    records = with_posteriors([trained(0, 0.79, 0.81), trained(1, 0.91, 0.90), trained(2, 0.5)])
    found = front_posterior_of(records, parse_goals("accuracy,latency", {}))
    assert found is not None
    return records, found


def trained(number: int, *top1: float) -> Record:
    first, *more = (replace(accuracy(each), seed=seed) for seed, each in enumerate(top1))
    ratio = 0.2 + number / 10
    return replace(record(number, Row("complete", 0.5, ratio)), accuracy=first, replicates=tuple(more))


def test_a_row_tells_the_mean_of_all_trainings_and_how_sure_it_is() -> None:
    records, front_posterior = sure()
    row = front_row(records[0], front_posterior)
    assert (row["mean_accuracy"], row["n_seeds"]) == (pytest.approx(0.8), 2)
    estimate = front_posterior.estimate(records[0])
    assert [row[name] for name in INTERVAL] == [estimate.value, estimate.low, estimate.high]
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert row["pareto_probability"] == 1
    assert front_row(records[2], front_posterior)["pareto_probability"] < 0.05


def test_what_is_not_known_of_the_noise_is_null_and_empty() -> None:
    row = front_row(FRONT[0])
    assert (row["pareto_probability"], row["n_seeds"]) == (None, 1)
    assert next(csv.DictReader(io.StringIO(front_csv(FRONT))))["pareto_probability"] == ""


def test_a_reward_has_a_column_that_is_empty_in_other_runs() -> None:
    # 0.8 at 0.2x and 0.9 at 0.3x: 0.8 and 0.9 * 1.5 ** -0.07 = 0.9 * 0.972017
    reward = parse_goals("reward:0.2x", {}).reward
    found = json.loads(front_json(FRONT, reward=reward))["front"]
    assert [row["reward"] for row in found] == pytest.approx([0.8, 0.874815], abs=1e-6)
    rows = list(csv.DictReader(io.StringIO(front_csv(FRONT, None, reward))))
    assert [float(row["reward"]) for row in rows] == [row["reward"] for row in found]
    assert front_row(FRONT[0])["reward"] is None


def test_json_tells_the_noise_and_csv_has_the_same_rows() -> None:
    records, front_posterior = sure()
    found = json.loads(front_json(records, front_posterior))
    # (2 + 0.5) / 2 = 1.25 squares of a point; the median of its posterior is larger
    assert 1 <= found["seed_variance"]["std"] / math.sqrt(0.000125) < 1.25
    assert (found["seed_variance"]["degrees_of_freedom"], found["seed_variance"]["replicates"]) == (2, 2)
    assert found["seed_variance"]["least_significant_difference"] == pytest.approx(
        4.303 * math.sqrt(2) * front_posterior.noise.std, rel=1e-3
    )
    rows = list(csv.DictReader(io.StringIO(front_csv(records, front_posterior))))
    assert [float(row["accuracy_low"]) for row in rows] == [row["accuracy_low"] for row in found["front"]]
    assert [row["n_seeds"] for row in rows] == ["2", "2", "1"]
