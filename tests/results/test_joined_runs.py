"""One front over several searches."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bneck.evaluate.objectives import parse_goals
from bneck.results import JoinedRuns, Run
from bneck.results.export.front_table import front_json
from bneck.results.outputs import write_report
from bneck.search_space import RunError, published_architecture

from .example_run import REFERENCE_MS, Row, example_run, run_settings

UNKNOWN = Row("infeasible")


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Run, Run]:
    """Networks 0 and 1 in one search; 1 once more, 2 and 3 in the other, calibrated at twice the time."""
    first = (Row("complete", 0.90, 0.30), Row("complete", 0.80, 0.20))
    other = (UNKNOWN, Row("complete", 0.99, 0.10), Row("complete", 0.85, 0.25), Row("complete", 0.70, 0.28))
    settings = run_settings(limits={"latency": "0.5x", "macs": "60M"})
    latency = settings.latency
    networks = {
        **latency.panel.networks,
        "mobilenet_v3_small@0.5": published_architecture("mobilenet_v3_large"),
    }
    slower = replace(
        latency,
        panel=replace(latency.panel, networks=networks),  # all but its reference may differ
        calibration=replace(latency.calibration, reference_ms=2 * REFERENCE_MS),
    )
    limited = replace(settings, goals=parse_goals("accuracy,latency", {"latency": "0.5x"}), latency=slower)
    return (
        example_run(tmp_path / "a", first, settings=settings, again={0: [0.92]}),
        example_run(tmp_path / "b", other, settings=limited, again={2: [0.86]}),
    )


def test_the_front_has_the_nondominated_networks_of_all_searches(runs: tuple[Run, Run]) -> None:
    first, other = runs
    joined = JoinedRuns.of([first, other.folder])
    names = [f"{first.folder}#1", f"{other.folder}#2", f"{first.folder}#0"]  # by latency; b#3 is dominated
    assert [each.label for each in joined.front()] == names
    assert [each.latency.ratio for each in joined.front() if each.latency] == [0.20, 0.25, 0.30]
    assert [each.latency.latency_ms for each in joined.front() if each.latency] == pytest.approx(
        [ratio * REFERENCE_MS for ratio in (0.20, 0.25, 0.30)]
    )
    assert all(each.posterior for each in joined.front())  # of the replicates of both
    assert [str(each) for each in joined.settings.goals.constraints] == ["latency <= 0.5x"]
    assert joined.best().label == joined.record(f"{first.folder}#0").label == names[2]
    assert [row["trial"] for row in json.loads(front_json(joined.front()))["front"]] == names


def test_the_report_has_a_row_for_each_network_of_the_common_front(
    runs: tuple[Run, Run], tmp_path: Path
) -> None:
    joined = JoinedRuns.of(runs)
    html = write_report(joined, tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for record in joined.front():
        assert f"bneck export {record.run} --trial {record.trial} " in html
    [front] = [each for each in joined.plot_pareto().data if str(each.name).startswith("Pareto front")]
    assert set(front.ids) == {record.label for record in joined.front()}


def test_searches_that_cannot_be_compared_are_refused(runs: tuple[Run, Run], tmp_path: Path) -> None:
    first, other = runs
    data, latency = replace(first.settings.data, fingerprint="others"), first.settings.latency
    elsewhere = example_run(tmp_path / "c", settings=replace(first.settings, data=data))
    panel = replace(latency.panel, reference="mobilenet_v3_small@0.5")
    faster = replace(first.settings, latency=replace(latency, panel=panel))
    for joined, reason in (
        ((first, elsewhere), "images differ"),
        ((first, example_run(tmp_path / "d", settings=faster)), "reference models differ"),
        ((first, first), "two different ones"),
        ((other,), "two different ones"),
    ):
        with pytest.raises(RunError, match=reason):
            JoinedRuns.of(joined)
