"""The files of finished experiments."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bneck.results.outputs import write_report, write_search_results, write_seed_study_results
from bneck.results.store.seed_study import SeedStudy
from bneck.search_space import RunError, load_architecture

from .example_adaptation import example_adaptation, result
from .example_noise import trainings
from .example_run import example_run
from .store.test_experiment import SEED_STUDY_SETTINGS


@pytest.fixture
def study(tmp_path: Path) -> SeedStudy:
    study = SeedStudy.create(tmp_path / "study", SEED_STUDY_SETTINGS)
    study.save_trainings(trainings())
    return study


def test_a_search_leaves_result_table_configs_and_report(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run")
    stale = run.folder / "architectures" / "trial9-old.yaml"
    stale.touch()
    write_search_results(run)
    names = {f"trial{record.trial}-{record.key}.yaml": record.architecture for record in run.front()}
    configs = sorted((run.folder / "architectures").iterdir())
    assert {path.name: load_architecture(path) for path in configs} == names
    saved = run.result()
    assert saved
    assert [row["trial"] for row in saved["front"]] == [2, 0, 5]
    table = (run.folder / "front.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in table] == ["trial", "2", "0", "5"]
    assert "<html" in run.report_file.read_text(encoding="utf-8")


def test_a_seed_study_leaves_result_and_report(study: SeedStudy) -> None:
    from bneck.results.analysis.seed_noise import analyze_seed_variance

    report = analyze_seed_variance(study.trainings(), study.settings.n_trials)
    assert report
    written = write_seed_study_results(study, report)
    assert study.result() == json.loads(json.dumps(written))
    assert (written["networks"], written["seeds"], written["space"]) == (12, 3, "tiny")
    html = study.report_file.read_text(encoding="utf-8")
    assert "tiny" in html and str(study.trainings_file) in html
    study.report_file.unlink()
    assert write_report(study) == study.report_file
    assert study.report_file.read_text(encoding="utf-8") == html


def test_the_report_of_a_netadapt_run_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = example_adaptation(tmp_path / "a")
    drawn: dict[Path, list[str]] = {}
    monkeypatch.setattr(
        "bneck.results.outputs.write_pngs", lambda figures, folder: drawn.update({folder: list(figures)})
    )
    run.save_result(result())
    write_report(run, tmp_path / "page.html", png_folder=tmp_path / "png")
    assert "expansion of block 2" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert drawn == {tmp_path / "png": ["path-latency", "path-macs"]}
    assert not run.report_file.exists()


def test_without_results_there_is_no_report(tmp_path: Path, study: SeedStudy) -> None:
    run = example_adaptation(tmp_path / "a")
    with pytest.raises(RunError, match=f"bneck netadapt {run.folder} --resume"):
        write_report(run)
    study.save_trainings([replace(trainings()[0])])
    with pytest.raises(RunError, match=f"bneck seed-variance {study.folder} --resume"):
        write_report(study)
