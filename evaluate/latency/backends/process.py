"""Runs other programs; of what they print, only the end is kept."""

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....search_space.printable import printable

OUTPUT_BYTES = 8192
CHUNK_BYTES = 65536
MAX_LINE = 400


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

    Raises:
        subprocess.TimeoutExpired: it ran longer than allowed, and was killed.
        OSError: it cannot be started.
    """
    with subprocess.Popen(
        arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            stdout, stderr = _read_ends(process, timeout_seconds)
        except BaseException:
            process.kill()
            raise
    return Completed(process.returncode, stdout, stderr)


def _read_ends(process: "subprocess.Popen[bytes]", timeout_seconds: float | None) -> tuple[str, str]:
    """The ends of stdout and stderr, once both are closed and the program has ended."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    assert process.stdout and process.stderr
    ends = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}

    def seconds_left() -> float | None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise subprocess.TimeoutExpired(process.args, timeout_seconds or 0)
        return left

    with selectors.DefaultSelector() as selector:
        for pipe in ends:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(seconds_left()):
                chunk = os.read(key.fd, CHUNK_BYTES)
                if not chunk:
                    selector.unregister(key.fd)
                ends[key.fd] = (ends[key.fd] + chunk)[-OUTPUT_BYTES:]
    process.wait(seconds_left())
    stdout, stderr = (end.decode("utf-8", errors="replace") for end in ends.values())
    return stdout, stderr


def last_line(text: str) -> str:
    """The last line that is not empty, of at most `MAX_LINE` characters, safe to print."""
    line = (text.strip().splitlines() or [""])[-1].strip()
    return printable(line[-MAX_LINE:])
