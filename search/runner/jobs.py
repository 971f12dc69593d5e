"""Steps of a phase that has no order: measurements, baselines, verification."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ...search_space.errors import STEP_FAILURES, WorkerFailedError
from ..console.progress import Progress, Status
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool
from .attempts import Attempts


@dataclass(frozen=True)
class Job:
    """One step for a worker, and the function that takes its result.

    Attributes:
        name: for messages and for counting the attempts.
        seconds: estimated duration; 0 if unknown.
    """

    pool: Pool
    step: Callable[[Any], Any]
    item: Any
    name: str
    on_result: Callable[[Any], None]
    seconds: float = 0.0


def run_jobs(
    jobs: Sequence[Job],
    pool: Pool,
    progress: Progress,
    phase: str,
    attempts: Attempts,
    deadline: Deadline | None = None,
) -> list[Job]:
    """Run all jobs; one that fails costs a line. One that kills its process twice is never run again.

    Args:
        pool: the outermost one, which handles Ctrl-C.
    Returns:
        The jobs for which the time was too short.
    """
    deadline = deadline or Deadline()
    queue, pending, skipped = deque(jobs), dict[Future[Any], Job](), list[Job]()

    def show() -> None:
        done = len(jobs) - len(queue) - len(pending) - len(skipped)
        progress.update_status(Status(phase, done, len(jobs)))

    def seconds() -> float:
        return max((job.seconds for job in pending.values()), default=0.0)

    with attempts, pool.limited(lambda: deadline.seconds_until_stop(seconds())):
        while queue or pending:
            for job in list(queue):
                if sum(other.pool is job.pool for other in pending.values()) >= job.pool.workers:
                    continue
                queue.remove(job)
                if deadline.blocks_new_work(job.seconds):
                    skipped.append(job)
                else:
                    pending[attempts.submit(job.name, job.pool, job.step, job.item)] = job
            show()
            finished = pool.wait(pending) if pending else set()
            for future in finished:
                _finish(pending.pop(future), future, progress, attempts)
                show()
            if not finished and pending and deadline.stops_work(seconds()):
                for future, job in pending.items():
                    job.pool.abandon([future])
                    skipped.append(job)
                pending.clear()
    return skipped


def _finish(job: Job, future: Future[Any], progress: Progress, attempts: Attempts) -> None:
    try:
        job.on_result(future.result())
        attempts.end(job.name)
    except STEP_FAILURES as error:
        progress.print_line(f"{job.name}: {error}")
        failed = isinstance(error, WorkerFailedError)
        (attempts.give_up if failed else attempts.end)(job.name)
