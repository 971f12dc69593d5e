"""Progress of a search: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...evaluate import format_count
from ...results import Record
from ...results.text.formatting import accuracy_text, pluralize

Clock = Callable[[], float]


@dataclass(frozen=True)
class Status:
    """Progress of a search.

    Attributes:
        phase: `evaluating`, `replicates`, `baselines` or `verifying the front`.
        done, total: number of jobs in this phase.
        active_jobs: one line per busy worker.
        latest: the last evaluated trial.
        best: the trial of the highest accuracy or reward, as `best_label` says.
        front: number of networks on the front.
        epochs: spent and expected epochs, with early stopping only.
        rungs: text with the number of networks by rung.
    """

    phase: str
    done: int
    total: int
    infeasible: int = 0
    duplicates: int = 0
    failed: int = 0
    active_jobs: tuple[str, ...] = ()
    latest: Record | None = None
    best: Record | None = None
    best_label: str = "most accurate"
    front: int = 0
    epochs: tuple[int, int] | None = None
    rungs: str = ""

    @property
    def work(self) -> tuple[int, int]:
        """Done and total, in epochs where early stopping is used, else in jobs."""
        return self.epochs or (self.done, self.total)


@dataclass
class TimeEstimator:
    """Remaining time from the pace of this session."""

    clock: Clock = time.monotonic
    phase: str = ""
    start_time: float = 0.0
    first: int = 0

    def seconds_left(self, status: Status) -> float | None:
        """None before the first job of the phase is done."""
        done, total = status.work
        if status.phase != self.phase:
            self.phase, self.start_time, self.first = status.phase, self.clock(), done
        if done >= total:
            return 0.0
        if done <= self.first:
            return None
        return (self.clock() - self.start_time) / (done - self.first) * (total - done)


class Progress(Protocol):
    """A display of a search."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update_status(self, status: Status) -> None:
        """Show a status; called after every change and twice a second."""

    def print_line(self, line: str) -> None:
        """Print a permanent line."""


@dataclass
class PlainProgress:
    """One line per finished job."""

    console: Console
    time_estimator: TimeEstimator = field(default_factory=TimeEstimator)
    last_status: tuple[str, int, int, tuple[str, ...]] = ("", 0, 0, ())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update_status(self, status: Status) -> None:
        left = format_time_left(self.time_estimator.seconds_left(status))
        # before the first result there is nothing to count, but what the workers do
        jobs = () if status.latest else status.active_jobs
        now = (status.phase, status.done, status.work[0], jobs)
        if now == self.last_status:
            return
        self.last_status = now
        line = f"{status.phase} {status.done}/{status.total}"
        if jobs:
            line += f": {', '.join(jobs)}"
        if status.latest:
            line += f": {trial_summary(status.latest)}; {status.infeasible} infeasible"
        if status.rungs:
            line += f"; {status.rungs}"
        self.print_line(f"{line}; {left}")

    def print_line(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


class LiveProgress:
    """A table that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.time_estimator = TimeEstimator()
        self.live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def update_status(self, status: Status) -> None:
        table = Table.grid(padding=(0, 2))
        table.add_row(status.phase, f"{status.done} of {status.total}")
        table.add_row(
            "time left", format_time_left(self.time_estimator.seconds_left(status)).removesuffix(" left")
        )
        if status.rungs:
            table.add_row("trained", status.rungs)
        if status.phase == "evaluating":
            table.add_row("not trained", f"{status.infeasible} infeasible, {status.duplicates} duplicates")
            if status.failed:
                table.add_row("failed", str(status.failed))
            table.add_row("on the front", str(status.front))
            table.add_row(status.best_label, trial_summary(status.best) if status.best else "none yet")
            table.add_row("latest", trial_summary(status.latest) if status.latest else "none yet")
        for number, job in enumerate(status.active_jobs, start=1):
            table.add_row(f"worker {number}", job)
        bar = Table.grid()
        bar.add_row(ProgressBar(total=max(1, status.total), completed=status.done, width=60))
        self.live.update(Group(Text(), bar, table))

    def print_line(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False)


def progress(console: Console) -> Progress:
    """A live table on a terminal, plain lines elsewhere."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def trial_summary(record: Record) -> str:
    """One evaluated network in a line."""
    words = [f"trial {record.trial}"]
    if record.epochs:
        words.append(pluralize(record.epochs, "epoch"))
    if record.trainings:
        words.append(accuracy_text(record.estimated_accuracy))
    if record.latency:
        words.append(f"{record.latency.latency_ms:.3g} ms ({record.latency.ratio:.2f}x)")
    words.append(f"{format_count(record.cost.macs)} MACs")
    return ", ".join(words)


def format_time_left(seconds: float | None) -> str:
    """Remaining time, such as `3 min 20 s left`."""
    if seconds is None:
        return "estimating the time left"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s left"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s left"
    return f"{whole // 3600} h {whole % 3600 // 60} min left"
