"""Runs other programs; of what they print, only the end is kept."""

import math
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ....search_space.printable import printable

OUTPUT_BYTES = 8192
CHUNK_BYTES = 65536
MAX_LINE = 400
POLL_SECONDS = 0.02
WATCH = 'read -r _; kill -s KILL -- "-$0"'


@dataclass(frozen=True)
class Completed:
    """A program that has ended.

    Attributes:
        stdout, stderr: the last `OUTPUT_BYTES` bytes of each, as UTF-8.
    """

    returncode: int
    stdout: str
    stderr: str

    @property
    def reason(self) -> str:
        """The last line of an error message, or else of the output."""
        return last_line(self.stderr) or last_line(self.stdout) or "no output"


def run_program(
    arguments: Sequence[str], *, folder: Path | None = None, timeout_seconds: float | None = None
) -> Completed:
    """Run a program without input, in bounded memory whatever it prints.

    No process that it started survives it, or this process, unless it left the session of the program.

    Raises:
        subprocess.TimeoutExpired: it ran longer than allowed, and was killed.
        OSError: it cannot be started.
    """
    deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    with _session(arguments, folder) as process:
        assert process.stdout and process.stderr
        ends = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
        with selectors.DefaultSelector() as selector:
            for pipe in ends:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map() or process.poll() is None:
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired(process.args, timeout_seconds or 0)
                ready = selector.select(POLL_SECONDS)
                for key, _ in ready:
                    chunk = os.read(key.fd, CHUNK_BYTES)
                    if not chunk:
                        selector.unregister(key.fd)
                    ends[key.fd] = (ends[key.fd] + chunk)[-OUTPUT_BYTES:]
                if not ready and process.poll() is not None:
                    break  # what it left in the background holds the pipes open
    stdout, stderr = (end.decode("utf-8", errors="replace") for end in ends.values())
    return Completed(process.returncode, stdout, stderr)


@contextmanager
def _session(arguments: Sequence[str], folder: Path | None) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a program in a session of its own, all of which is killed at the end.

    A shell waits at a pipe that closes when this process dies, and then kills the session.
    """
    waiting_end, own_end = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, own_end)
        try:
            # worker processes block signals, which programs do not expect
            mask = signal.pthread_sigmask(signal.SIG_SETMASK, ())
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            stack.push(process)
            stack.callback(_kill_session, process)
            watcher = subprocess.Popen(
                ["/bin/sh", "-c", WATCH, str(process.pid)],
                stdin=waiting_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.push(watcher)
            stack.callback(watcher.kill)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(waiting_end)
        yield process


def _kill_session(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL)


def last_line(text: str) -> str:
    """The last line that is not empty, of at most `MAX_LINE` characters, safe to print."""
    line = (text.strip().splitlines() or [""])[-1].strip()
    return printable(line[-MAX_LINE:])
