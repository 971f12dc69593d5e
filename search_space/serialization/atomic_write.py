"""Atomic writes."""

import os
from contextlib import suppress
from pathlib import Path

from ..errors import MachineError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file in one step: readers see the old content or the new, never a part.

    Args:
        content: text is written as UTF-8.
    Raises:
        MachineError: the file cannot be written; the old content stays.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise MachineError(f"{path} cannot be written: {error.strerror}") from None
