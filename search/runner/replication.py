"""Trainings of networks that were judged already, with other seeds: what tells the noise, and the front.

Networks share the seeds: a repeat takes the lowest seed above the run's that its network has not had. So
what a seed does to all networks is told apart from noise.
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
from ...search_space import ScorerError
from ...search_space.errors import NonFiniteLossError
from ..console.progress import Progress, Status
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool, result_of
from . import worker

REPLICATE_EVERY = 8


@dataclass(frozen=True)
class Replicate:
    """One more training of a network."""

    record: Record
    seed: int

    def __str__(self) -> str:
        return f"trains trial {self.record.trial} again, seed {self.seed}"


@dataclass
class ReplicationScheduler:
    """The repeats of a run: which are next, and which are over.

    Attributes:
        finished: keys and seeds of those that ended, well or not; each counts against the run's number.
        running: those under way.
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
        """One for every 8 networks judged, half of all at most: so the noise is known early."""
        settings = self.run.settings
        if self.n_started >= min(settings.replicates // 2, len(completed) // REPLICATE_EVERY):
            return None
        front = pareto_front(completed, settings.goals.objectives)
        return self._start(least_certain(completed, front, settings.goals, self._busy))

    def next_after_search(self) -> Replicate | None:
        """Where another training matters most; None where the front is settled or all are begun."""
        settings = self.run.settings
        if self.n_started >= settings.replicates:
            return None
        return self._start(most_informative(self.run.completed_records(), settings.goals, self._busy))

    def finish(self, replicate: Replicate, future: Future[Any], progress: Progress) -> None:
        """Note what came of it."""
        outcome: Accuracy | str
        try:
            outcome = result_of(future)
        except (NonFiniteLossError, ScorerError) as error:
            outcome = str(error)
            progress.print_line(f"trial {replicate.record.trial} again, seed {replicate.seed}: {outcome}")
        self.run.store_replicate(replicate.record.key, replicate.seed, outcome)
        self.running.remove(replicate)
        self.finished.add((replicate.record.key, replicate.seed))

    @property
    def _busy(self) -> Counter[str]:
        return Counter(replicate.record.key for replicate in self.running)

    def _start(self, record: Record | None) -> Replicate | None:
        return None if record is None else self._next(record)

    def _next(self, record: Record) -> Replicate:
        used_seeds = {seed for key, seed in self.finished if key == record.key}
        used_seeds |= {replicate.seed for replicate in self.running if replicate.record.key == record.key}
        seed = self.run.settings.seed + 1
        while seed in used_seeds:
            seed += 1
        replicate = Replicate(record, seed)
        self.running.append(replicate)
        return replicate


def most_informative(records: Sequence[Record], goals: Goals, busy: Mapping[str, int]) -> Record | None:
    """The network of which another training tells most about the front; None where the front is settled.

    Of those not told with 90% to be on the front or not, the one of greatest `p (1 - p)` x variance of
    its true accuracy; a training under way halves what another one promises. Equals: the fewest trainings.

    Args:
        busy: number of repeats under way, by key.
    """
    if not goals.depends_on_accuracy:
        return None
    front_posterior = _certainty(records, goals)
    if front_posterior is None:
        return _least_replicated(records, pareto_front(records, goals.objectives), busy)
    return _most_uncertain(front_posterior.undecided, front_posterior, busy)


def least_certain(
    completed: Sequence[Record], front: Sequence[Record], goals: Goals, busy: Mapping[str, int]
) -> Record | None:
    """The network of the front whose membership is least sure; None where accuracy decides no objective."""
    if not goals.depends_on_accuracy:
        return None
    front_posterior = _certainty(completed, goals)
    if front_posterior is None:
        return _least_replicated(completed, front, busy)
    return _most_uncertain(front, front_posterior, busy)


def _certainty(records: Sequence[Record], goals: Goals) -> FrontPosterior | None:
    """None while the noise is told by too few repeats to choose by it."""
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
    """While the noise is hardly known: the fewest trainings, then the front, then the most accurate.

    Different networks with the same seed tell noise from what the seed does to all of them.
    """
    on_front = {record.key for record in front}
    trained = [record for record in records if record.state == "complete" and record.trainings]

    def order(record: Record) -> tuple[int, bool, float]:
        trainings = len(record.trainings) + busy.get(record.key, 0)
        return -trainings, record.key in on_front, record.top1

    return max(trained, key=order, default=None)


def replicate_front(run: Run, pool: Pool, progress: Progress, deadline: Deadline | None = None) -> int:
    """Train again where it matters, until the front is settled or the run's repeats are used up.

    Returns:
        How many were trained.
    """
    deadline = deadline or Deadline()
    replicates = ReplicationScheduler(run)
    before, total = len(replicates.finished), run.settings.replicates
    pending: dict[Future[Any], Replicate] = {}
    while True:
        while len(pending) < pool.workers and (replicate := replicates.next_after_search()):
            if deadline.blocks_new_work():
                replicates.running.remove(replicate)
                break
            pending[pool.submit(worker.train_replicate, replicate.record.architecture, replicate.seed)] = (
                replicate
            )
        if not pending:
            return len(replicates.finished) - before
        active_jobs = tuple(map(str, pending.values()))
        progress.update_status(Status("replicates", len(replicates.finished), total, active_jobs=active_jobs))
        for future in pool.wait(pending):
            replicates.finish(pending.pop(future), future, progress)
            progress.update_status(Status("replicates", len(replicates.finished), total))
