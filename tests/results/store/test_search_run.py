from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from bneck.evaluate import Constraint, Latency, parse_goals
from bneck.results import Run, Verification
from bneck.search_space import RunError, cost, load_space

from ..example_run import BASELINE, ROWS, SPACE, Row, baseline, check, example_run, genes, run_settings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """To read only."""
    return example_run(tmp_path_factory.mktemp("runs") / "run")


def test_a_new_run_has_its_settings_and_places_for_what_will_be_found(tmp_path: Path) -> None:
    settings = run_settings()
    created = Run.create(tmp_path / "a" / "run", settings)
    assert sorted(path.name for path in created.folder.iterdir()) == [
        "architectures",
        "checkpoints",
        "lock",
        "run.yaml",
    ]
    assert Run.open(tmp_path / "a" / "run") == created == Run(tmp_path / "a" / "run", settings)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match=r"file/run cannot be created: Not a directory"):
        Run.create(tmp_path / "file" / "run", run_settings())


@pytest.mark.parametrize("kind", ["missing", "empty folder", "file"])
def test_what_is_no_run_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "empty folder":
        path.mkdir()
    if kind == "file":
        path.write_text("", encoding="utf-8")
    with pytest.raises(RunError, match=r"x is not a search run \(no run\.yaml\); .*`bneck search`"):
        Run.open(path)


def test_a_study_that_is_missing_is_named(tmp_path: Path) -> None:
    created = Run.create(tmp_path / "run", run_settings())
    with pytest.raises(RunError, match=r"/run/study\.db: the database of the study is missing"):
        Run.open(created.folder).records()
    assert not (created.folder / "study.db").exists()


def test_a_broken_study_is_no_traceback(tmp_path: Path) -> None:
    created = Run.create(tmp_path / "run", run_settings())
    (created.folder / "study.db").write_text("this is no database", encoding="utf-8")
    with pytest.raises(RunError, match=r"run: cannot open sqlite:///.*: .*not a database"):
        created.records()


def test_a_study_of_another_space_is_refused(run: Run) -> None:
    other = Run(run.folder, replace(run_settings(), space=load_space("mobile-32")))
    with pytest.raises(RunError, match=r"space mobile-32 in run\.yaml"):
        other.records()


