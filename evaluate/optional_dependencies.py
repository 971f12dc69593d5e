"""Import of optional dependencies."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from ..search_space import BackendError, BneckError
from ..search_space.errors import first_line


@contextmanager
def optional_import(feature: str, *, extra: str, error: type[BneckError] = BackendError) -> Iterator[None]:
    """Convert import errors inside the block to a `BneckError` with the remedy.

    Args:
        feature: feature that needs the packages, for the message.
        extra: extra of bneck that installs them.
        error: type to raise if a package is missing or fails to import on this machine.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        raise error(
            f"{feature} needs the package {problem.name}, which is not installed; "
            f"install it: pip install 'bneck[{extra}]'"
        ) from None
    except Exception as problem:
        machine = f"{platform.system()} {platform.machine()}"
        raise error(f"{feature} cannot be imported on {machine}: {first_line(problem)}") from None
