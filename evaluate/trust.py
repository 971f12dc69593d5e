"""Values of files that would run code, connect or write elsewhere: used only if the user gives them too.

A settings file or a latency predictor may come from somebody else. Its reader marks such values by
`from_file`; whatever would act on one calls `require_trusted` first. Inside `trusting`, which the command
line and `trust=True` open, the values that the user gave are not marked.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from ..search_space.errors import TrustError
from ..search_space.urls import without_secrets
from .plugins import is_object_label, is_reference

Kind = Literal["latency backend", "data set", "evaluator", "sampler", "storage", "data root", "link"]

COMMAND_PREFIX = "command:"
_BUILT_IN = {"data set": ("folder", "torchvision"), "evaluator": ("supernet", "table")}
_OPTIONS = {"data set": "--data"}
_EFFECTS = {
    "storage": "names a database to connect to",
    "data root": "names a folder to download to",
    "link": "is a link out of the folder",
}


class FromFile(str):
    """A text that a file holds, that could do harm, and that the user has not given.

    Attributes:
        kind: what it names.
        place: file, line and key.
    """

    kind: Kind
    place: str

    def __new__(cls, text: str, kind: Kind, place: str) -> "FromFile":
        marked = super().__new__(cls, text)
        marked.kind, marked.place = kind, place
        return marked

    def __reduce__(self) -> tuple[Any, ...]:
        return FromFile, (str(self), self.kind, self.place)


@dataclass(frozen=True)
class Trust:
    """What may be used although a file holds it.

    Attributes:
        everything: `--trust` or `trust=True`.
        given: texts that the user gave too.
        options: options of the command, for messages; empty in Python.
    """

    everything: bool = False
    given: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()

    def covers(self, text: str) -> bool:
        return self.everything or without_secrets(text) in self.given


NO_TRUST = Trust()
_current: ContextVar[Trust] = ContextVar("bneck_trust", default=NO_TRUST)


@contextmanager
def trusting(
    everything: bool = False, given: Iterable[str] = (), options: Iterable[str] = ()
) -> Iterator[None]:
    """Trust what the user gave in the files that are read inside; nested blocks add up."""
    outer = _current.get()
    inner = Trust(
        outer.everything or everything,
        outer.given | {without_secrets(text) for text in given},
        outer.options | frozenset(options),
    )
    token = _current.set(inner)
    try:
        yield
    finally:
        _current.reset(token)


def current_trust() -> Trust:
    """The trust of this process, for `adopt_trust` in a worker process."""
    return _current.get()


def adopt_trust(trust: Trust) -> None:
    """Trust from now on what the main process trusts."""
    _current.set(trust)


def is_active(kind: Kind, text: str) -> bool:
    """Whether using the text would run code that is not installed, connect, or write elsewhere."""
    if kind in ("data root", "link"):
        return True
    if kind == "storage":
        return bool(text) and not is_object_label(text)
    if kind == "latency backend" and text.startswith(COMMAND_PREFIX):
        return True
    return is_reference(text) and text.partition(":")[0] not in _BUILT_IN.get(kind, ())


def from_file(text: str, kind: Kind, place: str) -> str:
    """The text, marked if using it could do harm and the user has not given it too."""
    harmless = not is_active(kind, text) or _current.get().covers(text)
    return text if harmless else FromFile(text, kind, place)


def require_trusted(text: object) -> None:
    """Check a value before it is used.

    Raises:
        TrustError: it is marked.
    """
    if not isinstance(text, FromFile):
        return
    shown = f"'{without_secrets(text)}'"
    option = _OPTIONS.get(text.kind, "--" + text.kind.replace(" ", "-"))
    options = _current.get().options
    if not options:
        remedy = "pass trust=True"
    elif option in options:
        remedy = f"give {option} {shown} again, or --trust"
    else:
        remedy = "give --trust"
    code = "is a program to run" if text.startswith(COMMAND_PREFIX) else "is code to import"
    effect = _EFFECTS.get(text.kind, code)
    raise TrustError(f"{text.place}: {shown} {effect}, which only this file names; if you trust it, {remedy}")
