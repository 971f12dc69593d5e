from dataclasses import replace
from pathlib import Path

from bneck.evaluate import parse_goals
from bneck.results.text.findings import MAX_FINDINGS, findings

from ..example_run import Row, example_run, run_settings


def test_findings_are_at_most_four_lines_by_relevance(tmp_path: Path) -> None:
    lines = findings(example_run(tmp_path / "run", again={0: [0.92], 2: [0.81], 5: [0.93]}))
    assert len(lines) == MAX_FINDINGS
    starts = ("Trial ", "P(Pareto-optimal)", "Baseline ", "Latencies:")
    assert [line for line, start in zip(lines, starts, strict=True) if not line.startswith(start)] == []
    assert not any("\n" in line for line in lines)


def test_without_replicates_seed_noise_is_reported_as_unknown(tmp_path: Path) -> None:
    lines = findings(example_run(tmp_path / "run"))
    assert len(lines) <= MAX_FINDINGS
    assert any(line.startswith("Seed noise unknown") for line in lines)


def test_a_single_objective_has_no_pareto_membership(tmp_path: Path) -> None:
    settings = replace(run_settings(), goals=parse_goals("accuracy", {}))
    run = example_run(tmp_path / "run", settings=settings, again={0: [0.92], 2: [0.81]})
    lines = findings(run)
    assert lines and "P(best)" in lines[0]
    assert not any("P(Pareto" in line for line in lines)


def test_a_run_without_a_front_has_no_findings(tmp_path: Path) -> None:
    assert findings(example_run(tmp_path / "run", (Row("failed", None, None),))) == []
