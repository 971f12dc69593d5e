"""Shared by all jobs: results as text or JSON, interruption with a resume command, number of workers."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from ...evaluate import usable_cores
from ...search_space.faults import explained_faults
from ..console.interrupts import interrupted_exit_code, print_interrupted
from ..console.streams import CLOSED_PIPE, discard_stdout
from ..console.terminal import echo


@contextmanager
def resumable(
    command: str, progress: Callable[[], str], folder: Path | None = None, *, quiet: bool = False
) -> Iterator[None]:
    """Turn Ctrl-C into a message with the resume command and its exit code; faults name it too.

    Args:
        progress: what is finished, such as `3 of 10 epochs`; called after the interruption.
        folder: where that is kept.
        quiet: print no message; for all but the main process.
    Raises:
        MachineError: memory, disk, database or a worker process failed.
    """
    try:
        with explained_faults(command, progress, folder):
            yield
    except KeyboardInterrupt:
        if not quiet:
            print_interrupted(f"interrupted after {progress()}; resume with:\n  {command}")
        raise typer.Exit(interrupted_exit_code()) from None
    except BrokenPipeError:  # as in `bneck train ... | head -1`
        discard_stdout()
        print_interrupted(f"standard output was closed after {progress()}; resume with:\n  {command}")
        raise typer.Exit(CLOSED_PIPE) from None


def print_result(result: dict[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print the result as JSON or as lines of text."""
    if as_json:
        echo(json.dumps(result, indent=2))
        return
    for line in lines:
        echo(line)


def worker_count(requested: int | None, device: str, most: int | None = None) -> int:
    """Number of worker processes: by default one per core, one on a GPU.

    Args:
        device: `cpu` or `cuda`.
        most: number of jobs, if known.
    """
    if requested:
        return requested
    return 1 if device == "cuda" else min(usable_cores(), most or usable_cores())
