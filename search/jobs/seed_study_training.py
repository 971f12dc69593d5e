"""The trainings of a study of noise, in worker processes, kept one by one."""

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from ...evaluate import short_count
from ...evaluate.scorers import Means, Scorer, scorer
from ...evaluate.training.trainer import TrainingFailedError
from ...results.store.seed_study import NoiseSettings, NoiseStudy, Trained
from ...search_space import Architecture, cost
from ..console.progress import Progress, Status
from ..parallel.deadline import Clock, TimeLimit
from ..parallel.pool import Pool, result_of
from ..runner.worker import alone, load_run_data


class TimeIsUpError(Exception):
    """The minutes are gone."""


_scorer: Scorer


def start(settings: NoiseSettings) -> None:
    """Make this process a worker, which ends with its parent."""
    global _scorer
    alone()
    means = Means(load_run_data(settings.data), settings.recipe, settings.torch_device)
    _scorer = scorer(settings.scorer, means)


def judge(network: Architecture, seed: int) -> Trained:
    """Judge one network; a loss that is no number is told in the row."""
    row = Trained(network.key, cost(network).macs, seed)
    began = time.process_time()
    try:
        score = _scorer.score(network, seed)
    except TrainingFailedError as error:
        return replace(row, cpu_seconds=time.process_time() - began, error=str(error))
    row = replace(row, value=score.value, cpu_seconds=score.cpu_seconds)
    if score.accuracy is None:
        return row
    return replace(row, accuracy=score.accuracy.top1, loss=score.accuracy.loss)


def train_all(
    study: NoiseStudy, workers: int, minutes: float | None, shown: Progress, clock: Clock = time.monotonic
) -> None:
    """Train what is not there yet: all networks with one seed, then with the next.

    Each training is kept as soon as it is over.

    Raises:
        TimeIsUpError: the minutes are gone; trainings in progress are lost.
    """
    kept = study.trainings()
    known = {(each.network, each.seed) for each in kept}
    settings = study.settings
    tasks = [(network, seed) for seed in range(settings.seeds) for network in settings.networks]
    todo = deque((network, seed) for network, seed in tasks if (network.key, seed) not in known)
    if not todo:
        return
    limit = TimeLimit(minutes, clock)
    pending: dict[Future[Any], str] = {}
    with Pool(settings, min(workers, len(todo)), start) as pool:
        while todo or pending:
            while todo and len(pending) < pool.workers:
                network, seed = todo.popleft()
                future = pool.submit(judge, network, seed)
                pending[future] = f"{short_count(cost(network).macs)} MACs, seed {seed}"
            done = len(tasks) - len(todo) - len(pending)
            shown.show(Status("training", done, len(tasks), doing=tuple(pending.values())))
            for future in pool.wait(pending):
                name = pending.pop(future)
                kept.append(result_of(future))
                study.keep(kept)
                if kept[-1].error:
                    shown.say(f"{kept[-1].network} ({name}): {kept[-1].error}")
            if (todo or pending) and limit.forbids():
                raise TimeIsUpError
    shown.show(Status("training", len(tasks), len(tasks)))
