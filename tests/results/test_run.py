"""The public face of a run; the examples in its docstrings are executed on a small run."""

import doctest
import random
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch

from bneck.evaluate.data.dataset import load_data
from bneck.evaluate.training.checkpoint import load_trained_network, make_checkpoint, save_checkpoint
from bneck.results import Run
from bneck.search_space import RunError, UnknownNameError
from bneck.search_space.network import build_network

from .example_run import ROWS, SPACE, Row, check, example_run, genes, run_settings

METHODS = [name for name, value in vars(Run).items() if callable(value) and not name.startswith("_")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """21 networks below 60% and a trained best one, beside the seven rows of the example."""
    rng = random.Random(1)
    others = [Row("complete", 0.3 + 0.3 * rng.random(), 0.46 + 0.03 * rng.random()) for _ in range(21)]
    made = example_run(tmp_path_factory.mktemp("here") / "runs" / "example", [*ROWS, *others])
    architecture = made.best().architecture
    torch.manual_seed(0)
    data = load_data("digits")
    checkpoint = make_checkpoint(build_network(architecture), data, made.settings.recipe, 7, [])
    save_checkpoint(checkpoint, made.checkpoint(architecture))
    return Run.open(made.folder)


@pytest.mark.parametrize("name", ["Run", *METHODS])
def test_the_example_in_a_docstring_runs(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").symlink_to(run.folder.parent)
    monkeypatch.chdir(tmp_path)
    value: Any = Run if name == "Run" else getattr(Run, name)
    [example] = [each for each in doctest.DocTestFinder(recurse=False).find(value, name, globs={}) if each]
    assert example.examples
    shown: list[str] = []
    doctest.DocTestRunner().run(example, out=shown.append)
    assert shown == []


def test_a_run_is_shown_by_its_folder(run: Run) -> None:
    assert repr(run) == f"Run('{run.folder}')"


def test_the_data_frame_has_a_row_per_trial_and_a_column_per_gene(tmp_path: Path) -> None:
    key = SPACE.decode(genes(5)).key
    run = example_run(tmp_path / "run", verifications={key: check(0.45, 0.91)}, again={0: [0.92]})
    table = run.to_pandas()
    assert list(table.index) == list(range(len(ROWS)))
    assert list(table.state) == [row.state for row in ROWS]
    assert list(table.index[table.pareto]) == [
        record.trial for record in sorted(run.front(), key=lambda r: r.trial)
    ]
    assert table.mean_accuracy[0] == pytest.approx(run.trials()[0].top1)
    assert table.accuracy[0] == run.trials()[0].estimated_accuracy.value
    assert (table.n_seeds[0], table.n_seeds[1], table.n_seeds[2]) == (2, 0, 1)
    assert table.test_accuracy[5] == 0.91
    assert table.test_accuracy.isna().sum() == len(ROWS) - 1
    assert table.latency_ms[6] == 8.0 and pandas.isna(table.latency_ms[3])
    assert list(table.macs) == [record.cost.macs for record in run.trials()]
    stored = SPACE.encode(run.trials()[0].architecture)
    assert {gene.name: table[f"gene_{gene.name}"][0] for gene in SPACE.genes} == stored


def test_the_data_frame_documents_its_columns(run: Run) -> None:
    documented = Run.to_pandas.__doc__
    assert documented
    for name in run.to_pandas().columns:
        assert f"`{name}`" in documented or name.startswith("gene_")


def test_the_data_frame_of_a_reward_has_it_for_completed_trials_alone(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", settings=run_settings("reward:0.5x"))
    table = run.to_pandas()
    assert list(table.reward.notna()) == [row.state == "complete" for row in ROWS]


def test_a_single_objective_has_the_history_of_its_best_value(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", settings=run_settings("accuracy"))
    line = run.plot_history().data[0]
    assert list(line.y) == pytest.approx([90, 90, 90, 95, 95])


def test_without_completed_trials_there_is_no_history(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", [Row("infeasible", None, 0.9)])
    with pytest.raises(RunError, match=f"bneck search {run.folder} --resume"):
        run.plot_history()


@pytest.mark.parametrize("plot", ["plot_importance", "plot_ablation"])
def test_few_networks_have_no_ablation(tmp_path: Path, plot: str) -> None:
    run = example_run(tmp_path / "run")
    with pytest.raises(RunError, match=r"at least 20 trained networks, got 4"):
        getattr(run, plot)()


def test_a_network_has_the_weights_of_its_checkpoint(run: Run) -> None:
    network = run.network(5)
    assert not network.training
    expected = load_trained_network(network.architecture, run.checkpoint(network.architecture))
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_a_network_without_weights_or_trial_is_refused(run: Run) -> None:
    with pytest.raises(RunError, match="not found"):
        run.network(0)
    with pytest.raises(RunError, match="no trial '99'"):
        run.network(99)


def test_an_unknown_export_format_writes_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'tflite'"):
        run.export("best", ["config", "tflite"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
