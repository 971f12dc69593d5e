"""Worker processes, and jobs for them."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from ...evaluate.training.trainer import NonFiniteLossError
from ...search_space import RunError, ScorerError
from ..console.progress import Progress, Status
from .worker_process import init_worker_process

POLL_SECONDS = 0.5


def init_plain_worker(_: object) -> None:
    """Prepare a worker process that needs no subject."""
    init_worker_process()


@dataclass
class Pool:
    """Worker processes, each begun by `start(subject)`.

    An error that leaves the block ends them and all others, whatever they are doing.

    Ctrl-C is noted, and raised by the next `wait`, so that no telling of the study is cut in half;
    a second one is raised at once.
    """

    subject: Any
    workers: int
    start: Callable[[Any], None] = init_plain_worker
    executor: ProcessPoolExecutor = field(init=False)
    interrupted: bool = field(default=False, init=False)

    def __enter__(self) -> "Pool":
        self.executor = ProcessPoolExecutor(
            self.workers, multiprocessing.get_context("spawn"), self.start, (self.subject,)
        )
        self.previous_handler = signal.signal(signal.SIGINT, self._note_interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        signal.signal(signal.SIGINT, self.previous_handler)
        self.executor.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            for child in multiprocessing.active_children():
                child.terminate()

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker do a step of `bneck.search.runner.worker`."""
        # A process started here inherits the mask, so that Ctrl-C reaches the parent alone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self.executor.submit(step, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def wait(self, pending: Iterable[Future[Any]]) -> set[Future[Any]]:
        """Those that are finished, after half a second at the latest.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed since the block began.
        """
        finished, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        if self.interrupted:
            raise KeyboardInterrupt
        return finished

    def _note_interrupt(self, *_: object) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        outer_pool = getattr(self.previous_handler, "__self__", None)
        if isinstance(outer_pool, Pool):
            outer_pool._note_interrupt()


def result_of(future: Future[Any]) -> Any:
    """What a worker found.

    Raises:
        RunError: the worker process died.
    """
    try:
        return future.result()
    except BrokenProcessPool:
        raise RunError(
            "a worker process died (out of memory?); go on with fewer: --resume --workers 1"
        ) from None


@dataclass(frozen=True)
class Job:
    """One step for a worker, and what is done with its result."""

    pool: Pool
    step: Callable[[Any], Any]
    item: Any
    on_result: Callable[[Any], None]


def run_jobs(jobs: Sequence[Job], pool: Pool, progress: Progress, phase: str) -> None:
    """Do all jobs.

    Args:
        pool: whose block began first, and which notes Ctrl-C.
    """
    pending = {job.pool.submit(job.step, job.item): job for job in jobs}
    while pending:
        progress.update_status(Status(phase, len(jobs) - len(pending), len(jobs)))
        for future in pool.wait(pending):
            job = pending.pop(future)
            try:
                job.on_result(result_of(future))
            except (NonFiniteLossError, ScorerError) as error:
                progress.print_line(f"{job.item}: {error}")
            progress.update_status(Status(phase, len(jobs) - len(pending), len(jobs)))
