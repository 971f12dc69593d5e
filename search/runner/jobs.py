"""Steps of a phase that has no order: measurements, baselines, verification."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ...search_space.errors import STEP_FAILURES, WorkerFailedError
from ..console.progress import Progress, Status
from ..parallel.pool import Pool
from .attempts import Attempts


@dataclass(frozen=True)
class Job:
    """One step for a worker, and the function that takes its result.

    Attributes:
        name: for messages and for counting the attempts.
    """

    pool: Pool
    step: Callable[[Any], Any]
    item: Any
    name: str
    on_result: Callable[[Any], None]


def run_jobs(jobs: Sequence[Job], pool: Pool, progress: Progress, phase: str, attempts: Attempts) -> None:
    """Run all jobs; one that fails costs a line. One that kills its process twice is never run again.

    Args:
        pool: the outermost one, which handles Ctrl-C.
    """
    queue, pending = deque(jobs), dict[Future[Any], Job]()

    def show() -> None:
        progress.update_status(Status(phase, len(jobs) - len(queue) - len(pending), len(jobs)))

    with attempts:
        while queue or pending:
            for job in list(queue):
                if sum(other.pool is job.pool for other in pending.values()) < job.pool.workers:
                    queue.remove(job)
                    pending[attempts.submit(job.name, job.pool, job.step, job.item)] = job
            show()
            for future in pool.wait(pending):
                job = pending.pop(future)
                try:
                    job.on_result(future.result())
                    attempts.end(job.name)
                except STEP_FAILURES as error:
                    progress.print_line(f"{job.name}: {error}")
                    failed = isinstance(error, WorkerFailedError)
                    (attempts.give_up if failed else attempts.end)(job.name)
                show()
