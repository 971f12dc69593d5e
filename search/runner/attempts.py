"""How often unfinished work was begun: work that ends bneck's own process must not block every resume.

The count is stored in the study before the work starts. It is withdrawn at an orderly stop, such as Ctrl-C,
so that only work counts during which the process was killed. A pool itself repeats a step whose worker died.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...search_space.errors import WorkerFailedError
from ..parallel.pool import MAX_ATTEMPTS, Pool

if TYPE_CHECKING:
    from optuna import Study

ATTRIBUTE = "attempts"
EXHAUSTED = f"the process was killed in {MAX_ATTEMPTS} attempts (out of memory?)"


@dataclass
class Attempts:
    """The attempts at the unfinished work of a study; a `with` block withdraws those that were stopped.

    Attributes:
        counts: by name of the work.
        begun: by this block.
    """

    study: "Study"
    counts: dict[str, int] = field(init=False)
    stored: dict[str, int] = field(init=False, repr=False)
    begun: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.stored = dict(self.study.user_attrs.get(ATTRIBUTE, {}))
        self.counts = dict(self.stored)

    def __enter__(self) -> "Attempts":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for name in self.begun:
            self.counts[name] -= 1
        self.begun.clear()
        with suppress(*([Exception] if kind else [])):  # the disk may be full
            self._save()

    def submit(self, name: str, pool: Pool, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Count the work and have a worker do it; it fails with `WorkerFailedError` after two attempts."""
        if name not in self.begun:
            if self.counts.get(name, 0) >= MAX_ATTEMPTS:
                failed: Future[Any] = Future()
                failed.set_exception(WorkerFailedError(EXHAUSTED))
                return failed
            self.begun.add(name)
            self.counts[name] = self.counts.get(name, 0) + 1
            self._save()
        return pool.submit(step, *arguments)

    def end(self, name: str) -> None:
        """Forget finished work, also work whose failure is stored."""
        self.begun.discard(name)
        self.counts.pop(name, None)

    def give_up(self, name: str) -> None:
        """Never attempt this work again."""
        self.begun.discard(name)
        self.counts[name] = MAX_ATTEMPTS

    def _save(self) -> None:
        self.counts = {name: count for name, count in self.counts.items() if count}
        if self.counts != self.stored:
            self.study.set_user_attr(ATTRIBUTE, self.counts)
            self.stored = dict(self.counts)
