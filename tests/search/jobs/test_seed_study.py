"""`bneck seed-variance`: networks, their order, interruption and resume."""

import json
import math
import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bneck.evaluate import parse_goals
from bneck.evaluate.data.dataset import load_data, subsample
from bneck.evaluate.scorers import EvaluationContext, evaluator
from bneck.results.store.seed_study import SeedStudy, SeedTraining, SeedVarianceSettings
from bneck.search.jobs import seed_study_training as noise_training
from bneck.search.jobs.seed_study import create, train_and_report
from bneck.search.jobs.seed_study_training import TimeoutReachedError, train_all
from bneck.search.parallel.deadline import Deadline
from bneck.search.parallel.lock import run_lock
from bneck.search.resolve.requests import SearchRequest, SeedStudyRequest
from bneck.search.samplers.initial_design import spread_by_macs
from bneck.search_space import Architecture, RunError, cost, load_space
from bneck.search_space.errors import NonFiniteLossError

from ..example_trainings import asks_for_something, files, run
from ..helpers import ONE, FakePool, Shown, bneck

TINY = load_space("tiny").for_data(1, 10)
ANY = parse_goals("accuracy", {})
SMALL = ("--networks", 6, "--seeds", 2, "--epochs", 1, "--train-images", 100, "--max-macs", "300K")
REQUEST = SeedStudyRequest(
    space="tiny",
    networks=6,
    seeds=2,
    evaluator="macs",
    epochs=1,
    max_macs="1M",
    train_images=100,
    device="cpu",
)


@dataclass
class Judges(FakePool):
    """Stands in for the pool: a training is a function of network and seed.

    Attributes:
        stop_after: number of trainings before Ctrl-C.
    """

    asked: list[Any] = field(default_factory=list)
    stop_after: int = 1_000

    def __call__(self, _: Any, workers: int, __: Any) -> "Judges":
        self.workers = workers
        return self

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        assert step is noise_training.train_once
        network, seed = arguments
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append((network.key, seed))
        future: Future[Any] = Future()
        future.set_result(row(network, seed))
        return future


def row(network: Architecture, seed: int) -> SeedTraining:
    macs = cost(network).macs
    top1 = 0.1 * math.log10(macs) + (int(network.key, 16) + seed) % 97 / 1e4
    return SeedTraining(network.key, macs, seed, top1, top1, 1 - top1, 0.5)


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> Judges:
    found = Judges(None)
    monkeypatch.setattr(noise_training, "Pool", found)
    return found


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> SeedVarianceSettings:
    return create(replace(REQUEST, out=tmp_path_factory.mktemp("studies") / "study")).settings


@pytest.fixture
def study(tmp_path: Path, settings: SeedVarianceSettings) -> SeedStudy:
    return SeedStudy.create(tmp_path / "study", settings)


# The networks


def test_networks_are_evenly_spaced_in_log_macs() -> None:
    networks = spread_by_macs(TINY, parse_goals("accuracy", {"macs": "2M"}), 12, random.Random(0))
    logs = sorted(math.log(cost(network).macs) for network in networks)
    assert len({network.key for network in networks}) == 12
    assert logs[-1] <= math.log(2e6)
    even = [logs[0] + (logs[-1] - logs[0]) * number / 11 for number in range(12)]
    assert logs == pytest.approx(even, abs=(logs[-1] - logs[0]) / 22)
    assert logs[-1] - logs[0] > math.log(8)


