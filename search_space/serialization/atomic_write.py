"""Files that are written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from ..errors import RunError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Put a file in place of the old one in one step: a reader finds the old one or the new one.

    Args:
        content: text is written as UTF-8.
    Raises:
        RunError: it cannot be written; the old file stays.
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
        raise RunError(f"{path} cannot be written: {error.strerror}") from None
