"""Errors that the caller can fix.

    BneckError
    ├── FieldError               a field with an invalid value
    │   └── ArchitectureError    a field of a block, stem, head, network or space
    ├── SpaceError               a space and genes that do not match
    ├── FileFormatError          a YAML or JSON file, with its line and key
    ├── UnknownNameError         an unknown name, with the known ones
    ├── PluginError              a third-party object that cannot be imported or used
    ├── DataError                a missing or broken data set
    ├── GoalError                an invalid objective, limit or option
    ├── TrustError               a command, code or URL that only a file names
    ├── BackendError             a missing latency backend, or a network that it cannot run
    ├── ScorerError              an evaluator that cannot score a network
    ├── NonFiniteLossError       a training whose loss is NaN or infinite
    ├── WorkerFailedError        a step whose worker process died, or that ran out of memory
    ├── NoFeasibleNetworkError   limits that no network of the space satisfies
    └── RunError                 a run folder or study that cannot be used
        ├── DivergedError        a training whose loss is not finite
        └── MachineError         memory, disk, database or a worker process failed

The command line prints the message without a traceback and exits with code 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from .printable import printable

LISTED_IN_FULL = 12  # fewer names than this fit in one line
MIN_SIMILARITY = 0.65  # of names that a typing error can explain: resnet18 and mnasnet_b1 have 0.56


class BneckError(Exception):
    """An error that the caller can fix; the message names place, value and remedy in one line."""

    def __str__(self) -> str:
        return printable(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors of worker processes are pickled; the default passes `args`, which other constructors refuse.
        return _rebuild_error, (type(self), self.args, vars(self))


def _rebuild_error(
    kind: type[BneckError], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> BneckError:
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error


class FieldError(BneckError):
    """A field with an invalid value.

    Attributes:
        field: name of the field, from which a file reader finds the line.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


class ArchitectureError(FieldError):
    """A value that no network can have."""


class SpaceError(BneckError):
    """A search space and genes that do not match."""


class FileFormatError(BneckError):
    """A file that does not have the expected format."""


class UnknownNameError(BneckError):
    """An unknown name; the message lists the known names, or close ones of a dozen or more.

    Args:
        remedy: what else would work.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        names = list(known)
        by_letters = {each.lower(): each for each in names}
        close = [
            by_letters[each]
            for each in get_close_matches(name.lower(), by_letters, n=3, cutoff=MIN_SIMILARITY)
        ]
        if close and len(names) >= LISTED_IN_FULL:
            shown = f"nearest: {', '.join(close)}"
        else:
            shown = f"known: {', '.join(names)}"
            shown += f"; did you mean {close[0]}?" if close else ""
        super().__init__(f"unknown {kind} '{name}'; {shown}" + (f"; {remedy}" if remedy else ""))


class PluginError(BneckError):
    """A third-party sampler, evaluator, latency backend or data set that cannot be imported or used."""


class DataError(BneckError):
    """A missing or broken data set."""


class GoalError(BneckError):
    """An invalid objective, limit or option."""


class TrustError(BneckError):
    """A command, code, URL or place to write to that only a file names."""


class BackendError(BneckError):
    """A latency backend whose runtime is missing, or a network that it cannot run."""


class ScorerError(BneckError):
    """An evaluator that cannot score a network with the given data or space."""


class NonFiniteLossError(BneckError):
    """A training whose loss is NaN or infinite; a lower learning rate usually helps."""


class WorkerFailedError(BneckError):
    """A step whose worker process died, or that ran out of memory; the same step was tried twice."""


STEP_FAILURES = (NonFiniteLossError, ScorerError, WorkerFailedError)  # cost their own trial, not the search


class NoFeasibleNetworkError(BneckError):
    """Limits that no network of the space satisfies."""


class RunError(BneckError):
    """A run folder or a study that cannot be used as asked."""


class DivergedError(RunError):
    """A training whose loss is not finite."""


class MachineError(RunError):
    """Memory, disk, database or a worker process failed; finished work is kept."""


def first_line(error: Exception) -> str:
    """The first line of another library's message."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
