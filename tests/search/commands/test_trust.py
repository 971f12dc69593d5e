"""Folders and files of somebody else: nothing runs, connects or is made unless trusted."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bneck.evaluate import Recipe
from bneck.evaluate.latency.predictor import LatencyPredictor
from bneck.results import Run
from bneck.results.store.training_run import TrainingRun
from bneck.search.cli import app
from bneck.search_space import BneckError, TrustError

from ...results.example_run import example_run
from ..example_training_folder import begun
from ..helpers import fake_device, fake_model

Refused = Callable[..., str]


@pytest.fixture
def refused() -> Iterator[Refused]:
    """Calls a command that must be refused; gives the message."""

    def call(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert isinstance(result.exception, BneckError), result.output
        message = str(result.exception)
        assert "\n" not in message
        return message

    yield call


@pytest.fixture
def foreign(tmp_path: Path) -> Run:
    return example_run(tmp_path / "run")


def edit(run: Run, old: str, new: str) -> None:
    """Change `run.yaml` as its sender might."""
    file = run.folder / "run.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


READING = ("front", "report", "ablation")


@pytest.mark.parametrize("command", [*READING, "inspect", "export", "evaluate"])
def test_a_reading_command_connects_nowhere_and_makes_no_database(
    refused: Refused, foreign: Run, tmp_path: Path, command: str
) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    edit(foreign, 'storage: ""', f"storage: sqlite:///{elsewhere}")
    run = f"{foreign.folder}#best" if command in ("inspect", "evaluate") else foreign.folder
    extra = ("--trial", "best") if command == "export" else ()
    message = refused(command, run, *extra)
    assert message.startswith(f"{foreign.folder}/run.yaml:")
    assert ": storage: 'sqlite:///" in message
    assert "--trust" in message
    # a trusted database that is missing is not made either
    assert f"{elsewhere}: the database of the study is missing" in refused(command, run, *extra, "--trust")
    assert not elsewhere.exists()


def test_a_server_that_a_file_names_is_not_connected_to(refused: Refused, foreign: Run) -> None:
    edit(foreign, 'storage: ""', "storage: postgresql://ada:s3cret@127.0.0.1:1/x")
    message = refused("front", foreign.folder)
    assert "'postgresql://ada@127.0.0.1:1/x'" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("backend: onnxruntime", "backend: 'command:touch {mark} {{onnx}}'", "latency.backend"),
        ("sampler: tpe", "sampler: mark_module:make", "sampler"),
        ("evaluator: train", "evaluator: mark_module:make", "evaluator"),
        ("name: digits", "name: mark_module:make", "data.name"),
    ],
)
def test_a_resumed_search_runs_no_code_that_only_its_file_names(
    refused: Refused,
    foreign: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    place: str,
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "mark_module.py").write_text(f"open({str(mark)!r}, 'w'); make = 1", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    edit(foreign, old, new.format(mark=mark))
    message = refused("search", foreign.folder, "--resume", "--workers", "1")
    assert f": {place}: '" in message
    assert " again, or --trust" in message
    with pytest.raises(TrustError, match="trust=True"):
        from bneck.search import run_search

        run_search(resume=foreign.folder, progress=False)
    assert not mark.exists()
    assert " --trust" in Run.open(foreign.folder).resume_command
    refused("front", foreign.folder, "--csv", "--json")  # reading needs none of it: the error is another one


def test_a_repeated_value_must_be_the_same(refused: Refused, foreign: Run) -> None:
    message = refused("search", foreign.folder, "--resume", "--sampler", "random")
    assert message.startswith("sampler cannot change")
    assert message.endswith("it is 'tpe'")


def test_a_link_out_of_the_folder_is_not_written_through(
    refused: Refused, foreign: Run, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    (foreign.folder / "lock").unlink(missing_ok=True)
    (foreign.folder / "lock").symlink_to(victim)
    assert "is a link out of the folder" in refused("search", foreign.folder, "--resume")
    refused("search", foreign.folder, "--resume", "--trust")
    assert victim.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    "words", [("search", "tiny"), ("netadapt", "mobilenet_v3_small@0.35", "--max-latency", "0.5x")]
)
def test_the_command_of_a_predictor_is_not_run(
    refused: Refused, tmp_path: Path, words: tuple[str, ...]
) -> None:
    command = f"command:touch {tmp_path}/mark {{onnx}}"
    setup = replace(fake_device(), backend=command)
    file, out = tmp_path / "model.json", tmp_path / "out"
    replace(fake_model({"network": 0.1}, setup), space="tiny").save(file)
    call = (*words, "--data", "digits", "--latency-predictor", file, "--out", out)
    message = refused(*call)
    assert message.startswith(f"{file}:")
    assert f"setup.backend: '{command}'" in message
    other = refused(*call, "--latency-backend", "command:other {onnx}")
    assert "must be that of --latency-predictor" in other
    assert not out.exists()
    assert not (tmp_path / "mark").exists()
    assert type(LatencyPredictor.load(file, trust=True).setup.backend) is str


@pytest.mark.parametrize(
    "words", [("train", "{folder}", "--resume"), ("report", "{folder}"), ("evaluate", "{folder}")]
)
def test_the_data_of_a_training_is_not_imported(
    refused: Refused, tmp_path: Path, words: tuple[str, ...]
) -> None:
    training = begun(tmp_path / "training", Recipe(epochs=1))
    (training.folder / "checkpoint.safetensors").rename(training.folder / "model.safetensors")
    file = training.folder / "training.yaml"
    text = file.read_text(encoding="utf-8").replace("name: noise", "name: os:abort")
    file.write_text(text, encoding="utf-8")
    message = refused(*(word.format(folder=training.folder) for word in words))
    assert f"{file}:" in message
    assert "data.name: 'os:abort' is code to import" in message
    assert TrainingRun.open(training.folder).resume_command.endswith("--resume --trust")


def test_a_run_is_read_in_a_folder_that_cannot_be_written(foreign: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in foreign.folder.rglob("*")}
    for path in before:
        path.chmod(0o500 if path.is_dir() else 0o400)
    foreign.folder.chmod(0o500)
    try:
        assert [record.trial for record in Run.open(foreign.folder).front()] == [2, 0, 5]
    finally:
        foreign.folder.chmod(0o700)
    assert {path: path.stat().st_mtime_ns for path in foreign.folder.rglob("*")} == before


def test_settings_and_study_are_for_their_owner_only(foreign: Run) -> None:
    assert oct((foreign.folder / "run.yaml").stat().st_mode)[-3:] == "600"
