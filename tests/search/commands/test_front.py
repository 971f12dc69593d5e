import re
from pathlib import Path

import pytest

from bneck.search.console.front_table import enqueued_message, print_front, start_message, timeout_message
from bneck.search.runner.session import default_workers

from ...results.example_run import example_run
from ..helpers import fake_run


def test_a_warm_start_names_the_networks_that_come_first(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    assert (
        enqueued_message(run)
        == "--enqueue-published: no published network lies in space small and keeps the limits"
    )
    genes = {gene.name: gene.choices[0] for gene in run.settings.space.genes}
    for source in ("mobilenet_v2 at 16 px", "mnasnet_b1 at 8 px"):
        run.study.enqueue_trial(genes, user_attrs={"source": source})
    assert enqueued_message(run) == "proposed first: mobilenet_v2 at 16 px, mnasnet_b1 at 8 px"


def test_the_opening_tells_space_data_limits_and_the_reference(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", limits={"macs": "2M", "latency": "0.5x"}, n_trials=9)
    words = start_message(run)
    assert words.startswith(
        f"{run.folder}: 9 networks of space small on digits; macs <= 2M, latency <= 0.5x; "
    )
    assert words.endswith(
        f"{run.settings.latency.reference} takes 2 ms here ({run.settings.latency.backend})"
    )
    longer = start_message(fake_run(tmp_path, replicates=6, evaluator="table:/a.csv"))
    assert longer.endswith("; 6 replicates where the front is unsure; judged by table:/a.csv")


def test_a_gpu_has_one_worker(tmp_path: Path) -> None:
    assert default_workers(fake_run(tmp_path, torch_device="cuda")) == 1
    assert default_workers(fake_run(tmp_path, torch_device="cpu")) >= 1


def test_when_the_minutes_are_gone_the_closing_line_tells_how_far_and_how_to_go_on(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", n_trials=40, replicates=8)
    assert timeout_message(run, 2.5) == (
        "the 2.5 minutes are gone: 0 of 40 networks judged, 0 of 8 replicates trained; go on with: "
        f"bneck search {run.folder} --resume"
    )
    assert ", 0 of" not in timeout_message(fake_run(tmp_path, n_trials=40), 1)


def test_the_table_tells_trainings_what_is_likely_and_who_is_truly_on_the_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_front(example_run(tmp_path / "run", again={0: [0.92], 2: [0.81], 5: [0.93]}))
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", lines[0].strip())[2:6] == ["accuracy %", "n_seeds", "95% CI", "P(Pareto)"]
    # 2 + 0.5 + 2 squares of a point with 3 degrees of freedom, t 3.182, two trainings: 2.8 points
    assert re.search(r" 91\.0 ±2\.8 +2 +\d\d\.\d to \d\d\.\d +\S+%", lines[2])
    assert lines[4].startswith("Seed standard deviation 1.2 pp")
    assert any(line.startswith("Baseline ") for line in lines)
