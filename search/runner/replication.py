"""Replicates: further training runs of evaluated networks with other seeds, to estimate noise and the front.

Networks share the seeds: a replicate takes the lowest seed above the run's that its network has not had. So
the effect that a seed has on all networks can be separated from noise.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ...evaluate import Accuracy, Goals
from ...evaluate.statistics.seed_noise import MIN_DEGREES_OF_FREEDOM
from ...results import Record, Run, pareto_front
from ...results.analysis.front_posterior import FrontPosterior, front_posterior_of
from ...search_space.errors import STEP_FAILURES
from ..console.progress import Progress, Status
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool
from . import worker
from .attempts import Attempts
from .budget import training_seconds

REPLICATE_EVERY = 8


@dataclass(frozen=True)
class Replicate:
    """A training run of a network with another seed."""

    record: Record
    seed: int

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

    def next_during_search(self, completed: Sequence[Record]) -> Replicate | None:
        """One for every 8 evaluated networks, up to half of all, so that the noise is known early."""
        settings = self.run.settings
        if self.n_started >= min(settings.replicates // 2, len(completed) // REPLICATE_EVERY):
            return None
        front = pareto_front(completed, settings.goals.objectives)
        return self._start(least_certain(completed, front, settings.goals, self._busy))

    def next_after_search(self) -> Replicate | None:
        """The most informative one; None where the front is decided or all were started."""
        settings = self.run.settings
        if self.n_started >= settings.replicates:
            return None
        return self._start(most_informative(self.run.completed_records(), settings.goals, self._busy))

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

    @property
    def _busy(self) -> Counter[str]:
        return Counter(replicate.record.key for replicate in self.running)

    def _start(self, record: Record | None) -> Replicate | None:
        if record is None:
            return None
        used_seeds = {seed for key, seed in self.finished if key == record.key}
        used_seeds |= {replicate.seed for replicate in self.running if replicate.record.key == record.key}
        seed = self.run.settings.seed + 1
        while seed in used_seeds:
            seed += 1
        replicate = Replicate(record, seed)
        self.running.append(replicate)
        return replicate


def most_informative(records: Sequence[Record], goals: Goals, busy: Mapping[str, int]) -> Record | None:
    """The network whose next replicate is most informative about the front; None where it is decided.

    Among the networks that are neither on the front nor off it with 90% probability, the one of highest
    `p (1 - p)` x variance of its true accuracy, halved for every running replicate. Ties: the fewest seeds.

    Args:
        busy: number of running replicates by key.
    """
    if not goals.depends_on_accuracy:
        return None
    front_posterior = _front_posterior(records, goals)
    if front_posterior is None:
        return _least_replicated(records, pareto_front(records, goals.objectives), busy)
    return _most_uncertain(front_posterior.undecided, front_posterior, busy)


def least_certain(
    completed: Sequence[Record], front: Sequence[Record], goals: Goals, busy: Mapping[str, int]
) -> Record | None:
    """The network of the front with the least certain membership; None if no objective is on accuracy."""
    if not goals.depends_on_accuracy:
        return None
    front_posterior = _front_posterior(completed, goals)
    if front_posterior is None:
        return _least_replicated(completed, front, busy)
    return _most_uncertain(front, front_posterior, busy)


def _front_posterior(records: Sequence[Record], goals: Goals) -> FrontPosterior | None:
    """None while too few replicates estimate the noise."""
    posterior = front_posterior_of(records, goals)
    return posterior if posterior and posterior.noise.degrees_of_freedom >= MIN_DEGREES_OF_FREEDOM else None


def _most_uncertain(
    records: Sequence[Record], front_posterior: FrontPosterior, busy: Mapping[str, int]
) -> Record | None:
    def priority(record: Record) -> tuple[float, int]:
        probability = front_posterior.pareto_probability(record)
        expected_information = (
            probability * (1 - probability) * front_posterior.std(record) ** 2 / 2 ** busy.get(record.key, 0)
        )
        return expected_information, -len(record.trainings)

    return max(records, key=priority, default=None)


def _least_replicated(
    records: Sequence[Record], front: Sequence[Record], busy: Mapping[str, int]
) -> Record | None:
    """While the noise is unknown: the fewest seeds, then networks of the front, then the highest accuracy.

    Different networks with the same seed separate noise from the seed's effect on all of them.
    """
    on_front = {record.key for record in front}
    trained = [record for record in records if record.state == "complete" and record.trainings]

    def order(record: Record) -> tuple[int, bool, float]:
        trainings = len(record.trainings) + busy.get(record.key, 0)
        return -trainings, record.key in on_front, record.top1

    return max(trained, key=order, default=None)


def replicate_front(run: Run, pool: Pool, progress: Progress, deadline: Deadline | None = None) -> int:
    """Train replicates until the front is decided or the run's number of replicates is reached.

    Returns:
        Number of replicates.
    """
    deadline = deadline or Deadline()
    replicates = ReplicationScheduler(run)
    seconds = training_seconds(run.completed_records()) if deadline.minutes else 0.0
    before, total = len(replicates.finished), run.settings.replicates
    pending: dict[Future[Any], Replicate] = {}
    with Attempts(run.study) as attempts, pool.limited(lambda: deadline.seconds_until_stop(seconds)):
        while True:
            while len(pending) < pool.workers and (replicate := replicates.next_after_search()):
                if deadline.blocks_new_work(seconds):
                    replicates.running.remove(replicate)
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
            if not finished and deadline.stops_work(seconds):
                pool.abandon(pending)
                return len(replicates.finished) - before
