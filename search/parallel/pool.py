"""Worker processes, and jobs for them."""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import torch

from ...search_space import ScorerError
from ...search_space.errors import MachineError, NonFiniteLossError
from ...search_space.faults import machine_fault
from ..console.progress import Progress, Status
from .worker_process import WORKER_MASK, init_worker_process

POLL_SECONDS = 0.5


def init_plain_worker(_: object) -> None:
    """Prepare a worker process that needs no subject."""
    init_worker_process()


@dataclass
class Pool:
    """Worker processes, each initialized by `start(subject)`.

    An error that leaves the `with` block terminates all workers, whatever they are doing.

    Ctrl-C is deferred to the next `wait`, so that no update of the study is cut in half; a second Ctrl-C
    is raised at once.
    """

    subject: Any
    workers: int
    start: Callable[[Any], None] = init_plain_worker
    executor: ProcessPoolExecutor = field(init=False, repr=False)
    interrupted: bool = field(default=False, init=False)
    previous_handler: Any = field(default=None, init=False)

    def __enter__(self) -> "Pool":
        self.executor = ProcessPoolExecutor(
            self.workers, multiprocessing.get_context("spawn"), self.start, (self.subject,)
        )
        self._handle_interrupts()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._restore_interrupts()
        self.executor.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            for child in multiprocessing.active_children():
                child.terminate()

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker call a function that it can import."""
        # A process started here inherits the mask, so that Ctrl-C reaches the parent alone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WORKER_MASK)
        try:
            with _main_module_hidden():
                return self.executor.submit(step, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def wait(self, pending: Iterable[Future[Any]]) -> set[Future[Any]]:
        """The finished ones, after half a second at the latest.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed since the block was entered.
        """
        finished, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        if self.interrupted:
            raise KeyboardInterrupt
        return finished

    def _handle_interrupts(self) -> None:
        if threading.current_thread() is threading.main_thread():  # no other may set a handler
            self.previous_handler = signal.signal(signal.SIGINT, self._on_interrupt)

    def _restore_interrupts(self) -> None:
        if self.previous_handler is not None:
            signal.signal(signal.SIGINT, self.previous_handler)

    def _on_interrupt(self, *_: object) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        outer_pool = getattr(self.previous_handler, "__self__", None)
        if isinstance(outer_pool, Pool):
            outer_pool._on_interrupt()


class _LazyFuture(Future[Any]):
    """A call that is made when its result is needed."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self.call = call

    def run(self) -> None:
        try:
            self.set_result(self.call())
        except Exception as error:
            self.set_exception(error)

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.run()
        return super().result(timeout)


@dataclass
class InProcessPool(Pool):
    """One worker that is this process: `wait` runs one step.

    Ctrl-C interrupts a running step at once; elsewhere it is deferred as in `Pool`.
    """

    workers: int = 1
    in_step: bool = field(default=False, init=False)
    torch_threads: int = field(default=1, init=False)

    def __enter__(self) -> "InProcessPool":
        self.torch_threads = torch.get_num_threads()
        self.start(self.subject)
        self._handle_interrupts()
        return self

    def __exit__(self, *_: object) -> None:
        self._restore_interrupts()
        torch.set_num_threads(self.torch_threads)

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return _LazyFuture(partial(self._run_step, step, *arguments))

    def wait(self, pending: Iterable[Future[Any]]) -> set[Future[Any]]:
        futures = list(pending)
        lazy = next((each for each in futures if isinstance(each, _LazyFuture)), None)
        if lazy is None or self.interrupted:
            return super().wait(futures)
        lazy.run()
        return {lazy}

    def _run_step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        self.in_step = True
        try:
            return step(*arguments)
        finally:
            self.in_step = False

    def _on_interrupt(self, *_: object) -> None:
        super()._on_interrupt()
        if self.in_step:
            raise KeyboardInterrupt


def open_pool(subject: Any, workers: int, start: Callable[[Any], None]) -> Pool:
    """Worker processes, or this process where one worker is enough."""
    return Pool(subject, workers, start) if workers > 1 else InProcessPool(subject, start=start)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Start processes that do not import the program's `__main__`: a script needs no guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def result_of(future: Future[Any]) -> Any:
    """The result of a step.

    Raises:
        MachineError: the worker process died.
    """
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise MachineError(machine_fault(error)) from None


@dataclass(frozen=True)
class Job:
    """One step for a worker, and the function that takes its result."""

    pool: Pool
    step: Callable[[Any], Any]
    item: Any
    on_result: Callable[[Any], None]


def run_jobs(jobs: Sequence[Job], pool: Pool, progress: Progress, phase: str) -> None:
    """Run all jobs.

    Args:
        pool: the outermost one, which handles Ctrl-C.
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
