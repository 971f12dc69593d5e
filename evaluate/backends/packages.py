"""Runtimes that bneck does not install by itself."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from ...search_space import BackendError
from ...search_space.errors import first_line


@contextmanager
def needed(backend: str, *, extra: str) -> Iterator[None]:
    """Import the packages of a backend inside.

    Args:
        extra: of bneck, that installs them.
    Raises:
        BackendError: a package is missing, or does not run on this machine.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise BackendError(
            f"latency backend {backend} needs the package {error.name}, which is not installed; "
            f"get it: pip install 'bneck[{extra}]'"
        ) from None
    except Exception as error:
        machine = f"{platform.system()} {platform.machine()}"
        raise BackendError(
            f"latency backend {backend} does not run on this {machine}: {first_line(error)}"
        ) from None
