"""Standard output that lacks characters, readers or space."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TextIO

import pytest
import typer

from bneck.search.console.interrupts import explained_interrupt
from bneck.search.console.streams import closed_streams_explained, prepare_streams
from bneck.search.jobs.job import resumable


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", b"87 +/-2 us \\u65e5"),
        ("cp1252", b"87 \xb12 \xb5s \\u65e5"),
        ("utf-8", "87 ±2 µs 日".encode()),
    ],
)
def test_characters_that_an_encoding_lacks_are_replaced(
    encoding: str, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    prepare_streams()
    print("87 ±2 µs 日", end="", flush=True)
    assert written.getvalue() == expected


@contextmanager
def standard_output(file: TextIO) -> Iterator[None]:
    """Have a file as sys.stdout; closed without a word about what it could not write."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", file)
            yield
    finally:
        with suppress(OSError):
            file.close()


def closed_pipe() -> AbstractContextManager[None]:
    """Have a pipe without a reader as sys.stdout."""
    ours, theirs = os.pipe()
    os.close(ours)
    return standard_output(os.fdopen(theirs, "w"))


def test_a_reader_that_is_gone_ends_a_command_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, closed_pipe(), closed_streams_explained():
        print("a line")
    assert ended.value.code == 141
    assert capsys.readouterr().err == ""


def test_a_reader_that_is_gone_in_the_middle_ends_a_command_quietly(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended, closed_pipe(), explained_interrupt():
        print("a line", flush=True)
    assert ended.value.exit_code == 141
    assert capsys.readouterr().err == ""


def test_a_long_command_whose_reader_is_gone_says_how_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(typer.Exit) as ended,
        closed_pipe(),
        resumable("bneck train t --resume", lambda: "3 of 10 epochs"),
    ):
        print("a line", flush=True)
    assert ended.value.exit_code == 141
    assert "3 of 10 epochs" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_output_to_a_full_disk_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    full = standard_output(os.fdopen(os.open("/dev/full", os.O_WRONLY), "w"))
    with pytest.raises(SystemExit) as ended, full, closed_streams_explained():
        print("a line")
    assert ended.value.code == 2
    assert "No space left on device" in capsys.readouterr().err


def test_without_standard_output_commands_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    prepare_streams()
    with closed_streams_explained():
        print("a line")
