"""Worker processes."""

import math
import multiprocessing
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, ClassVar

import torch

from ...evaluate.trust import Trust, adopt_trust, current_trust
from ...search_space.errors import MachineError, WorkerFailedError
from ...search_space.faults import MEMORY_REMEDY, is_out_of_memory
from .worker_process import init_worker_process, signals_blocked, start_resource_tracker

POLL_SECONDS = 0.5
EXIT_SECONDS = 10.0  # until a dead process has its exit code
MAX_ATTEMPTS = 2  # of a step whose worker process dies


def init_plain_worker(_: object) -> None:
    """Prepare a worker process that needs no subject."""
    init_worker_process()


def _start_worker(start: Callable[[Any], None], trust: Trust, subject: Any) -> None:
    adopt_trust(trust)
    start(subject)


@dataclass(eq=False)
class Worker:
    """One worker process; an executor of its own shows which step a death ended."""

    executor: ProcessPoolExecutor
    process: BaseProcess | None = None
    busy: bool = False


class Call(Future[Any]):
    """A step for a worker; it is run again in a new process if its process dies.

    Attributes:
        attempt: the running one; None in the queue.
    """

    def __init__(self, pool: "Pool", step: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        super().__init__()
        self.pool, self.step, self.arguments = pool, step, arguments
        self.attempt: Future[Any] | None = None
        self.deaths = 0

    def result(self, timeout: float | None = None) -> Any:
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self.done() and (left := end - time.monotonic()) > 0:
            _await_any([self], min(POLL_SECONDS, left))
        return super().result(0)


def _await_any(pending: Sequence[Future[Any]], timeout: float) -> set[Future[Any]]:
    """Keep the workers busy until one of these is done."""
    calls = [each for each in pending if isinstance(each, Call)]
    pools = {id(each.pool): each.pool for each in calls}.values()
    for pool in pools:
        pool.dispatch()
    attempts = [call.attempt for pool in pools for call in pool.running if call.attempt]
    if not any(each.done() for each in pending):
        wait([*attempts, *(each for each in pending if not isinstance(each, Call))], timeout, FIRST_COMPLETED)
    for pool in pools:
        pool.collect()
    return {each for each in pending if each.done()}


class StepStoppedError(BaseException):
    """A step in this process took too long; no code below catches it as an error of its own."""


def _never() -> float:
    return math.inf


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise `StepStoppedError` in the main thread after these seconds, and again every second."""
    if seconds == math.inf or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise StepStoppedError

    previous = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01), 1.0)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)


@dataclass
class Pool:
    """Worker processes, each initialized by `start(subject)`.

    A step whose process dies or runs out of memory is run once more in a new process; the second time it
    fails with `WorkerFailedError`. The other workers continue.

    An error that leaves the `with` block terminates all workers, whatever they are doing.

    Ctrl-C is deferred to the next `wait`, so that no update of the study is cut in half; a second Ctrl-C
    is raised at once.
    """

    MAX_DEATHS_IN_A_ROW: ClassVar[int] = 10
    subject: Any
    workers: int
    start: Callable[[Any], None] = init_plain_worker
    processes: list[Worker] = field(default_factory=list, init=False, repr=False)
    queue: deque[Call] = field(default_factory=deque, init=False, repr=False)
    running: dict[Call, Worker] = field(default_factory=dict, init=False, repr=False)
    deaths_in_a_row: int = field(default=0, init=False)
    last_death: str = field(default="", init=False)
    step_limit: Callable[[], float] = field(default_factory=lambda: _never, init=False, repr=False)
    interrupted: bool = field(default=False, init=False)
    previous_handler: Any = field(default=None, init=False)

    def __enter__(self) -> "Pool":
        start_resource_tracker()
        self._handle_interrupts()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._restore_interrupts()
        for call in self.queue:
            call.cancel()
        for each in self.processes:
            each.executor.shutdown(wait=kind is None, cancel_futures=kind is not None)
            if kind is not None and each.process:
                each.process.kill()
        if kind is None:
            self.collect()

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker call a function that it can import; it waits in a queue while all are busy."""
        call = Call(self, step, arguments)
        self.queue.append(call)
        self.dispatch()
        return call

    def wait(self, pending: Iterable[Future[Any]]) -> set[Future[Any]]:
        """The finished ones, after half a second at the latest.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed since the block was entered.
            MachineError: many worker processes in a row died.
        """
        finished = _await_any(list(pending), POLL_SECONDS)
        if self.interrupted:
            raise KeyboardInterrupt
        return finished

    @contextmanager
    def limited(self, step_limit: Callable[[], float]) -> Iterator[None]:
        """Limit steps of this process to this many seconds; worker processes are stopped by `abandon`.

        Args:
            step_limit: called when a step starts.
        """
        previous, self.step_limit = self.step_limit, step_limit
        try:
            yield
        finally:
            self.step_limit = previous

    def abandon(self, futures: Iterable[Future[Any]]) -> None:
        """End these steps without a result; their processes are killed."""
        for call in futures:
            if not isinstance(call, Call):
                continue
            if worker := self.running.pop(call, None):
                if worker.process:
                    worker.process.kill()
                self._remove(worker)
            elif call in self.queue:
                self.queue.remove(call)

    def dispatch(self) -> None:
        """Give queued steps to idle workers; starts processes, also in place of dead ones.

        Raises:
            MachineError: many worker processes in a row died.
        """
        self._require_survivors()
        while self.queue and (worker := self._idle_worker()):
            try:
                self._run(worker, self.queue[0])
            except BrokenProcessPool:  # it died while it was idle
                self._remove(worker)
            else:
                self.queue.popleft()

    def collect(self) -> None:
        """Pass on the results of finished steps, and queue those again whose process died."""
        for call, worker in list(self.running.items()):
            if call.attempt and call.attempt.done():
                del self.running[call]
                self._finish(call, call.attempt, worker)

    def _idle_worker(self) -> Worker | None:
        for worker in self.processes:
            if not worker.busy:
                return worker
        if len(self.processes) == self.workers:
            return None
        context = multiprocessing.get_context("spawn")
        start = partial(_start_worker, self.start, current_trust())
        self.processes.append(Worker(ProcessPoolExecutor(1, context, start, (self.subject,))))
        return self.processes[-1]

    def _run(self, worker: Worker, call: Call) -> None:
        before = set(multiprocessing.active_children())
        with signals_blocked(), _main_module_hidden():  # Ctrl-C reaches the parent alone
            call.attempt = worker.executor.submit(call.step, *call.arguments)
        started = set(multiprocessing.active_children()) - before
        worker.process = worker.process or next(iter(started), None)
        worker.busy, self.running[call] = True, worker
        if not call.running():
            call.set_running_or_notify_cancel()

    def _finish(self, call: Call, attempt: Future[Any], worker: Worker) -> None:
        if attempt.cancelled():
            return
        error = attempt.exception()
        died = isinstance(error, BrokenProcessPool)
        if error is None or not (died or is_out_of_memory(error)):
            self.deaths_in_a_row, worker.busy = 0, False
            if error:
                call.set_exception(error)
            else:
                call.set_result(attempt.result())
            return
        self._remove(worker)
        self._count_death(f"its worker process {_death(worker)}" if died else "it ran out of memory")
        call.deaths, call.attempt = call.deaths + 1, None
        if call.deaths < MAX_ATTEMPTS:
            self.queue.appendleft(call)
        else:
            call.set_exception(WorkerFailedError(f"{self.last_death}, {call.deaths} times"))

    def _remove(self, worker: Worker) -> None:
        worker.executor.shutdown(wait=False)
        if worker in self.processes:
            self.processes.remove(worker)

    def _count_death(self, reason: str) -> None:
        self.deaths_in_a_row += 1
        self.last_death = reason

    def _require_survivors(self) -> None:
        if self.deaths_in_a_row >= self.MAX_DEATHS_IN_A_ROW:
            raise MachineError(
                f"{self.deaths_in_a_row} steps in a row failed, the last one because {self.last_death}; "
                f"{MEMORY_REMEDY}"
            )

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


def _death(worker: Worker) -> str:
    """How a process ended: `was killed by SIGKILL (out of memory?)`, `ended with exit code 3`."""
    process = worker.process
    if process is None:
        return "died"
    end = time.monotonic() + EXIT_SECONDS
    # The executor's thread takes the code too; until it has stored it, this thread gets None.
    while (code := process.exitcode) is None and time.monotonic() < end:
        time.sleep(0.01)
    if code is None:
        return "died"
    if code >= 0:
        return f"ended with exit code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{hint}"


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
    """One worker that is this process: `wait` runs one step; none is done if the step was stopped.

    A step that kills its process ends the search; one that runs out of memory fails at once.

    Ctrl-C interrupts a running step at once; elsewhere it is deferred as in `Pool`.
    """

    MAX_DEATHS_IN_A_ROW: ClassVar[int] = Pool.MAX_DEATHS_IN_A_ROW // MAX_ATTEMPTS
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
        try:
            lazy.run()
        except StepStoppedError:
            self.start(self.subject)  # the state of the stopped step is not used again
            return set()
        return {lazy}

    def _run_step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        self._require_survivors()
        self.in_step = True
        try:
            with _alarm(self.step_limit()):
                result = step(*arguments)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._count_death("it ran out of memory")
            raise WorkerFailedError(self.last_death) from None
        finally:
            self.in_step = False
        self.deaths_in_a_row = 0
        return result

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