def test_a_study_with_one_choice_less_is_of_another_space(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", [])
    known = {gene.name: list(gene.choices) for gene in SPACE.genes}
    known["stage1.out"] = known["stage1.out"][:1]
    run.study.set_user_attr("genes", known)
    with pytest.raises(RunError, match=r"space tiny in run\.yaml"):
        Run.open(run.folder).records()


def test_the_study_lies_in_the_folder_unless_another_storage_is_given(tmp_path: Path) -> None:
    assert Run(tmp_path / "run", run_settings()).storage_url == f"sqlite:///{tmp_path}/run/study.db"
    elsewhere = replace(run_settings(), storage="postgresql://host/bneck")
    assert Run(tmp_path, elsewhere).storage_url == "postgresql://host/bneck"


def test_a_run_opened_by_a_relative_path_finds_its_study_from_anywhere(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.folder.parent)
    opened = Run.open(Path("run"))
    assert opened.storage_url == f"sqlite:///{run.folder}/study.db"
    assert len(opened.records()) == len(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["a b", "50%", "#1", "é", "what?", "50%20"],
)
def test_the_study_lies_in_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    run = example_run(tmp_path / name, [Row("complete", 0.9, 0.3)])
    assert (tmp_path / name / "study.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(Run.open(run.folder).records()) == 1


def test_the_records_are_the_trials_in_order(run: Run) -> None:
    records = run.records()
    assert [record.trial for record in records] == list(range(len(ROWS)))
    assert [record.state for record in records] == [row.state for row in ROWS]
    assert [record.architecture for record in records] == [SPACE.decode(genes(n)) for n in range(len(ROWS))]


def test_a_trial_that_has_no_genes_yet_is_left_out(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", ROWS[:2])
    run.study.ask()
    assert [record.trial for record in run.records()] == [0, 1]


def test_the_front_is_that_of_the_runs_objectives(run: Run) -> None:
    assert [record.trial for record in run.front()] == [2, 0, 5]
    single = Run(run.folder, run_settings("accuracy"))
    assert [record.trial for record in single.front()] == [5]


def test_one_trial_by_its_number_or_as_the_best(run: Run) -> None:
    assert run.record("4").trial == 4
    # 95%; trial 6 was not trained
    assert run.record("best").trial == 5


@pytest.mark.parametrize("name", ["7", "-1", "x", "", "4.0", "04", "Best"])
def test_a_trial_that_is_not_there_is_told_with_where_to_look(run: Run, name: str) -> None:
    with pytest.raises(RunError, match=rf"run has no trial '{name}'; .*`bneck front .*/run`"):
        run.record(name)


def test_without_a_judged_network_there_is_no_best(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run", [Row("infeasible", None, 0.9)])
    with pytest.raises(RunError, match="no trial is complete"):
        run.record("best")
    assert run.front() == []


def test_second_looks_and_baselines_come_back_as_they_were(tmp_path: Path) -> None:
    key = SPACE.decode(genes(0)).key
    verifications = {key: check(0.31, 0.88)}
    run = example_run(tmp_path / "run", baselines=[baseline()], verifications=verifications)
    assert run.verifications() == verifications
    assert run.baselines() == [baseline()]
    [opened] = run.baselines()
    assert opened.cost == cost(baseline().architecture)
    assert opened.name == BASELINE


def test_a_second_look_without_a_device_comes_back_without_a_latency(tmp_path: Path) -> None:
    unmeasured = Verification(None, None, 0.88, 0.4, 600)
    run = example_run(tmp_path / "run", verifications={SPACE.decode(genes(0)).key: unmeasured})
    assert list(run.verifications().values()) == [unmeasured]
    assert run.failed_verification() == set()


@pytest.mark.parametrize(
    ("limit", "satisfies_limits"),
    [
        # measured again at 0.45x, 0.9 ms of 2; with 95% confidence under 0.48x, which is 0.96 ms
        ("0.48x", True),
        ("0.479x", False),
        ("0.46x", False),
        ("0.961ms", True),
        ("0.959ms", False),
    ],
)
def test_a_limit_is_kept_if_the_upper_bound_keeps_it(limit: str, satisfies_limits: bool) -> None:
    found = check(0.45, 0.9, ratio_upper=0.48)
    assert found.satisfies_limits(parse_goals("accuracy", {"latency": limit})) is satisfies_limits


def test_milliseconds_of_a_bound_are_those_of_the_latency_it_belongs_to() -> None:
    # 3 ms at 0.5x: the unit takes 6 ms by now, and the bound of 0.6x is 3.6 ms
    found = replace(check(0.45, 0.9, ratio_upper=0.6), latency=Latency(0.5, 0.4, 0.6, 3.0, "ok"))
    assert found.satisfies_limits(parse_goals("accuracy", {"latency": "3.61ms"}))
    assert not found.satisfies_limits(parse_goals("accuracy", {"latency": "3.59ms"}))


def test_a_limit_on_latency_alone_can_drop_a_network() -> None:
    slow = check(9.0, 0.9, ratio_upper=9.5)
    assert slow.satisfies_limits(parse_goals("accuracy", {"macs": "1K", "params": "1K"}))
    assert not slow.satisfies_limits(parse_goals("accuracy", {"macs": "1G", "latency": "9x"}))


def test_what_was_not_measured_again_is_not_dropped() -> None:
    strict = parse_goals("accuracy", {"latency": "0.001x"})
    assert Verification(None, None, 0.9, 0.4, 600).satisfies_limits(strict)


@pytest.mark.slow
def test_a_dropped_network_leaves_the_front_and_the_one_it_beat_steps_forward(tmp_path: Path) -> None:
    # the front is 2, 0 and 5; 0 (90% at 0.6 ms) beats 4 (85% at 0.7 ms)
    keys = [SPACE.decode(genes(number)).key for number in range(len(ROWS))]
    verifications = {keys[0]: check(0.48, 0.9, ratio_upper=0.51), keys[5]: check(0.45, 0.9, ratio_upper=0.49)}
    run = example_run(tmp_path / "run", verifications=verifications)
    assert run.failed_verification() == {keys[0]}
    assert [record.trial for record in run.front()] == [2, 4, 5]
    # it was judged all the same
    assert run.record("0").state == "complete"


def test_the_best_is_none_of_those_that_were_dropped(tmp_path: Path) -> None:
    # `bneck search` ends with the command that exports it
    key = SPACE.decode(genes(5)).key
    run = example_run(tmp_path / "run", verifications={key: check(0.48, 0.9, ratio_upper=0.51)})
    assert run.record("best").trial == 0


def test_the_latency_model_lies_in_the_folder(run: Run) -> None:
    assert run.latency_predictor_file == run.folder / "latency-predictor.json"


def test_a_run_without_second_looks_and_baselines_has_none(run: Run) -> None:
    assert (run.verifications(), run.baselines()) == ({}, [])


def test_every_network_has_a_checkpoint_of_its_own(run: Run) -> None:
    paths = {run.checkpoint(record.architecture) for record in run.records()}
    assert len(paths) == len(ROWS)
    network = run.records()[0].architecture
    assert run.checkpoint(network) == run.folder / "checkpoints" / f"{network.key}.safetensors"


def test_limits_do_not_change_what_a_run_reads(run: Run) -> None:
    # what was told infeasible stays so: states are read, not worked out anew
    loose = replace(run.settings.goals, constraints=(Constraint("latency", 100.0, "x"),))
    opened = Run(run.folder, replace(run.settings, goals=loose))
    assert [record.state for record in opened.records()] == [row.state for row in ROWS]


def test_opening_a_run_says_nothing(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    Run.open(run.folder).records()
    assert capfd.readouterr() == ("", "")
