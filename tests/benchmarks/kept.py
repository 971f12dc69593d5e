"""Jobs whose results are kept in a file, a line each: a benchmark that is stopped goes on where it was."""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bneck.search.console.progress import format_time_left
from bneck.search.parallel.worker_process import init_worker_process

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A step with its arguments, named by a key that tells all that the result follows from.

    Attributes:
        weight: how long it takes, compared with other jobs.
    """

    key: str
    step: Callable[..., Result]
    arguments: tuple[Any, ...]
    weight: float = 1.0


def kept(path: Path) -> dict[str, Result]:
    """The results in a file, by key; a line that was cut off is none."""
    found: dict[str, Result] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[entry["key"]] = entry["result"]
    return found


def run_all(jobs: Sequence[Job], path: Path, workers: int, console: Console) -> dict[str, Result]:
    """The results of all jobs, those in the file not run again.

    Args:
        workers: processes of one thread each.
    """
    found = kept(path)
    todo = {job.key: job for job in jobs if job.key not in found}
    if not todo:
        return {job.key: found[job.key] for job in jobs}
    path.parent.mkdir(parents=True, exist_ok=True)
    total, done, start = sum(job.weight for job in todo.values()), 0.0, time.monotonic()
    with (
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), init_worker_process) as pool,
        path.open("a", encoding="utf-8") as file,
    ):
        futures = {pool.submit(job.step, *job.arguments): job for job in todo.values()}
        for future in as_completed(futures):
            job = futures[future]
            found[job.key] = future.result()
            file.write(json.dumps({"key": job.key, "result": found[job.key]}) + "\n")
            file.flush()
            done += job.weight
            left = (time.monotonic() - start) / done * (total - done)
            console.print(f"{job.key}; {format_time_left(left)}", highlight=False, markup=False)
    return {job.key: found[job.key] for job in jobs}
