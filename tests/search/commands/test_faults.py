"""Faults of the machine, as the command line and the Python API report them."""

import errno
import sqlite3
import sys
from pathlib import Path

import pytest

from bneck.results import Run
from bneck.results.store import storage
from bneck.results.store.training_run import TrainingRun
from bneck.search import run_search
from bneck.search.cli import main
from bneck.search.jobs import training_session
from bneck.search.runner import session
from bneck.search_space.errors import MachineError

from ...evaluate.example_training import PLAIN
from ..example_training_folder import begun
from ..helpers import run_on_disk

FULL = OSError(errno.ENOSPC, "No space left on device")


def ended(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["bneck", *map(str, words)])
    with pytest.raises(SystemExit) as raised:
        main()
    assert isinstance(raised.value.code, int)
    return raised.value.code


def raises(error: Exception) -> object:
    def raise_error(*_: object, **__: object) -> None:
        raise error

    return raise_error


def test_a_search_on_a_full_disk_ends_in_one_line_with_the_resume_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_on_disk(tmp_path / "my run", n_trials=4)
    monkeypatch.setattr(session, "run_session", raises(FULL))
    assert ended(monkeypatch, "search", run.folder, "--resume") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("bneck: the disk is full")
    assert "kept: 0 of 4 networks" in line
    assert line.endswith(f"resume with: bneck search '{run.folder}' --resume")


def test_a_training_without_memory_ends_in_one_line_with_the_resume_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = begun(tmp_path / "training", PLAIN).folder
    monkeypatch.setattr(training_session, "_open_training", lambda *_: (TrainingRun.open(folder), None))
    monkeypatch.setattr(training_session, "_train", raises(MemoryError()))
    assert ended(monkeypatch, "train", folder, "--resume") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("bneck: out of memory")
    assert line.endswith(f"resume with: bneck train {folder} --resume")


def test_run_search_says_how_python_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=4)
    monkeypatch.setattr(session, "run_session", raises(MemoryError()))
    with pytest.raises(
        MachineError, match=r"kept: 0 of 4 networks; resume with: run_search\(resume='.*run'\)$"
    ):
        run_search(resume=run.folder)


def test_a_defect_keeps_its_traceback_and_says_what_is_kept_and_where_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_on_disk(tmp_path / "run", n_trials=4)
    monkeypatch.setattr(session, "run_session", raises(ZeroDivisionError()))
    monkeypatch.setattr(sys, "argv", ["bneck", "search", str(run.folder), "--resume"])
    with pytest.raises(ZeroDivisionError) as raised:
        main()
    kept, report = raised.value.__notes__
    assert kept == f"kept: 0 of 4 networks; resume with: bneck search {run.folder} --resume"
    assert "report" in report


def test_a_locked_database_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert storage.SQLITE_TIMEOUT_S == 60
    monkeypatch.setattr(storage, "SQLITE_TIMEOUT_S", 0.1)
    run = run_on_disk(tmp_path / "run")
    other = sqlite3.connect(run.folder / "study.db", isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        assert ended(monkeypatch, "front", run.folder) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "locked" in line
        other.execute("ROLLBACK")
        opened = Run.open(run.folder)
        assert opened.study.trials == []
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(MachineError, match="locked by another program"):
            opened.records()
    finally:
        other.close()
