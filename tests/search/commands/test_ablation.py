"""`bneck ablation`: what it prints and what it refuses."""

import json
from pathlib import Path

import pytest

from bneck.results.analysis import importance

from ...results.analysis.test_gene_model import judged_by
from ...results.example_run import ROWS, example_run
from ..example_trainings import run as call


def test_a_run_of_few_networks_is_refused_in_a_line(tmp_path: Path) -> None:
    folder = example_run(tmp_path / "run", ROWS[:1]).folder
    ended = call("ablation", folder)
    assert ended.code == 2
    assert "at least 20 trained networks, got 1" in ended.err
    assert f"bneck search {folder} --resume" in ended.err


@pytest.mark.slow
def test_it_prints_tables_and_statements_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "N_NETWORKS", 100)
    folder = judged_by(tmp_path / "run", 40).folder
    shown = call("ablation", folder)
    assert shown.code == 0
    assert "attention none → SE" in shown.out
    assert "SE in stage 2: above the front" in shown.out
    assert "every kernel" in shown.out
    told = json.loads(call("ablation", folder, "--json").out)
    [found] = [
        each for each in told["ablation"] if (each["location"], each["alternative"]) == ("stage2", "se")
    ]
    assert found["changes"]["accuracy"]["low"] < 0.02 < found["changes"]["accuracy"]["high"]
