from pathlib import Path

from bneck.results.export.dashboard import dashboard_study

from ..example_run import ROWS, Row, example_run


def test_only_complete_networks_have_values_and_all_keep_their_numbers(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", [*ROWS, Row("failed"), Row("running")])
    trials = dashboard_study(run).get_trials()
    states = {trial.number: trial.state.name for trial in trials}
    assert [number for number, state in states.items() if state == "COMPLETE"] == [0, 2, 4, 5]
    assert [number for number, state in states.items() if state == "PRUNED"] == [1, 3, 6]
    assert (states[7], states[8]) == ("FAIL", "RUNNING")
    assert trials[5].values == [0.95, 0.9]  # ms
    assert trials[1].values is None
    # the study itself is unchanged: an infeasible trial has penalties
    assert run.study.get_trials()[1].values == [0.0, 1e9]
