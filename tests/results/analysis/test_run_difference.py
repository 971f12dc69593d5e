from dataclasses import replace
from pathlib import Path

import pytest

from bneck.results import JoinedRuns
from bneck.results.analysis.run_difference import differing_settings, run_difference

from ..example_run import Row, example_run, run_settings

UNKNOWN = Row("infeasible")


def test_two_searches_differ_in_settings_hypervolume_and_best_network(tmp_path: Path) -> None:
    one = example_run(tmp_path / "a", [Row("complete", 0.90, 0.30), Row("complete", 0.80, 0.20)])
    settings = replace(run_settings(), seed=8)
    # trial 2 beats trial 0 in both; trial 3 is beaten by trial 1
    others = [UNKNOWN, UNKNOWN, Row("complete", 0.95, 0.25), Row("complete", 0.70, 0.28)]
    other = example_run(tmp_path / "b", others, settings=settings)
    assert differing_settings(one, other) == {"seed": (7, 8)}
    joined = JoinedRuns.of([one, other])
    difference = run_difference(one, other, joined)
    first, second = difference.outcomes
    assert (first.networks, first.front, first.on_common_front) == (2, 2, 1)
    assert (second.networks, second.front, second.on_common_front) == (2, 1, 1)
    assert first.best and second.best
    assert (first.best.trial, second.best.trial) == (0, 2)
    assert difference.best_advantage is None  # no replicates
    # The box: 77 to 95% (a fifth below the front of both), 0.4 to 1 ms; by hand
    # (0.13 log(1 / 0.6) + 0.03 log(0.6 / 0.4)) / (0.18 log(1 / 0.4)) and log(1 / 0.5) / log(1 / 0.4)
    assert (first.hypervolume, second.hypervolume) == pytest.approx((0.4764, 0.7565), abs=1e-4)
