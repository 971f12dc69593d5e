"""Training runs of a seed study in worker processes; each is saved when it finishes."""

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from ...evaluate import format_count
from ...evaluate.scorers import EvaluationContext, Scorer, evaluator
from ...results.store.seed_study import SeedStudy, SeedTraining, SeedVarianceSettings
from ...search_space import Architecture, cost
from ...search_space.errors import NonFiniteLossError
from ..console.progress import Progress, Status
from ..parallel.deadline import Clock, Deadline
from ..parallel.pool import Pool, result_of
from ..parallel.worker_process import init_worker_process


class TimeoutReachedError(Exception):
    """The timeout was reached before all training runs finished."""


_scorer: Scorer


def start(settings: SeedVarianceSettings) -> None:
    """Initialise this process as a worker; it ends with its parent."""
    global _scorer
    init_worker_process()
    context = EvaluationContext(settings.data.load(), settings.recipe, settings.torch_device)
    _scorer = evaluator(settings.evaluator, context)


def train_once(network: Architecture, seed: int) -> SeedTraining:
    """Evaluate one network; a diverged training is recorded with its error."""
    row = SeedTraining(network.key, cost(network).macs, seed)
    start_time = time.process_time()
    try:
        score = _scorer.score(network, seed)
    except NonFiniteLossError as error:
        return replace(row, cpu_seconds=time.process_time() - start_time, error=str(error))
    row = replace(row, value=score.value, cpu_seconds=score.cpu_seconds)
    if score.accuracy is None:
        return row
    return replace(row, accuracy=score.accuracy.top1, loss=score.accuracy.loss)


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
    pending: dict[Future[Any], str] = {}
    with Pool(settings, min(workers, len(remaining)), start) as pool:
        while remaining or pending:
            while remaining and len(pending) < pool.workers:
                network, seed = remaining.popleft()
                future = pool.submit(train_once, network, seed)
                pending[future] = f"{format_count(cost(network).macs)} MACs, seed {seed}"
            done = len(tasks) - len(remaining) - len(pending)
            display.update_status(Status("training", done, len(tasks), active_jobs=tuple(pending.values())))
            for future in pool.wait(pending):
                name = pending.pop(future)
                trainings.append(result_of(future))
                study.save_trainings(trainings)
                if trainings[-1].error:
                    display.print_line(f"{trainings[-1].network} ({name}): {trainings[-1].error}")
            if (remaining or pending) and deadline.blocks_new_work():
                raise TimeoutReachedError
    display.update_status(Status("training", len(tasks), len(tasks)))
