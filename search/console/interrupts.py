"""Ctrl-C, SIGTERM and SIGHUP: each interrupts a command in the same way."""

import errno
import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

import typer

from .streams import CLOSED_PIPE, discard_stdout

TERMINATION = (signal.SIGTERM, signal.SIGHUP)


@dataclass
class _AsCtrlC:
    """A signal handler that does what Ctrl-C does at the time.

    Attributes:
        received: the last signal.
    """

    received: int = signal.SIGINT

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        _detach_dead_terminal()
        on_interrupt = signal.getsignal(signal.SIGINT)
        if not callable(on_interrupt):  # ignored, as in a shell's background job
            raise KeyboardInterrupt
        on_interrupt(signal.SIGINT, frame)


def handle_termination() -> None:
    """Have SIGTERM and SIGHUP act as Ctrl-C, on the command line only.

    A signal that is ignored, as SIGHUP under `nohup`, stays ignored.
    """
    handler = _AsCtrlC()
    for number in TERMINATION:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, handler)


def interrupted_exit_code() -> int:
    """128 plus the signal's number, as a shell reports it: 130, 143 or 129."""
    handlers = map(signal.getsignal, TERMINATION)
    received = (each.received for each in handlers if isinstance(each, _AsCtrlC))
    return 128 + next(received, signal.SIGINT)


@contextmanager
def explained_interrupt() -> Iterator[None]:
    """End an interrupted command with one line, if it has not said itself what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        print_interrupted("interrupted; run the same command again")
        raise typer.Exit(interrupted_exit_code()) from None
    except BrokenPipeError:  # as in `bneck front RUN | head -1`
        discard_stdout()
        raise typer.Exit(CLOSED_PIPE) from None


def print_interrupted(text: str) -> None:
    """Print a message on stderr; the terminal may be gone."""
    with suppress(OSError):
        typer.echo(text, err=True)


def _detach_dead_terminal() -> None:
    """Replace a terminal that was closed by /dev/null, so that later output fails nowhere."""
    for stream in (1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)
