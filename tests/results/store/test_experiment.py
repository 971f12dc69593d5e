"""The four kinds of folder through their common base."""

from pathlib import Path
from typing import Any

import pytest

from bneck.evaluate import Recipe
from bneck.results import DataSettings
from bneck.results.store.experiment import Experiment, settings_name
from bneck.results.store.netadapt_run import NetAdaptRun
from bneck.results.store.open_experiment import open_experiment
from bneck.results.store.search_run import SearchRun
from bneck.results.store.seed_study import SeedStudy, SeedVarianceSettings
from bneck.results.store.training_run import TrainingRun
from bneck.search_space import BneckError, RunError

from ..example_adaptation import SETTINGS as NETADAPT_SETTINGS
from ..example_adaptation import START
from ..example_run import run_settings
from .test_training_run import SETTINGS as TRAINING_SETTINGS

SEED_STUDY_SETTINGS = SeedVarianceSettings(
    created="2026-01-02T03:04:05",
    space="tiny",
    limits="none",
    networks=(START,),
    seeds=2,
    evaluator="train",
    data=DataSettings("digits"),
    recipe=Recipe(epochs=2),
    n_trials=60,
    torch_device="cpu",
    host={"cpu": "an example"},
    versions={"bneck": "0.1.0"},
)
EXAMPLES: dict[type[Experiment[Any]], Any] = {
    SearchRun: run_settings(),
    TrainingRun: TRAINING_SETTINGS,
    NetAdaptRun: NETADAPT_SETTINGS,
    SeedStudy: SEED_STUDY_SETTINGS,
}
every_kind = pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)


@every_kind
def test_a_created_folder_is_opened_as_its_kind(kind: type[Experiment[Any]], tmp_path: Path) -> None:
    created = kind.create(tmp_path / "x", EXAMPLES[kind])
    opened = open_experiment(tmp_path / "x")
    assert type(opened) is kind
    assert opened == created == kind.open(str(tmp_path / "x"))
    assert settings_name(tmp_path / "x") == kind.SETTINGS_NAME
    assert opened.lock_file == tmp_path / "x" / "lock"


@every_kind
def test_an_existing_folder_is_not_overwritten(kind: type[Experiment[Any]], tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        kind.create(tmp_path, EXAMPLES[kind])
    assert f"{tmp_path} exists" in str(caught.value)
    assert f"{kind.COMMAND} {tmp_path} --resume" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@every_kind
def test_another_kind_of_folder_is_named(kind: type[Experiment[Any]], tmp_path: Path) -> None:
    other = next(each for each in EXAMPLES if each is not kind)
    other.create(tmp_path / "x", EXAMPLES[other])
    with pytest.raises(RunError, match=f"x is not a .* but a .*`{kind.COMMAND}`"):
        kind.open(tmp_path / "x")


@every_kind
def test_another_format_version_is_refused_with_a_remedy(kind: type[Experiment[Any]], tmp_path: Path) -> None:
    path = kind.create(tmp_path / "x", EXAMPLES[kind]).folder / kind.SETTINGS_NAME
    first, *others = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([f"{first}0", *others]), encoding="utf-8")
    with pytest.raises(BneckError, match=rf"{kind.SETTINGS_NAME}:1: bneck: must be .*; use the version"):
        kind.open(tmp_path / "x")


@every_kind
def test_changed_settings_are_saved_on_request(kind: type[Experiment[Any]], tmp_path: Path) -> None:
    created = kind.create(tmp_path / "x", EXAMPLES[kind])
    changed = created.with_settings(created="2030-01-01T00:00:00")
    assert kind.open(tmp_path / "x") == created != changed
    changed.save_settings()
    assert kind.open(tmp_path / "x") == changed


def test_a_result_is_read_back_and_missing_before_the_end(tmp_path: Path) -> None:
    created = SearchRun.create(tmp_path / "x", run_settings())
    assert created.result() is None
    created.save_result({"front": []})
    assert created.result() == {"front": []}


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.yaml, training\.yaml, netadapt\.yaml, seed-variance\.yaml"):
        open_experiment(tmp_path)
