import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState

from bneck.evaluate import Latency, LatencySetup, parse_goals
from bneck.evaluate.latency.meter import LatencyMeter
from bneck.evaluate.trust import trusting
from bneck.results import Run
from bneck.results.store.fidelities import Rungs
from bneck.search.parallel.lock import run_lock
from bneck.search.resolve.environment import numbered_run_directory
from bneck.search.resolve.evaluators import resolve_evaluator
from bneck.search.resolve.requests import SearchRequest
from bneck.search.runner import session, worker
from bneck.search.runner.create import create_run, default_replicates
from bneck.search.runner.latency_policy import LatencyStrategy
from bneck.search.runner.ledger import Ledger
from bneck.search.runner.loop import run_trials
from bneck.search.runner.proposer import Proposer
from bneck.search.runner.session import resume, run_session
from bneck.search.runner.worker import Worker
from bneck.search.samplers.feasibility import require_feasible_latency
from bneck.search_space import (
    BackendError,
    FileFormatError,
    GoalError,
    NoFeasibleNetworkError,
    RunError,
    UnknownNameError,
    cost,
    preset_yaml,
)

from ..helpers import (
    SMALL,
    FakePool,
    Shown,
    fake_accuracy,
    fake_device,
    fake_model,
    fake_run,
    fresh_pools,
    give_model,
    run_on_disk,
)

