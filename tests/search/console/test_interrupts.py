"""SIGTERM and SIGHUP do what Ctrl-C does."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from bneck.search.console.interrupts import (
    TERMINATION,
    explained_interrupt,
    handle_termination,
    interrupted_exit_code,
)

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
every_signal = pytest.mark.parametrize(("number", "code"), CODES.items(), ids=[each.name for each in CODES])


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *TERMINATION)}
    for number in TERMINATION:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@every_signal
def test_each_signal_interrupts_and_has_its_exit_code(
    number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    handle_termination()
    with pytest.raises(typer.Exit) as ended, explained_interrupt():
        signal.raise_signal(number)
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == "interrupted; run the same command again\n"


@every_signal
def test_each_signal_is_deferred_where_ctrl_c_is(number: int, code: int) -> None:
    handle_termination()
    deferred: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: deferred.append(number))
    signal.raise_signal(number)
    assert deferred == [signal.SIGINT]
    assert interrupted_exit_code() == code


def test_sigterm_interrupts_a_background_job_that_ignores_ctrl_c() -> None:
    handle_termination()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handle_termination()
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_without_the_command_line_the_exit_code_is_that_of_ctrl_c() -> None:
    assert interrupted_exit_code() == 130


def test_output_after_the_terminal_was_closed_is_no_error() -> None:
    script = """
import os, signal, time
from bneck.search.console.interrupts import handle_termination
handle_termination()
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("finishing", flush=True)
    os._exit(7)
"""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        assert os.read(ours, 100).startswith(b"ready")
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 7
