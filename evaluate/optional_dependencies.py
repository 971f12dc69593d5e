"""Packages that bneck does not install by itself."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from ..search_space import BackendError, BneckError
from ..search_space.errors import first_line


@contextmanager
def optional_import(feature: str, *, extra: str, error: type[BneckError] = BackendError) -> Iterator[None]:
    """Import packages inside.

    Args:
        feature: needs them, for the message.
        extra: of bneck, that installs them.
        error: what is raised where a package is missing, or does not run on this machine.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        raise error(
            f"{feature} needs the package {problem.name}, which is not installed; "
            f"get it: pip install 'bneck[{extra}]'"
        ) from None
    except Exception as problem:
        machine = f"{platform.system()} {platform.machine()}"
        raise error(f"{feature} does not run on this {machine}: {first_line(problem)}") from None
