"""Training runs of a seed study in worker processes; each is saved when it finishes."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

from ...evaluate import format_count
from ...evaluate.scorers import EvaluationContext, Scorer, evaluator
from ...results.store.seed_study import SeedStudy, SeedTraining, SeedVarianceSettings
from ...search_space import Architecture, cost
from ...search_space.errors import NonFiniteLossError, WorkerFailedError
from ..console.progress import Progress, Status
from ..parallel.deadline import Deadline
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


def _mean_seconds(trainings: Sequence[SeedTraining]) -> float:
    return fmean(each.cpu_seconds for each in trainings) if trainings else 0.0


def _label(network: Architecture, seed: int) -> str:
    return f"{format_count(cost(network).macs)} MACs, seed {seed}"


def _row(network: Architecture, seed: int) -> SeedTraining:
    return SeedTraining(network.key, cost(network).macs, seed)


def train_all(
    study: SeedStudy,
    workers: int,
    deadline: Deadline,
    display: Progress,
) -> None:
    """Train what is missing: all networks with one seed, then with the next.

    No training run starts that is not expected to end in time; one that is late by as much again is stopped.

    Raises:
        TimeoutReachedError: the timeout was reached.
    """
    trainings = study.trainings()
    known = {(each.network, each.seed) for each in trainings}
    settings = study.settings
    tasks = [(network, seed) for seed in range(settings.seeds) for network in settings.networks]
    remaining = deque((network, seed) for network, seed in tasks if (network.key, seed) not in known)
    if not remaining:
        return
    pending: dict[Future[Any], tuple[Architecture, int]] = {}
    with Pool(settings, min(workers, len(remaining)), start) as pool:
        while remaining or pending:
            seconds = _mean_seconds(trainings)
            while remaining and len(pending) < pool.workers:
                if deadline.blocks_new_work(seconds):
                    break
                network, seed = remaining.popleft()
                future = pool.submit(train_once, network, seed)
                pending[future] = network, seed
            done = len(tasks) - len(remaining) - len(pending)
            active_jobs = tuple(_label(*each) for each in pending.values())
            display.update_status(Status("training", done, len(tasks), active_jobs=active_jobs))
            if not pending:
                raise TimeoutReachedError
            finished = pool.wait(pending)
            for future in finished:
                network, seed = pending.pop(future)
                try:
                    trainings.append(future.result())
                except WorkerFailedError as error:
                    trainings.append(replace(_row(network, seed), error=str(error)))
                study.save_trainings(trainings)
                if trainings[-1].error:
                    label = _label(network, seed)
                    display.print_line(f"{trainings[-1].network} ({label}): {trainings[-1].error}")
            if not finished and deadline.stops_work(seconds):
                raise TimeoutReachedError
    display.update_status(Status("training", len(tasks), len(tasks)))