TWO = """\
bneck: space/1
name: two
resolution_px: 8
stem: {out: 8}
stages:
  - {out: 8, kernel: [3, 5], expansion: 2}
head: {features: 16}
"""
PLAIN = SearchRequest(
    space="two.yaml",
    n_trials=4,
    epochs=3,
    seed=5,
    sampler="random",
    baselines=(),
    latency_backend="fake",
    reference_model="mobilenet_v3_small@0.35@8px",
    batch_size=32,
    learning_rate=0.05,
    train_images=100,
    validation_images=50,
    device="cpu",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with `two.yaml`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(TWO, encoding="utf-8")
    return tmp_path


def requested(**changes: Any) -> SearchRequest:
    return replace(PLAIN, **changes)


def ask_one(run: Run) -> optuna.Trial:
    """A trial that is under way."""
    distributions: dict[str, BaseDistribution] = {
        gene.name: CategoricalDistribution(gene.choices) for gene in run.settings.space.genes
    }
    return run.study.ask(distributions)


def test_what_was_asked_for_is_what_the_run_keeps(here: Path) -> None:
    run = create_run(requested(max_macs="20K", max_params="5K", max_latency="3x"))
    kept = Run.open(run.folder).settings
    assert kept == run.settings
    assert kept.goals == parse_goals("accuracy,latency", {"macs": "20K", "params": "5K", "latency": "3x"})
    assert (kept.n_trials, kept.seed, kept.sampler, kept.torch_device) == (4, 5, "random", "cpu")
    recipe = kept.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (3, 32, 0.05)
    assert (kept.data.train_images, kept.data.validation_images) == (100, 50)
    assert kept.data.class_names == tuple("0123456789")
    # the space takes the data's grey images and ten classes, whatever its file says
    assert (kept.space.name, kept.space.image_channels, kept.space.classes) == ("two", 1, 10)
    assert kept.latency.reference_ms > 0
    unit = kept.latency.panel.networks["mobilenet_v3_small@0.35@8px"]
    assert (kept.latency.reference, unit.resolution_px, unit.classes) == (
        "mobilenet_v3_small@0.35@8px",
        8,
        10,
    )
    assert kept.versions["optuna"] == optuna.__version__


def test_latency_is_held_against_a_panel_that_takes_the_images_of_the_search(here: Path) -> None:
    setup = Run.open(create_run(requested(latency_threads=2)).folder).settings.latency
    assert (setup.backend, setup.reference) == ("fake", "mobilenet_v3_small@0.35@8px")
    assert (setup.device.processor, setup.device.threads, setup.device.batch_size) == (
        "simulated",
        2,
        1,
    )
    networks = setup.panel.networks
    # by MACs, and the reference besides small, medium and large
    assert list(networks) == [
        "mobilenet_v3_small@0.35@8px",
        "mobilenet_v3_small@0.5",
        "mobilenet_v3_small",
        "mobilenet_v3_large",
    ]
    images = {(each.resolution_px, each.image_channels, each.classes) for each in networks.values()}
    assert images == {(8, 1, 10)}
    # a MAC takes a tenth of a nanosecond and a layer a microsecond, by two threads; runs jitter by 1%
    expected = {name: cost(each).macs * 1e-10 + cost(each).depth * 1e-6 for name, each in networks.items()}
    unit = expected["mobilenet_v3_small@0.35@8px"]
    assert setup.reference_ms == pytest.approx(1000 * unit / 2, rel=0.03)
    assert setup.calibration.ratios == {
        name: pytest.approx(seconds / unit, rel=0.03) for name, seconds in expected.items()
    }


def test_all_is_measured_if_that_is_asked_for(here: Path) -> None:
    assert create_run(requested(no_latency_predictor=True)).settings.latency_policy == "measurements"


def model_file(folder: Path, setup: LatencySetup | None = None, space: str = "two") -> Path:
    """A model that predicts 0.3x for every network."""
    path = folder / "model.json"
    replace(fake_model({"network": 0.3}, setup), space=space).save(path)
    return path


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring would fail the test."""

    def measured(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a network was measured")

    monkeypatch.setattr(LatencyMeter, "measure", measured)
    monkeypatch.setattr(LatencyMeter, "calibrate", measured)


@pytest.mark.usefixtures("unmeasured")
def test_a_model_that_was_given_says_what_latencies_are_held_against(here: Path) -> None:
    path = model_file(here)
    run = create_run(requested(latency_predictor=path, latency_backend="openvino", max_latency="0.5x"))
    assert run.settings.latency == fake_device()
    assert run.latency_predictor_file.read_bytes() == path.read_bytes()
    # this device is the one it is of
    assert run.settings.latency_policy == "both"


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    "setup",
    [
        fake_device(processor="a phone"),
        fake_device(runtime="none 2.0"),
        fake_device(system="Android aarch64"),
        replace(fake_device(), backend="command:./on-phone.sh {onnx}"),
    ],
    ids=["processor", "runtime", "system", "command"],
)
@pytest.mark.slow
def test_a_model_of_another_or_of_a_slow_device_stands_alone(here: Path, setup: LatencySetup) -> None:
    with trusting(everything=True):
        run = create_run(requested(latency_predictor=model_file(here, setup)))
    assert (run.settings.latency_policy, run.settings.latency) == ("model", setup)
    assert run.latency_predictor_file.is_file()


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.slow
def test_a_model_of_a_command_stands_alone_even_where_the_command_works(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bneck.evaluate.latency.meter.unavailable_reason", lambda setup: "")
    command = replace(fake_device(), backend="command:./on-phone.sh {onnx}")
    with trusting(everything=True):
        run = create_run(requested(latency_predictor=model_file(here, command)))
    assert run.settings.latency_policy == "model"
    (here / "model.json").unlink()
    assert create_run(requested(latency_predictor=model_file(here))).settings.latency_policy == "both"


@pytest.mark.slow
def test_a_model_whose_runtime_does_not_work_here_stands_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> NoReturn:
        raise BackendError("fake is not installed")

    monkeypatch.setattr("bneck.evaluate.latency.meter.latency_backend", missing)
    assert create_run(requested(latency_predictor=model_file(here))).settings.latency_policy == "model"


def test_a_model_of_another_space_is_refused_and_nothing_is_made(here: Path) -> None:
    path = model_file(here, space="mobile")
    with pytest.raises(GoalError) as raised:
        create_run(requested(latency_predictor=path, out=Path("run")))
    assert str(raised.value) == (
        f"--latency-predictor {path} is of space mobile; "
        "build one: bneck latency-predictor build two.yaml --file FILE"
    )
    assert sorted(each.name for each in here.iterdir()) == ["model.json", "two.yaml"]


@pytest.mark.parametrize("text", [None, "{}", '{"bneck": "latency-model/0"}'])
def test_a_model_that_cannot_be_read_is_refused_and_nothing_is_made(here: Path, text: str | None) -> None:
    path = here / "model.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    before = sorted(here.iterdir())
    with pytest.raises(FileFormatError, match=rf"^{re.escape(str(path))}:"):
        create_run(requested(latency_predictor=path, out=Path("run")))
    assert sorted(here.iterdir()) == before


@pytest.mark.usefixtures("unmeasured")
def test_a_limit_that_the_model_says_nothing_keeps_is_refused(here: Path) -> None:
    with pytest.raises(NoFeasibleNetworkError, match=r"space two .*latency <= 0\.1x"):
        create_run(requested(latency_predictor=model_file(here), max_latency="0.1x", out=Path("run")))
    assert not (here / "run").exists()


def test_the_study_has_the_goals_directions_and_the_genes(here: Path) -> None:
    run = create_run(requested(objectives="macs,accuracy"))
    assert [direction.name for direction in run.study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert run.study.user_attrs["genes"] == {"stage1.block1.kernel": [3, 5]}
    assert run.study.trials == []


@pytest.mark.parametrize(
    ("space", "data", "folder"),
    [
        ("two.yaml", "digits", "two-digits"),
        ("tiny", "folder:a/photos", "tiny-photos"),
        ("tiny", "/a/photos", "tiny-photos"),
    ],
)
def test_a_run_without_a_name_is_called_by_space_and_data_and_counted(
    here: Path, space: str, data: str, folder: str
) -> None:
    request = requested(space=space, data=data)
    numbered = numbered_run_directory(request.space, request.data).candidates()
    assert next(numbered) == Path(f"runs/{folder}-1")
    assert next(numbered) == Path(f"runs/{folder}-2")


@pytest.mark.slow
def test_warm_start_proposes_the_published_networks_first(here: Path) -> None:
    small = preset_yaml("mobile-small").replace("[96, 128, 160, 192, 224]", "[32, 64]")
    (here / "small.yaml").write_text(small, encoding="utf-8")
    run = create_run(requested(space="small.yaml", enqueue_published=True))
    proposer = Proposer(run, Ledger(run))
    first, second, third = (proposer.next() for _ in range(3))
    sources = [each.trial.user_attrs.get("source") for each in (first, second, third)]
    assert sources == ["mobilenet_v3_small at 32 px", "mobilenet_v3_small at 64 px", None]
    expected = run.settings.published_architecture("mobilenet_v3_small")
    assert second.architecture == expected
    assert first.architecture == replace(expected, resolution_px=32)


@pytest.mark.slow
def test_a_storage_of_ones_own_is_used_and_the_folder_has_no_study(here: Path) -> None:
    url = f"sqlite:///{here / 'all.db'}"
    run = create_run(requested(storage=url))
    assert optuna.get_all_study_names(url) == [run.settings.study]
    assert not (run.folder / "study.db").exists()
    assert Run.open(run.folder, trust=True).study.study_name == run.settings.study


@pytest.mark.parametrize("url", ["nonsense://x", "sqlite:////nowhere/x.db"])
def test_a_storage_that_cannot_be_used_leaves_nothing_behind(here: Path, url: str) -> None:
    with pytest.raises(RunError, match=re.escape(url)):
        create_run(requested(out=Path("run"), storage=url))
    assert sorted(path.name for path in here.iterdir()) == ["two.yaml"]


def one(ratio: float, low: float, high: float) -> tuple[Any, Latency]:
    network = SMALL.decode({gene.name: gene.choices[0] for gene in SMALL.genes})
    return network, Latency(ratio, low, high, 2 * ratio, "ok")


def fast_enough(limit: str, *measured: tuple[Any, Latency]) -> bool:
    try:
        require_feasible_latency(SMALL, parse_goals("accuracy", {"latency": limit}), list(measured))
    except NoFeasibleNetworkError:
        return False
    return True


@pytest.mark.parametrize(
    ("limit", "enough"),
    [
        # 0.5x with an interval from 0.4x, and 1 ms with one from 0.8 ms
        ("0.41x", True),
        ("0.4x", True),
        ("0.39x", False),
        ("0.81ms", True),
        ("0.79ms", False),
    ],
)
def test_a_limit_below_the_interval_of_the_fastest_cannot_be_met(limit: str, enough: bool) -> None:
    assert fast_enough(limit, one(0.5, 0.4, 0.6), one(0.9, 0.8, 1.0)) is enough
    assert fast_enough(limit, one(0.9, 0.8, 1.0), one(0.5, 0.4, 0.6)) is enough


def test_the_refusal_names_the_networks_measured_and_a_limit_that_would_do() -> None:
    with pytest.raises(NoFeasibleNetworkError) as raised:
        require_feasible_latency(
            SMALL,
            parse_goals("accuracy", {"latency": "0.1x", "macs": "1M"}),
            [one(0.9, 0.8, 1.0), one(0.5, 0.4, 0.6)],
        )
    key = one(0.5, 0.4, 0.6)[0].key
    for words in ("space small", "latency <= 0.1x", f"{key} (1ms, 0.5x); {key} (1.8ms, 0.9x)"):
        assert words in str(raised.value)
    assert str(raised.value).endswith("--max-latency to at least 0.6x")


@pytest.mark.parametrize("unit", ["x", "ms"])
def test_relaxing_to_the_latency_named_helps_where_the_interval_is_narrow(unit: str) -> None:
    measured = one(0.12021, 0.1202, 0.12021)
    with pytest.raises(NoFeasibleNetworkError) as raised:
        require_feasible_latency(SMALL, parse_goals("accuracy", {"latency": f"0.01{unit}"}), [measured])
    assert fast_enough(str(raised.value).split()[-1], measured)


def test_without_a_limit_on_latency_nothing_is_refused() -> None:
    require_feasible_latency(SMALL, parse_goals("accuracy", {"macs": "1K"}), [one(9.0, 9.0, 9.0)])
    require_feasible_latency(SMALL, parse_goals("accuracy", {"latency": "0.1x"}), [])


@pytest.mark.parametrize(
    ("trials", "expected"), [(1, 0), (5, 1), (19, 3), (20, 6), (30, 6), (35, 7), (60, 12), (200, 40)]
)
def test_about_a_fifth_of_the_trials_are_repeats_and_six_at_least(trials: int, expected: int) -> None:
    assert (
        default_replicates(trials, "train")
        == default_replicates(trials, "finetuned-supernet:/a.st")
        == expected
    )
    assert default_replicates(trials, "supernet:/a.st") == default_replicates(trials, "table:/a.csv") == 0


@pytest.mark.parametrize("name", ["naswot", "macs", "depth"])
def test_a_scorer_that_tells_no_accuracy_is_refused_with_those_that_do(here: Path, name: str) -> None:
    with pytest.raises(GoalError) as raised:
        create_run(replace(PLAIN, evaluator=name))
    for word in (f"--evaluator {name}", "train", "supernet:FILE", "finetuned-supernet:FILE", "table:FILE"):
        assert word in str(raised.value)


def test_the_files_of_a_scorer_are_kept_with_their_whole_paths(here: Path) -> None:
    assert resolve_evaluator("train") == "train"
    found = resolve_evaluator("supernet:a.st,nets/../b.st")
    assert found == f"supernet:{here / 'a.st'},{here / 'b.st'}"
    with pytest.raises(UnknownNameError, match="unknown evaluator 'supernet'; "):
        resolve_evaluator("supernet")


def test_a_scorer_whose_file_is_missing_is_told_before_anything_is_made(here: Path) -> None:
    with pytest.raises(FileFormatError, match=r"scores\.csv: cannot be read"):
        create_run(replace(PLAIN, evaluator="table:scores.csv", out=Path("run")))
    assert not (here / "run").exists()


def test_trainings_stop_early_only_where_the_scorer_trains(here: Path) -> None:
    halving = replace(PLAIN, epochs=8, min_epochs=2, out=Path("run"))
    with pytest.raises(GoalError, match=r"--min-epochs needs --evaluator train, got table:scores\.csv"):
        create_run(replace(halving, evaluator="table:scores.csv"))
    assert not (here / "run").exists()
    kept = Run.open(create_run(halving).folder).settings
    assert (kept.rungs, kept.recipe.epochs) == (Rungs((2, 4, 8)), 8)


def test_a_run_keeps_its_scorer_and_its_repeats(here: Path) -> None:
    (here / "scores.csv").write_text("key,top1\n", encoding="utf-8")
    run = create_run(replace(PLAIN, evaluator="table:scores.csv", replicates=3, out=Path("run")))
    kept = Run.open(run.folder).settings
    assert (kept.evaluator, kept.replicates) == (f"table:{here / 'scores.csv'}", 3)


def test_going_on_may_have_other_repeats(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run", replicates=4)
    assert resume(run.folder, None).settings.replicates == 4
    assert resume(run.folder, None, 9).settings.replicates == 9
    assert Run.open(run.folder).settings.replicates == 9


@pytest.mark.slow
def test_a_trial_that_was_cut_off_is_proposed_once_more(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=3)
    proposer = Proposer(run, Ledger(run))
    proposer.enqueue({gene.name: gene.choices[0] for gene in SMALL.genes}, "mobilenet_v2 at 8 px")
    cut_off = proposer.next()
    resumed = resume(run.folder, None)
    assert resumed.study.trials[0].state == TrialState.FAIL
    again = Proposer(resumed, Ledger(resumed)).next()
    assert again.architecture == cut_off.architecture
    assert again.trial.number != cut_off.trial.number
    assert again.trial.user_attrs["source"] == "mobilenet_v2 at 8 px"


def test_going_on_loses_nothing_judges_nothing_twice_and_ends_at_the_total(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=4)
    run_trials(run, FakePool(run), Shown())
    before = run.records()
    cut_off = [SMALL.decode(ask_one(run).params).key for _ in range(2)]
    resumed = resume(run.folder, 9)
    assert resumed.settings.n_trials == 9
    run_trials(resumed, FakePool(resumed), Shown())
    after = [record for record in resumed.records() if record.state == "complete"]
    assert after[:4] == [record for record in before if record.state == "complete"]
    keys = [record.key for record in after]
    assert len(set(keys)) == len(keys) == 9
    assert set(cut_off) <= set(keys)
    assert all(record.accuracy == fake_accuracy(record.architecture) for record in after)


@pytest.mark.slow
def test_going_on_twice_before_the_cut_off_trial_was_proposed_does_not_double_it(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    ask_one(run)
    for _ in range(3):
        resume(run.folder, None)
    waiting = [trial for trial in run.study.trials if trial.state == TrialState.WAITING]
    assert len(waiting) == 1


def test_a_trial_that_was_cut_off_before_it_had_all_its_genes_is_dropped(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    gene = SMALL.genes[0]
    run.study.ask({gene.name: CategoricalDistribution(gene.choices)})
    resumed = resume(run.folder, None)
    assert [trial.state for trial in resumed.study.trials] == [TrialState.FAIL]
    assert resumed.records() == []


def test_a_cut_off_trial_is_told_interrupted(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    ask_one(run)
    [before] = run.records()
    [after, waiting] = resume(run.folder, None).records()
    assert (before.state, after.state, waiting.state) == ("running", "interrupted", "enqueued")


def test_a_verdict_that_was_not_told_any_more_is_told_on_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=4)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(optuna.Study, "tell", killed)
        run_trials(run, FakePool(run), Shown())
    assert [trial.state for trial in run.study.trials] == [TrialState.RUNNING]
    resumed = resume(run.folder, None)
    [record] = resumed.records()
    [trial] = resumed.study.trials
    assert (record.state, trial.state) == ("complete", TrialState.COMPLETE)
    assert record.accuracy is not None
    assert record.latency is not None
    assert trial.values == [record.accuracy.top1, record.latency.latency_ms]


@pytest.mark.slow
def test_a_total_below_what_is_judged_is_refused(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=4)
    run_trials(run, FakePool(run), Shown())
    with pytest.raises(RunError, match=r"4 networks .*--n-trials must be at least that, got 3"):
        resume(run.folder, 3)
    assert Run.open(run.folder).settings.n_trials == 4


@pytest.mark.slow
def test_without_a_new_total_the_old_one_stays(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=17)
    assert resume(run.folder, None).settings == run.settings


def test_a_folder_without_a_run_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a search run \(no run\.yaml\)"):
        resume(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_second_search_in_the_same_folder_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    with run_lock(run), pytest.raises(RunError, match="another process is searching there"):
        run_session(run, 1, Shown())
    with run_lock(run):
        pass


def test_an_error_frees_the_folder(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    with pytest.raises(ZeroDivisionError), run_lock(run):
        raise ZeroDivisionError
    with run_lock(run):
        pass


def test_going_on_leaves_a_search_alone_that_still_runs(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run")
    ask_one(run)
    with run_lock(run), pytest.raises(RunError, match="another process is searching there"):
        run_session(resume(run.folder, None), 1, Shown())
    assert [trial.state for trial in run.study.trials] == [TrialState.RUNNING]


def test_going_on_keeps_the_model_and_what_it_is_of(tmp_path: Path) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=4, latency_policy="model")
    model = give_model(run, 0.3)
    resumed = resume(run.folder, 9)
    assert (resumed.settings.latency_policy, resumed.settings.latency) == ("model", fake_device())
    assert LatencyStrategy.of(resumed).model == model


class MeasuringPool(FakePool):
    """Trains by the fakes and measures for real."""

    def __init__(self, run: Run, workers: int, start: object = None) -> None:
        super().__init__(run, workers, latency_of=lambda network: Worker(run).measure(network))


@pytest.mark.slow
@pytest.mark.parametrize("latency_policy", ["measurements", "both"])
def test_going_on_on_another_device_is_refused_with_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latency_policy: str
) -> None:
    opened: list[MeasuringPool] = []

    def pool(run: Run, workers: int, start: object = None) -> MeasuringPool:
        opened.append(MeasuringPool(run, workers))
        return opened[-1]

    monkeypatch.setattr(session, "open_pool", pool)
    elsewhere = fake_device(processor="a phone")
    run = run_on_disk(tmp_path / "run", latency=elsewhere, latency_policy=latency_policy)
    with pytest.raises(BackendError) as raised:
        run_session(resume(run.folder, None), 1, Shown())
    assert "(processor: a phone != simulated)" in str(raised.value)
    assert opened == []
    assert run.verifications() == {}


def test_going_on_on_another_device_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[MeasuringPool] = []

    def pool(run: Run, workers: int, start: object = None) -> MeasuringPool:
        opened.append(MeasuringPool(run, workers))
        return opened[-1]

    monkeypatch.setattr(session, "open_pool", pool)
    run = run_on_disk(tmp_path / "run", latency=fake_device(processor="a phone"))
    give_model(run, 0.3)
    with pytest.raises(BackendError, match="processor: a phone != simulated"):
        run_session(resume(run.folder, None), 1, Shown())
    assert [each.asked_for(worker.train_network) for each in opened] in ([], [[]])


@pytest.mark.slow
def test_a_model_that_stands_alone_goes_on_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "open_pool", MeasuringPool)
    pools = fresh_pools(monkeypatch)
    run = run_on_disk(
        tmp_path / "run", n_trials=3, latency=fake_device(processor="a phone"), latency_policy="model"
    )
    give_model(run, 0.3)
    shown = Shown()
    run_session(resume(run.folder, None), 1, shown)
    assert [record.state for record in run.records()] == ["complete"] * 3
    assert pools.opened == []
    assert {check.latency for check in run.verifications().values()} == {None}
    assert "processor: a phone != simulated" in "".join(shown.lines)


def test_what_steps_forward_when_a_network_is_dropped_is_trained_again_and_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    trained = iter([3, 1, 0])

    def replicate_front(*_: object) -> int:
        calls.append("train again")
        return next(trained)

    monkeypatch.setattr(session, "open_pool", FakePool)
    monkeypatch.setattr(session, "replicate_front", replicate_front)
    monkeypatch.setattr(session, "verify_front", lambda *_: calls.append("check"))
    monkeypatch.setattr("bneck.results.outputs.write_search_results", lambda run: None)
    run_session(fake_run(tmp_path, n_trials=1), 1, Shown())
    assert calls == ["train again", "check", "train again", "check", "train again"]


@pytest.mark.slow
def test_a_search_fits_a_model_then_judges_then_trains_baselines_then_checks_the_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[FakePool] = []

    def pool(run: Run, workers: int, start: object = None) -> FakePool:
        opened.append(FakePool(run, workers))
        return opened[-1]

    monkeypatch.setattr(session, "open_pool", pool)
    fresh = fresh_pools(monkeypatch)
    run = run_on_disk(tmp_path / "run", n_trials=40, replicates=3, baselines=("mobilenet_v2@0.35",))
    shown = Shown()
    run_session(run, 2, shown)
    phases = list(dict.fromkeys(status.phase for status in shown.statuses))
    assert phases == [
        "fitting the latency predictor",
        "evaluating",
        "replicates",
        "baselines",
        "verifying the front",
    ]
    [pool_of_search] = opened
    steps = [asked[0] for asked in pool_of_search.asked]
    assert steps[:30] == [worker.measure] * 30
    # fewer than one measurement for each network judged
    assert steps.count(worker.train_network) == 40
    assert 0 < steps[30:].count(worker.measure) < 40
    assert len(fresh.opened) == 2
    front = run.front()
    assert set(run.verifications()) == {record.key for record in front}
    assert {record.latency.source for record in front if record.latency} == {"measured"}


def test_a_finished_search_leaves_front_configs_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "open_pool", FakePool)
    fresh_pools(monkeypatch)
    run = run_on_disk(tmp_path / "run", n_trials=6, baselines=("mobilenet_v2@0.35",))
    stale = run.folder / "architectures" / "trial99-000000000000.yaml"
    stale.write_text("from before the front moved", encoding="utf-8")
    run_session(run, 2, Shown())
    front = run.front()
    configs = sorted(path.name for path in (run.folder / "architectures").iterdir())
    assert configs == sorted(f"trial{record.trial}-{record.key}.yaml" for record in front)
    rows = (run.folder / "front.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [[str(record.trial), record.key] for record in front]
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert all(record.key in page for record in front)
    assert [baseline.name for baseline in run.baselines()] == ["mobilenet_v2@0.35"]
    assert set(run.verifications()) == {record.key for record in front}


@pytest.mark.parametrize(
    ("side", "available", "asked", "expected"),
    [
        (64, ("efficientnet_lite0",), None, True),
        (63, ("efficientnet_lite0",), None, False),
        (64, (), None, False),
        (64, ("efficientnet_lite0",), (), False),
        (8, ("efficientnet_lite0",), ("pretrained",), True),
        (64, (), ("pretrained",), None),
    ],
)
def test_a_search_from_scratch_on_photos_is_compared_with_the_largest_pretrained_network_within_the_limits(
    side: int,
    available: tuple[str, ...],
    asked: tuple[str, ...] | None,
    expected: bool | None,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bneck.evaluate.training.pretrained.available_pretrained", lambda: available)
    monkeypatch.setattr("bneck.search.runner.create.typical_side_px", lambda data: side)
    request = requested(baselines=asked, max_macs="30M")
    if expected is None:
        with pytest.raises(GoalError, match="no pretrained network is on this machine"):
            create_run(request)
        return
    settings = create_run(request).settings
    found = [name for name in settings.baselines if name.startswith("pretrained:")]
    assert len(found) == expected
    # 48 px: 22M MACs (with a stem for one channel a little less); 64 px: 31M
    assert found in ([], ["pretrained:efficientnet_lite0@48px"])
    assert not found or 20e6 < cost(settings.published_architecture(found[0])).macs < 30e6
