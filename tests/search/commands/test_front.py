import re
from dataclasses import astuple
from pathlib import Path

import pytest

from bneck.results.text.findings import MAX_FINDINGS
from bneck.search.console.front_table import enqueued_message, print_front, start_message, timeout_message
from bneck.search.runner.session import default_workers

from ...results.example_run import example_run
from ..helpers import fake_run


def test_a_warm_start_names_the_networks_that_come_first(tmp_path: Path) -> None:
    run = fake_run(tmp_path)
    assert enqueued_message(run).startswith("--enqueue-published: space small has no published network")
    genes = {gene.name: gene.choices[0] for gene in run.settings.space.genes}
    sources = ("mobilenet_v2 at 16 px", "mnasnet_b1 at 8 px")
    for source in sources:
        run.study.enqueue_trial(genes, user_attrs={"source": source})
    assert enqueued_message(run).endswith(", ".join(sources))


def test_the_first_line_has_space_data_limits_and_reference(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", limits={"macs": "2M", "latency": "0.5x"}, n_trials=9)
    latency = run.settings.latency
    assert start_message(run).split("; ") == [
        f"{run.folder}: 9 networks of space small on digits",
        "macs <= 2M, latency <= 0.5x",
        f"1x = {latency.reference_text}: 2 ms ({latency.backend})",
    ]
    longer = start_message(fake_run(tmp_path, replicates=6, evaluator="table:/a.csv")).split("; ")
    assert longer[-2].startswith("6 replicates")
    assert longer[-1].endswith("table:/a.csv")


def test_a_gpu_has_one_worker(tmp_path: Path) -> None:
    assert default_workers(fake_run(tmp_path, torch_device="cuda")) == 1
    assert default_workers(fake_run(tmp_path, torch_device="cpu")) >= 1


def test_a_timeout_names_what_is_missing_and_how_to_resume(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", n_trials=40, replicates=8)
    text = timeout_message(run, 2.5)
    assert all(each in text for each in ("2.5 min", "0 of 40 networks", "0 of 8 replicates"))
    assert text.endswith(f"bneck search {run.folder} --resume")
    assert "replicate" not in timeout_message(fake_run(tmp_path, n_trials=40), 1)


def test_the_table_tells_trainings_what_is_likely_and_who_is_truly_on_the_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = example_run(tmp_path / "run", again={0: [0.92], 2: [0.81], 5: [0.93]})
    print_front(run)
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", lines[0].strip())[2:7] == [
        "accuracy %",
        "95% CI",
        "mean %",
        "n_seeds",
        "P(Pareto)",
    ]
    shown = "{:.1f} +{:.1f} to {:.1f}".format(
        *(100 * each for each in astuple(run.record(0).estimated_accuracy))
    )
    assert re.search(rf" {shown} +91\.0 +2 +\S+%", lines[2])
    assert any(line.startswith("Baseline ") for line in lines)
    assert len(lines[4:]) <= MAX_FINDINGS
