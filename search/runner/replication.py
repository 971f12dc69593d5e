"""Replicates: further training runs of evaluated networks with other seeds, to estimate noise and the front.

The first few go to networks in the order of their trials, whatever their accuracies, so that the noise is not
known from lucky networks alone. The others go where membership of the front is least certain, until it is
decided.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ...evaluate import Accuracy, Goals
from ...evaluate.statistics.seed_noise import MIN_DEGREES_OF_FREEDOM
from ...results import Record, Run
from ...results.analysis.front_posterior import front_posterior_of
from ...search_space.errors import STEP_FAILURES
from ..console.progress import Progress, Status
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool
from . import worker
from .attempts import Attempts

REPLICATE_EVERY = 8


@dataclass(frozen=True)
class Replicate:
    """A training run of a network with another seed."""

    record: Record
    seed: int

    @property
    def seconds(self) -> float:
        """Duration of its first training."""
        return training_seconds(self.record)

    @property
    def name(self) -> str:
        return f"replicate {self.record.key} {self.seed}"

    def __str__(self) -> str:
        return f"replicates trial {self.record.trial}, seed {self.seed}"


@dataclass
class ReplicationScheduler:
    """Chooses the replicates of a run.

    Attributes:
        finished: keys and seeds, failed ones included; each counts against the run's number.
    """

    run: Run
    finished: set[tuple[str, int]] = field(init=False)
    running: list[Replicate] = field(default_factory=list)

    def __post_init__(self) -> None:
        replicates = self.run.replicates()
        self.finished = {(key, each.seed) for key, again in replicates.items() for each in again}
        self.finished |= set(self.run.failed_replicates())

    @property
    def n_started(self) -> int:
        return len(self.finished) + len(self.running)

    def next_during_search(
        self, completed: Sequence[Record], seconds_left: float = math.inf
    ) -> Replicate | None:
        """One for every 8 evaluated networks, up to half of all, so that the noise is known early.

        None where none of them fits in the time left.
        """
        settings = self.run.settings
        if self.n_started >= min(settings.replicates // 2, len(completed) // REPLICATE_EVERY):
            return None
        return self._next(completed, seconds_left)

    def next_after_search(self, seconds_left: float = math.inf) -> Replicate | None:
        """None where the front is decided, all were started or none fits in the time left."""
        if self.n_started >= self.run.settings.replicates:
            return None
        return self._next(self.run.completed_records(), seconds_left)

    def finish(self, replicate: Replicate, future: Future[Any], progress: Progress) -> None:
        """Store the result."""
        outcome: Accuracy | str
        try:
            outcome = future.result()
        except STEP_FAILURES as error:
            outcome = str(error)
            progress.print_line(f"trial {replicate.record.trial}, seed {replicate.seed}: {outcome}")
        self.run.store_replicate(replicate.record.key, replicate.seed, outcome)
        self.running.remove(replicate)
        self.finished.add((replicate.record.key, replicate.seed))

    def _next(self, records: Sequence[Record], seconds_left: float) -> Replicate | None:
        busy = Counter(replicate.record.key for replicate in self.running)
        record = next_to_replicate(records, self.run.settings.goals, busy, seconds_left)
        if record is None:
            return None
        used_seeds = {seed for key, seed in self.finished if key == record.key}
        used_seeds |= {replicate.seed for replicate in self.running if replicate.record.key == record.key}
        seeds = (self.run.settings.training_seed(record.key, number) for number in count(1))
        replicate = Replicate(record, next(seed for seed in seeds if seed not in used_seeds))
        self.running.append(replicate)
        return replicate


def next_to_replicate(
    records: Sequence[Record], goals: Goals, busy: Mapping[str, int], seconds_left: float = math.inf
) -> Record | None:
    """The network whose next replicate is most informative; None where the front is decided.

    While the noise is unknown: the fewest trainings, then the earliest trial. Afterwards, among the networks
    that are, given their latencies, neither on the front nor off it with 90% probability: the highest
    `p (1 - p)` x variance that more trainings would remove, halved for every running replicate. Ties: the
    fewest trainings.

    Args:
        busy: number of running replicates by key.
        seconds_left: networks that take longer to train are left out.
    """
    if not goals.depends_on_accuracy:
        return None

    def fitting(records: Sequence[Record]) -> list[Record]:
        return [record for record in records if training_seconds(record) <= seconds_left]

    def trainings(record: Record) -> int:
        return len(record.trainings) + busy.get(record.key, 0)

    posterior = front_posterior_of(records, goals)
    if posterior is None or posterior.noise.degrees_of_freedom < MIN_DEGREES_OF_FREEDOM:
        trained = [record for record in fitting(records) if record.state == "complete" and record.trainings]
        return min(trained, key=lambda record: (trainings(record), record.trial), default=None)

    def priority(record: Record) -> tuple[float, int]:
        probability = posterior.probability_given_latencies(record)
        information = probability * (1 - probability) * posterior.seed_std(record) ** 2
        return information / 2 ** busy.get(record.key, 0), -trainings(record)

    return max(fitting(posterior.undecided_given_latencies), key=priority, default=None)


def training_seconds(record: Record) -> float:
    """Duration of the first training of a network; 0 if it was not trained."""
    return record.accuracy.seconds if record.accuracy else 0.0


def replicate_front(run: Run, pool: Pool, progress: Progress, deadline: Deadline | None = None) -> int:
    """Train replicates until the front is decided or the run's number of replicates is reached.

    Returns:
        Number of replicates.
    """
    deadline = deadline or Deadline()
    replicates = ReplicationScheduler(run)
    before, total = len(replicates.finished), run.settings.replicates
    pending: dict[Future[Any], Replicate] = {}

    def seconds() -> float:
        return max((each.seconds for each in pending.values()), default=0.0)

    with Attempts(run.study) as attempts, pool.limited(lambda: deadline.seconds_until_stop(seconds())):
        while True:
            while len(pending) < pool.workers:
                if not (replicate := replicates.next_after_search()):
                    break
                if deadline.blocks_new_work(replicate.seconds):
                    replicates.running.remove(replicate)
                    if not (replicate := replicates.next_after_search(deadline.seconds_left())):
                        break
                network, seed = replicate.record.architecture, replicate.seed
                future = attempts.submit(replicate.name, pool, worker.train_replicate, network, seed)
                pending[future] = replicate
            if not pending:
                return len(replicates.finished) - before
            active_jobs = tuple(map(str, pending.values()))
            status = Status("replicates", len(replicates.finished), total, active_jobs=active_jobs)
            progress.update_status(status)
            finished = pool.wait(pending)
            for future in finished:
                replicate = pending.pop(future)
                replicates.finish(replicate, future, progress)
                attempts.end(replicate.name)
                progress.update_status(Status("replicates", len(replicates.finished), total))
            if not finished and deadline.stops_work(seconds()):
                pool.abandon(pending)
                return len(replicates.finished) - before
