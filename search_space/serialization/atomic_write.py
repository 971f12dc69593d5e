"""Atomic writes."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from ..errors import MachineError, RunError

PART_PATTERN = ".bneck-*.part"


def part_name() -> str:
    """A new name for something unfinished; `PART_PATTERN` matches it."""
    return f".bneck-{secrets.token_hex(4)}.part"


def write_atomic(path: Path, content: str | bytes, *, replace: bool = True, owner_only: bool = False) -> None:
    """Write a file in one step: readers see the old content or the new, never a part.

    Args:
        content: text is written as UTF-8; what it cannot express, such as a file name in Latin-1, is escaped.
        replace: whether a file at the path is replaced; otherwise that is an error.
        owner_only: nobody else may read a new file; an old one keeps its permissions.
    Raises:
        RunError: the file exists.
        MachineError: the file cannot be written; the old content stays.
    """
    temporary = path.parent / part_name()
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        with temporary.open("xb") as file:
            if owner_only:
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777 if path.is_file() else 0o600)
            file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        _publish(temporary, path, replace=replace)
    except FileExistsError:
        raise RunError(f"{path} exists; choose another name") from None
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _publish(temporary: Path, path: Path, *, replace: bool) -> None:
    """Give a file its final name."""
    if replace:
        temporary.replace(path)
        return
    try:
        path.hardlink_to(temporary)  # in contrast to a rename, refuses an existing file
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        temporary.replace(path)