@pytest.mark.parametrize("count", [6, 9])
def test_the_first_half_of_the_networks_spans_the_range(count: int) -> None:
    networks = spread_by_macs(TINY, ANY, count, random.Random(1))
    logs = [math.log(cost(network).macs) for network in networks]
    assert len(logs) == count
    early = logs[: count // 2]
    assert max(early) - min(early) > 0.6 * (max(logs) - min(logs))


def test_the_seed_chooses_the_networks() -> None:
    first, again, other = (spread_by_macs(TINY, ANY, 3, random.Random(seed)) for seed in (3, 3, 4))
    assert first == again != other


def test_a_small_space_gives_all_its_networks() -> None:
    assert len(spread_by_macs(ONE, ANY, 6, random.Random(0))) == 1


# Interruption and resume


def test_all_networks_are_trained_with_one_seed_before_the_next(study: SeedStudy, judges: Judges) -> None:
    train_all(study, 2, Deadline(), Shown())
    keys = [network.key for network in study.settings.networks]
    assert judges.asked == [(key, seed) for seed in (0, 1) for key in keys]
    assert {(each.network, each.seed) for each in study.trainings()} == set(judges.asked)


def test_results_are_saved_unchanged(study: SeedStudy, judges: Judges) -> None:
    train_all(study, 1, Deadline(), Shown())
    expected = [row(network, seed) for seed in (0, 1) for network in study.settings.networks]
    assert SeedStudy.open(study.folder).trainings() == expected


def test_after_ctrl_c_the_study_resumes(study: SeedStudy, judges: Judges) -> None:
    judges.stop_after = 5
    with pytest.raises(KeyboardInterrupt):
        train_all(study, 1, Deadline(), Shown())
    assert 4 <= len(study.trainings()) <= 5
    known = [(each.network, each.seed) for each in study.trainings()]
    judges.asked, judges.stop_after = [], 1_000
    train_all(SeedStudy.open(study.folder), 1, Deadline(), Shown())
    keys = [network.key for network in study.settings.networks]
    assert known + judges.asked == [(key, seed) for seed in (0, 1) for key in keys]


def test_after_the_timeout_finished_runs_remain(study: SeedStudy, judges: Judges) -> None:
    # the clock advances 29 seconds a call, and is called before each training: at 145 of 120 for the fifth
    times = iter(range(0, 3000, 29))
    with pytest.raises(TimeoutReachedError):
        train_all(study, 1, Deadline(2, lambda: next(times)), Shown())
    assert len(study.trainings()) == 4
    shown = Shown()
    train_all(study, 1, Deadline(1000, lambda: 0), shown)
    assert len(study.trainings()) == 12
    assert (shown.statuses[0].done, shown.statuses[-1].done, shown.statuses[-1].total) == (4, 12, 12)


def test_a_training_that_is_not_expected_to_end_in_time_is_not_started(
    study: SeedStudy, judges: Judges
) -> None:
    first, second, *_ = study.settings.networks
    study.save_trainings([replace(row(first, 0), cpu_seconds=40), replace(row(second, 0), cpu_seconds=80)])
    with pytest.raises(TimeoutReachedError):
        train_all(study, 1, Deadline(1, lambda: 1), Shown())  # a minute is left, but for a second
    assert len(judges.asked) == 0


def test_a_second_process_in_the_same_study_is_refused(study: SeedStudy, judges: Judges) -> None:
    with run_lock(study), pytest.raises(RunError, match="another process is training there"):
        train_and_report(study, workers=1, deadline=Deadline(), as_json=False)
    assert study.trainings() == []


def test_a_finished_study_trains_nothing_more(study: SeedStudy, judges: Judges) -> None:
    train_all(study, 1, Deadline(), Shown())
    judges.asked = []
    train_all(study, 1, Deadline(), Shown())
    assert judges.asked == []


def test_more_seeds_are_trained_and_fewer_refused(study: SeedStudy, judges: Judges) -> None:
    train_all(study, 1, Deadline(), Shown())
    judges.asked = []
    train_all(study.with_more_seeds(3), 1, Deadline(), Shown())
    assert {seed for _, seed in judges.asked} == {2}
    assert SeedStudy.open(study.folder).settings.seeds == 3
    with pytest.raises(RunError, match="--seeds must be at least 3, got 2"):
        SeedStudy.open(study.folder).with_more_seeds(2)


def test_too_few_runs_give_an_estimate_of_the_missing_minutes(
    study: SeedStudy, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def soon(*_: object, **__: object) -> None:
        study.save_trainings(row(network, 0) for network in study.settings.networks[:3])
        raise TimeoutReachedError

    # three trainings took six minutes; 6 networks x 2 seeds are nine more
    monkeypatch.setattr("bneck.search.jobs.seed_study.train_all", soon)
    times = iter([0.0, 360.0])
    monkeypatch.setattr("bneck.search.jobs.seed_study.time.monotonic", lambda: next(times))
    with pytest.raises(RunError) as refused:
        train_and_report(study, workers=1, deadline=Deadline(6), as_json=True)
    message = str(refused.value)
    assert "3 training runs finished; 6 networks with 2 seeds are needed" in message
    assert message.endswith(f"bneck seed-variance {study.folder} --resume --timeout 18")


def test_a_damaged_row_is_named(study: SeedStudy) -> None:
    study.save_trainings([row(study.settings.networks[0], 0)])
    with study.trainings_file.open("a", encoding="utf-8") as file:
        file.write("abc,many,0,1,1,1,1,\n")
    with pytest.raises(RunError, match=r"trainings\.csv:3: must have network, macs, .*; remove the row"):
        study.trainings()


def test_a_study_is_read_as_it_was_written(study: SeedStudy) -> None:
    assert SeedStudy.open(study.folder) == study


def test_a_failed_training_is_recorded_and_not_repeated(
    study: SeedStudy, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        name = "train"

        def score(self, architecture: Architecture, seed: int) -> Any:
            raise NonFiniteLossError("the loss of epoch 1 is nan")

    failing = SimpleNamespace(scorer=Failing())
    monkeypatch.setattr(noise_training, "_worker", failing, raising=False)
    failed = noise_training.train_once(study.settings.networks[0], 0)
    assert (failed.error, math.isnan(failed.value)) == ("the loss of epoch 1 is nan", True)
    study.save_trainings([failed])
    train_all(study, 1, Deadline(), Shown())
    assert len(judges.asked) == 11
    assert study.trainings()[0].error == "the loss of epoch 1 is nan"


# The command


@pytest.mark.slow
def test_the_command_prints_the_result_and_writes_its_files(
    tmp_path: Path, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("seed-variance", "tiny", *SMALL)
    assert ran.code == 0
    folder = tmp_path / "runs" / "seed-variance-tiny-digits-1"
    assert files(folder) == [
        "lock",
        "report.html",
        "result.json",
        "seed-variance.yaml",
        "trainings.csv",
    ]
    assert "6 networks x 2 seeds" in ran.out
    assert json.loads((folder / "result.json").read_text(encoding="utf-8"))["verdict_text"] in ran.out
    assert not asks_for_something((folder / "report.html").read_text(encoding="utf-8"))
    again = run("seed-variance", folder, "--resume", "--json")
    assert json.loads(again.out) == json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_defaults_equal_those_of_a_search() -> None:
    study, search = SeedStudyRequest(space="tiny"), SearchRequest()
    assert (study.data, study.device, study.seed) == (search.data, search.device, search.seed)
    assert (study.recipe, study.recipe_overrides) == (search.recipe, search.recipe_overrides)
    assert study.n_trials == search.trials


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere",), "unknown space 'nowhere'"),
        (("tiny", "--evaluator", "taste"), "unknown evaluator 'taste'"),
        (("tiny", "--data", "nothing"), "unknown data set 'nothing'"),
        (("tiny", "--max-macs", "much"), "must be a number above 0 like 600K"),
        (("tiny", "--max-macs", "1K"), "no network of space tiny stays under macs <= 1K"),
        (("two.yaml",), "space two has 2 networks within the limits; 6 are needed"),
        (("tiny", "--out", "there"), "there exists; choose another --out"),
        (("there", "--resume"), "there is not a seed study"),
        (("there", "--resume", "--epochs", "3"), "--epochs cannot change with --resume"),
    ],
)
def test_an_invalid_study_is_refused_without_side_effects(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    text = "bneck: space/1\nname: two\nresolution_px: 8\nstem: {out: 8}\nstages:\n"
    text += "  - {out: 8, kernel: [3, 5], expansion: 2}\nhead: {features: 16}\n"
    (tmp_path / "two.yaml").write_text(text, encoding="utf-8")
    before = files(tmp_path)
    assert told in run("seed-variance", *words).complaint
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "words", [("--networks", "5"), ("--seeds", "1"), ("--timeout", "0"), ("--epochs", "0")]
)
def test_values_below_the_minimum_are_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    ran = run("seed-variance", "tiny", *words, "--out", tmp_path / "study")
    assert ran.code == 2
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_a_study_of_the_digits_equals_direct_evaluation(tmp_path: Path) -> None:
    words = ("seed-variance", "tiny", *SMALL, "--out", "study")
    early = bneck(*words, "--timeout", 0.01, "--workers", 1, cwd=tmp_path)
    assert early.returncode == 2
    assert "6 networks with 2 seeds are needed" in early.stderr
    done = bneck("seed-variance", "study", "--resume", "--json", "--workers", 2, cwd=tmp_path)
    assert (done.returncode, "training 12/12" in done.stderr) == (0, True)
    found = json.loads(done.stdout)
    assert (found["networks"], found["seeds"], found["failed"]) == (6, 2, 0)
    study = SeedStudy.open(tmp_path / "study")
    context = EvaluationContext(subsample(load_data("digits"), train=100), study.settings.recipe)
    network = study.settings.networks[2]
    score = evaluator("train", context).score(network, 1)
    [own] = [each for each in study.trainings() if (each.network, each.seed) == (network.key, 1)]
    assert score.accuracy is not None
    assert (own.accuracy, own.loss) == (score.accuracy.top1, pytest.approx(score.accuracy.loss, abs=1e-6))
