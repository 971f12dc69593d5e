"""Training runs of a seed study in worker processes; each is saved when it finishes."""

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ...evaluate import format_count
from ...evaluate.scorers import EvaluationContext, Scorer, evaluator
from ...results.store.seed_study import SeedStudy, SeedTraining, SeedVarianceSettings
from ...search_space import Architecture, cost
from ...search_space.errors import NonFiniteLossError, WorkerFailedError
from ..console.progress import Progress, Status
from ..parallel.deadline import Clock, Deadline
from ..parallel.pool import Pool
from ..parallel.worker_process import init_worker_process


class TimeoutReachedError(Exception):
    """The timeout was reached before all training runs finished."""


@dataclass(frozen=True)
class SeedStudyWorker:
    """State of a worker process."""

    settings: SeedVarianceSettings

    @cached_property
    def scorer(self) -> Scorer:
        settings = self.settings
        context = EvaluationContext(settings.data.load(), settings.recipe, settings.torch_device)
        return evaluator(settings.evaluator, context)


_worker: SeedStudyWorker


def start(settings: SeedVarianceSettings) -> None:
    """Initialise this process as a worker; it ends with its parent."""
    global _worker
    init_worker_process()
    _worker = SeedStudyWorker(settings)


def train_once(network: Architecture, seed: int) -> SeedTraining:
    """Evaluate one network; a diverged training is recorded with its error."""
    row = _row(network, seed)
    start_time = time.process_time()
    try:
        score = _worker.scorer.score(network, seed)
    except NonFiniteLossError as error:
        return replace(row, cpu_seconds=time.process_time() - start_time, error=str(error))
    row = replace(row, value=score.value, cpu_seconds=score.cpu_seconds)
    if score.accuracy is None:
        return row
    return replace(row, accuracy=score.accuracy.top1, loss=score.accuracy.loss)


def _label(network: Architecture, seed: int) -> str:
    return f"{format_count(cost(network).macs)} MACs, seed {seed}"


def _row(network: Architecture, seed: int) -> SeedTraining:
    return SeedTraining(network.key, cost(network).macs, seed)


def train_all(
    study: SeedStudy,
    workers: int,
    timeout_minutes: float | None,
    display: Progress,
    clock: Clock = time.monotonic,
) -> None:
    """Train what is missing: all networks with one seed, then with the next.

    Raises:
        TimeoutReachedError: the timeout was reached; training runs in progress are lost.
    """
    trainings = study.trainings()
    finished = {(each.network, each.seed) for each in trainings}
    settings = study.settings
    tasks = [(network, seed) for seed in range(settings.seeds) for network in settings.networks]
    remaining = deque((network, seed) for network, seed in tasks if (network.key, seed) not in finished)
    if not remaining:
        return
    deadline = Deadline(timeout_minutes, clock)
    pending: dict[Future[Any], tuple[Architecture, int]] = {}
    with Pool(settings, min(workers, len(remaining)), start) as pool:
        while remaining or pending:
            while remaining and len(pending) < pool.workers:
                network, seed = remaining.popleft()
                future = pool.submit(train_once, network, seed)
                pending[future] = network, seed
            done = len(tasks) - len(remaining) - len(pending)
            active_jobs = tuple(_label(*each) for each in pending.values())
            display.update_status(Status("training", done, len(tasks), active_jobs=active_jobs))
            for future in pool.wait(pending):
                network, seed = pending.pop(future)
                try:
                    trainings.append(future.result())
                except WorkerFailedError as error:
                    trainings.append(replace(_row(network, seed), error=str(error)))
                study.save_trainings(trainings)
                if trainings[-1].error:
                    label = _label(network, seed)
                    display.print_line(f"{trainings[-1].network} ({label}): {trainings[-1].error}")
            if (remaining or pending) and deadline.blocks_new_work():
                raise TimeoutReachedError
    display.update_status(Status("training", len(tasks), len(tasks)))
