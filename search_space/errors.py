"""What bneck raises when the caller can mend it.

    BneckError
    ├── FieldError               a field with a value that it cannot have
    │   └── ArchitectureError    one of a block, stem, head, network or space
    ├── SpaceError               a space or genes that do not fit together
    ├── FileFormatError          a YAML or JSON file, with its line and key
    ├── UnknownNameError         a name that is not in a table, with the nearest ones
    ├── PluginError              a third-party object that cannot be imported or used
    ├── DataError                a data set that is missing or broken
    ├── GoalError                an objective or a limit that makes no sense
    ├── BackendError             a latency backend that is missing, or cannot run a network
    ├── ScorerError              a scorer that cannot judge a network, or these images
    ├── NoFeasibleNetworkError   limits that no network of the space meets
    └── RunError                 a run folder or study that cannot be used
        └── DivergedError        a training whose loss is no longer a number

The command line prints the message alone and exits with code 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class BneckError(Exception):
    """Something the caller can mend; the message says what, where and how."""

    def __reduce__(self) -> tuple[Any, ...]:
        # An error of a worker process arrives whole, whatever its constructor takes.
        return _rebuild_error, (type(self), self.args, vars(self))


def _rebuild_error(
    kind: type[BneckError], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> BneckError:
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error


class FieldError(BneckError):
    """A field with a value that it cannot have.

    Attributes:
        field: the field at fault, so that a file's reader can name its line.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


class ArchitectureError(FieldError):
    """A value no network can have."""


class SpaceError(BneckError):
    """A search space, or genes, that do not fit together."""


class FileFormatError(BneckError):
    """A file that cannot be read as what it should be."""


class UnknownNameError(BneckError):
    """A name outside its table."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        suggestions = get_close_matches(name, names, n=3, cutoff=0.5) or names
        super().__init__(f"unknown {kind} '{name}'; nearest: {', '.join(suggestions)}")


class PluginError(BneckError):
    """A sampler, evaluator, backend or data set of others that cannot be imported or used."""


class DataError(BneckError):
    """A data set that is missing or broken."""


class GoalError(BneckError):
    """An objective or a limit that makes no sense."""


class BackendError(BneckError):
    """A latency backend whose runtime is missing, or that cannot run a network."""


class ScorerError(BneckError):
    """A scorer that cannot judge a network, or not with these images or this space."""


class NoFeasibleNetworkError(BneckError):
    """Limits that no network of the space meets."""


class RunError(BneckError):
    """A run folder or a study that cannot be used as asked."""


class DivergedError(RunError):
    """A training whose loss is no longer a number."""


def first_line(error: Exception) -> str:
    """Another library's message, cut to a line that ours can hold."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
