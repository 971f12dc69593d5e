"""Standard output and standard error: characters that they cannot encode, and readers that go away."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

CLOSED_PIPE = 141  # 128 + SIGPIPE, as a shell reports it
_ASCII = {"±": "+/-", "µ": "u", "μ": "u", "×": "x", "≤": "<=", "≥": ">=", "→": "->", "–": "-", "…": "..."}


def prepare_streams() -> None:
    """Have both streams replace what their encoding lacks: `±` by `+/-`, other characters by an escape."""
    codecs.register_error("bneck", _replacement)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="bneck")


@contextmanager
def closed_streams_explained() -> Iterator[None]:
    """Flush standard output at the end; exit quietly if its reader is gone, with an error otherwise."""
    try:
        yield
    finally:
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            discard_stdout()
            sys.exit(CLOSED_PIPE)
        except OSError as error:
            discard_stdout()
            with suppress(OSError):
                typer.echo(f"bneck: standard output cannot be written: {error.strerror}", err=True)
            sys.exit(2)


def discard_stdout() -> None:
    """Send what is still printed to nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    encodable = (_ASCII.get(each) or each.encode("ascii", "backslashreplace").decode() for each in characters)
    return "".join(encodable), error.end
