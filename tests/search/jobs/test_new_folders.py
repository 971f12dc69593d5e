"""Every kind of folder is there whole or not at all, whatever stops the process that makes it."""

import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from bneck.evaluate import Recipe
from bneck.evaluate.training.checkpoint import make_checkpoint
from bneck.evaluate.training.trainer import Trainer
from bneck.results.store.new_folder import NumberedFolder, make_folder
from bneck.results.store.open_experiment import open_experiment
from bneck.results.store.seed_study import SeedStudy
from bneck.results.store.training_run import TrainingRun
from bneck.search.jobs.comparison import create_comparison
from bneck.search.jobs.netadapt_request import NetAdaptPlan, create_netadapt_run
from bneck.search.jobs.training_loop import save_start
from bneck.search.parallel.lock import run_lock
from bneck.search.runner import create
from bneck.search.runner.create import make_search_folder
from bneck.search_space import RunError

from ...evaluate.example_training import noise_data, toy
from ...injected_faults import each_fault
from ...results.example_adaptation import SETTINGS as NETADAPT_SETTINGS
from ...results.store.test_experiment import SEED_STUDY_SETTINGS
from ...results.store.test_training_run import SETTINGS as TRAINING_SETTINGS
from ..helpers import fake_model, fake_settings

DATA = noise_data()
TRAINER = Trainer(toy(), DATA, Recipe(), seed=3)
PREDICTOR: dict[str, Path] = {}


@pytest.fixture(scope="module", autouse=True)
def predictor(tmp_path_factory: pytest.TempPathFactory) -> None:
    PREDICTOR["file"] = tmp_path_factory.mktemp("predictor") / "predictor.json"
    fake_model({"network": 0.3}).save(PREDICTOR["file"])


def make_search(out: Path, storage: str = "") -> None:
    make_search_folder(out, fake_settings(storage=storage), PREDICTOR["file"])


def make_training(out: Path) -> None:
    TrainingRun.create(out, TRAINING_SETTINGS, partial(save_start, training=TRAINER))


def make_netadapt(out: Path) -> None:
    start = make_checkpoint(toy(), DATA, Recipe(), 0, ())
    create_netadapt_run(NetAdaptPlan(out, NETADAPT_SETTINGS, DATA, start, None, fake_model({"network": 0.3})))


def make_seed_study(out: Path) -> None:
    SeedStudy.create(out, SEED_STUDY_SETTINGS)


def use(folder: Path) -> object:
    """What resuming begins with."""
    if (folder / "trainings").is_dir():
        return sorted((folder / "trainings").iterdir())
    opened: Any = open_experiment(folder)
    with run_lock(opened):
        match folder.name:
            case "search":
                return opened.records(), opened.latency_predictor_file.read_text()
            case "training":
                return opened.checkpoint().network()
            case "netadapt":
                return opened.network_file(0).read_bytes(), opened.latency_predictor_file.read_text()
    return opened.trainings()


KINDS: dict[str, Callable[[Path], object]] = {
    "search": make_search,
    "training": make_training,
    "netadapt": make_netadapt,
    "seed-study": make_seed_study,
    "comparison": create_comparison,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", [pytest.param("search", marks=pytest.mark.slow), *list(KINDS)[1:]])
def test_a_kill_at_any_step_leaves_a_folder_that_works_or_none(kind: str, tmp_path: Path) -> None:
    for root, _ in each_fault(tmp_path, lambda root: KINDS[kind](root / "runs" / kind)):
        if not (root / "runs" / kind).exists():
            KINDS[kind](root / "runs" / kind)
            assert visible(root / "runs") == [kind]  # what the killed process left is removed
        use(root / "runs" / kind)


@every_kind
def test_a_full_disk_at_any_step_leaves_nothing_and_names_the_folder(kind: str, tmp_path: Path) -> None:
    for root, error in each_fault(tmp_path, lambda root: KINDS[kind](root / kind), full_disk=True, least=2):
        assert isinstance(error, RunError)
        assert re.search("No space left on device|unable to open database file", str(error))
        assert str(root / kind) in str(error)
        assert visible(root) == []


def test_a_folder_that_cannot_be_made_leaves_no_study_in_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/all.db"
    make_search(tmp_path / "first", url)
    [first] = optuna.get_all_study_names(url)

    def enqueue(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(create, "select_transferred_genes", enqueue)
    settings = fake_settings(storage=url, study="second")
    with pytest.raises(KeyboardInterrupt):
        make_search_folder(tmp_path / "second", settings)
    assert optuna.get_all_study_names(url) == [first]
    assert visible(tmp_path) == ["all.db", "first"]


def test_jobs_that_start_together_get_folders_of_their_own(tmp_path: Path) -> None:
    made: list[SeedStudy] = []
    ready = threading.Barrier(8, timeout=60)

    def job(number: int) -> None:
        settings = replace(SEED_STUDY_SETTINGS, created=str(number))
        place = NumberedFolder(tmp_path / "runs" / "tiny-digits")
        made.append(SeedStudy.create(place, settings, lambda _: (ready.wait(), None)[1]))

    jobs = [threading.Thread(target=job, args=(number,)) for number in range(8)]
    for thread in jobs:
        thread.start()
    for thread in jobs:
        thread.join()
    assert sorted(each.folder.name for each in made) == [f"tiny-digits-{number}" for number in range(1, 9)]
    assert visible(tmp_path / "runs") == sorted(each.folder.name for each in made)
    for each in made:
        assert SeedStudy.open(each.folder).settings == each.settings


def test_of_two_jobs_with_one_name_the_second_is_refused(tmp_path: Path) -> None:
    def second(created: SeedStudy) -> None:
        SeedStudy.create(tmp_path / "study", SEED_STUDY_SETTINGS)

    with pytest.raises(RunError, match=r"study exists; .* bneck seed-variance .*study --resume"):
        SeedStudy.create(tmp_path / "study", replace(SEED_STUDY_SETTINGS, created="late"), second)
    assert SeedStudy.open(tmp_path / "study").settings == SEED_STUDY_SETTINGS
    assert visible(tmp_path) == ["study"]


def test_the_first_free_number_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x-1").mkdir()
    (tmp_path / "x-2").symlink_to("nowhere")
    (tmp_path / "x-3").touch()
    place = NumberedFolder(tmp_path / "x")
    assert make_folder(place, lambda _: None, lambda path: RunError(str(path))) == tmp_path / "x-4"


def test_a_process_that_resumes_removes_old_files_of_killed_ones(tmp_path: Path) -> None:
    search = make_search_folder(tmp_path / "run", fake_settings())
    old, new = search.folder / "checkpoints" / ".bneck-1.part", search.folder / ".bneck-2.part"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    with run_lock(search):
        assert (old.exists(), new.exists()) == (False, True)  # the new one may be in use


def test_a_folder_in_the_making_is_not_taken_for_abandoned(tmp_path: Path) -> None:
    def other(created: SeedStudy) -> None:
        SeedStudy.create(tmp_path / "other", SEED_STUDY_SETTINGS)

    SeedStudy.create(tmp_path / "study", SEED_STUDY_SETTINGS, other)
    assert visible(tmp_path) == ["other", "study"]
