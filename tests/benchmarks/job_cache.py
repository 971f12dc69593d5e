"""Jobs with cached results, one line of JSON each, so that an interrupted benchmark resumes."""

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
    """A function call, identified by a key that names everything its result depends on.

    Attributes:
        weight: expected duration relative to other jobs.
    """

    key: str
    step: Callable[..., Result]
    arguments: tuple[Any, ...]
    weight: float = 1.0


def load_results(path: Path) -> dict[str, Result]:
    """The cached results by key; an incomplete last line is skipped."""
    results: dict[str, Result] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        results[entry["key"]] = entry["result"]
    return results


def run_all(jobs: Sequence[Job], path: Path, workers: int, console: Console) -> dict[str, Result]:
    """The results of all jobs; cached jobs are not run again.

    Args:
        workers: number of processes, with one thread each.
    """
    results = load_results(path)
    todo = {job.key: job for job in jobs if job.key not in results}
    if not todo:
        return {job.key: results[job.key] for job in jobs}
    path.parent.mkdir(parents=True, exist_ok=True)
    total, done, start = sum(job.weight for job in todo.values()), 0.0, time.monotonic()
    with (
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), init_worker_process) as pool,
        path.open("a", encoding="utf-8") as file,
    ):
        futures = {pool.submit(job.step, *job.arguments): job for job in todo.values()}
        for future in as_completed(futures):
            job = futures[future]
            results[job.key] = future.result()
            file.write(json.dumps({"key": job.key, "result": results[job.key]}) + "\n")
            file.flush()
            done += job.weight
            left = (time.monotonic() - start) / done * (total - done)
            console.print(f"{job.key}; {format_time_left(left)}", highlight=False, markup=False)
    return {job.key: results[job.key] for job in jobs}
