"""Faults of the machine: one line each, from injected errors and real ones."""

import errno
import os
import sqlite3
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import IntegrityError, OperationalError

from bneck.search_space import GoalError
from bneck.search_space.errors import MachineError
from bneck.search_space.faults import explained_faults, is_out_of_memory, machine_fault
from bneck.search_space.serialization.atomic_write import write_atomic


def of_sqlite(message: str) -> OperationalError:
    return OperationalError("INSERT INTO trials VALUES (?)", {}, sqlite3.OperationalError(message))


def of_server() -> StorageInternalError:
    """As Optuna wraps the error of a commit."""
    lost = OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly\nmore"))
    try:
        raise StorageInternalError("An exception is raised during the commit.") from lost
    except StorageInternalError as error:
        return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), ("out of memory", "--workers")),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 20 GiB."), ("GPU memory", "--batch-size")),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            ("out of memory",),
        ),
        (RuntimeError("can't start new thread"), ("threads", "ulimit -u")),
        (RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"), ("/dev/shm",)),
        (OSError(errno.ENOSPC, "No space left on device"), ("disk is full",)),
        (OSError(errno.EMFILE, "Too many open files", "/data/a.png"), ("/data/a.png", "ulimit -n")),
        (OSError(errno.EROFS, "Read-only file system", "/runs/x"), ("/runs/x", "read-only")),
        (PermissionError(errno.EACCES, "Permission denied", "/runs/x"), ("/runs/x", "permission denied")),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/runs/x"), ("/runs/x", "No such")),
        (of_sqlite("database or disk is full"), ("disk is full",)),
        (of_sqlite("database is locked"), ("locked by another program",)),
        (of_sqlite("attempt to write a readonly database"), ("cannot be written", "removed")),
        (of_server(), ("does not answer", "server closed the connection unexpectedly")),
        (BrokenProcessPool("terminated abruptly"), ("worker process died", "--workers")),
    ],
)  # fmt: skip
def test_a_fault_of_the_machine_is_one_line_with_a_remedy(error: Exception, words: tuple[str, ...]) -> None:
    fault = machine_fault(error)
    assert fault is not None
    assert "\n" not in fault
    assert "INSERT" not in fault
    assert [word for word in words if word not in fault] == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        ZeroDivisionError(),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        GoalError("no space left on device"),  # a user's words
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
    ],
)
def test_a_defect_is_no_fault_of_the_machine(error: Exception) -> None:
    assert machine_fault(error) is None
    assert not is_out_of_memory(error)


def test_memory_that_is_really_exhausted_is_recognised() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    assert is_out_of_memory(raised.value)
    with pytest.raises(MemoryError) as exhausted:
        bytearray(1 << 60)
    assert is_out_of_memory(exhausted.value)


def test_a_fault_says_what_is_kept_and_how_to_resume(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError) as raised,
        explained_faults("bneck search r --resume", lambda: "3 of 9", tmp_path),
    ):
        raise MemoryError
    words = str(raised.value)
    assert words.startswith("out of memory")
    assert words.endswith("; kept: 3 of 9; resume with: bneck search r --resume")
    assert isinstance(raised.value.__cause__, MemoryError)


def test_a_removed_folder_has_nothing_to_resume(tmp_path: Path) -> None:
    gone = tmp_path / "run"
    with pytest.raises(MachineError) as raised, explained_faults("again", lambda: "3", gone):
        write_atomic(gone / "front.csv", "")
    assert "front.csv cannot be written: No such file" in str(raised.value)
    assert str(raised.value).endswith(f"; {gone} was removed in the meantime")


def test_what_is_kept_may_be_unknown_at_that_moment(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match=r"disk is full; free some space; resume with: again$"),
        explained_faults("again", lambda: os.strerror(1 // 0), tmp_path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_defect_keeps_its_type_and_notes_what_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as raised, explained_faults("again", lambda: "3 of 9", tmp_path):
        raise ZeroDivisionError
    assert raised.value.__notes__ == ["kept: 3 of 9; resume with: again"]


def test_an_error_of_the_user_passes_unchanged(tmp_path: Path) -> None:
    with pytest.raises(GoalError, match=r"^no$"), explained_faults("again", lambda: "3", tmp_path):
        raise GoalError("no") from FileNotFoundError(errno.ENOENT, "No such file or directory", "x.py")
