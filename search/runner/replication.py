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
from ...evaluate.statistics.seed_noise import LEAST_FREEDOM
from ...evaluate.training.trainer import TrainingFailedError
from ...results import Record, Run, pareto_front
from ...results.analysis.front_posterior import Certainty, certainty_of
from ...search_space import ScorerError
from ..console.progress import Progress, Status
from ..parallel.deadline import TimeLimit
from ..parallel.pool import Pool, result_of
from . import worker

EVERY = 8


@dataclass(frozen=True)
class Repeat:
    """One more training of a network."""

    record: Record
    seed: int

    def __str__(self) -> str:
        return f"trains trial {self.record.trial} again, seed {self.seed}"


@dataclass
class Repeats:
    """The repeats of a run: which are next, and which are over.

    Attributes:
        over: keys and seeds of those that ended, well or not; each counts against the run's number.
        running: those under way.
    """

    run: Run
    over: set[tuple[str, int]] = field(init=False)
    running: list[Repeat] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = self.run.repeats()
        self.over = {(key, each.seed) for key, again in found.items() for each in again}
        self.over |= set(self.run.failed_repeats())

    @property
    def begun(self) -> int:
        return len(self.over) + len(self.running)

    def during(self, judged: Sequence[Record]) -> Repeat | None:
        """One for every 8 networks judged, half of all at most: so the noise is known early."""
        settings = self.run.settings
        if self.begun >= min(settings.repeats // 2, len(judged) // EVERY):
            return None
        front = pareto_front(judged, settings.goals.objectives)
        return self._begin(least_sure(judged, front, settings.goals, self._busy))

    def after(self) -> Repeat | None:
        """Where another training matters most; None where the front is settled or all are begun."""
        settings = self.run.settings
        if self.begun >= settings.repeats:
            return None
        return self._begin(most_telling(self.run.kept(), settings.goals, self._busy))

    def end(self, repeat: Repeat, future: Future[Any], progress: Progress) -> None:
        """Note what came of it."""
        found: Accuracy | str
        try:
            found = result_of(future)
        except (TrainingFailedError, ScorerError) as error:
            found = str(error)
            progress.say(f"trial {repeat.record.trial} again, seed {repeat.seed}: {found}")
        self.run.keep_repeat(repeat.record.key, repeat.seed, found)
        self.running.remove(repeat)
        self.over.add((repeat.record.key, repeat.seed))

    @property
    def _busy(self) -> Counter[str]:
        return Counter(repeat.record.key for repeat in self.running)

    def _begin(self, record: Record | None) -> Repeat | None:
        return None if record is None else self._next(record)

    def _next(self, record: Record) -> Repeat:
        taken = {seed for key, seed in self.over if key == record.key}
        taken |= {repeat.seed for repeat in self.running if repeat.record.key == record.key}
        seed = self.run.settings.seed + 1
        while seed in taken:
            seed += 1
        repeat = Repeat(record, seed)
        self.running.append(repeat)
        return repeat


def most_telling(records: Sequence[Record], goals: Goals, busy: Mapping[str, int]) -> Record | None:
    """The network of which another training tells most about the front; None where the front is settled.

    Of those not told with 90% to be on the front or not, the one of greatest `p (1 - p)` x variance of
    its true accuracy; a training under way halves what another one promises. Equals: the fewest trainings.

    Args:
        busy: number of repeats under way, by key.
    """
    if not goals.of_accuracy:
        return None
    certainty = _certainty(records, goals)
    if certainty is None:
        return _to_begin_with(records, pareto_front(records, goals.objectives), busy)
    return _unsurest(certainty.unsettled, certainty, busy)


def least_sure(
    judged: Sequence[Record], front: Sequence[Record], goals: Goals, busy: Mapping[str, int]
) -> Record | None:
    """The network of the front whose membership is least sure; None where accuracy decides no objective."""
    if not goals.of_accuracy:
        return None
    certainty = _certainty(judged, goals)
    if certainty is None:
        return _to_begin_with(judged, front, busy)
    return _unsurest(front, certainty, busy)


def _certainty(records: Sequence[Record], goals: Goals) -> Certainty | None:
    """None while the noise is told by too few repeats to choose by it."""
    found = certainty_of(records, goals)
    return found if found and found.noise.freedom >= LEAST_FREEDOM else None


def _unsurest(records: Sequence[Record], certainty: Certainty, busy: Mapping[str, int]) -> Record | None:
    def promise(record: Record) -> tuple[float, int]:
        chance = certainty.on_front_probability(record)
        told = chance * (1 - chance) * certainty.deviation(record) ** 2 / 2 ** busy.get(record.key, 0)
        return told, -len(record.trainings)

    return max(records, key=promise, default=None)


def _to_begin_with(
    records: Sequence[Record], front: Sequence[Record], busy: Mapping[str, int]
) -> Record | None:
    """While the noise is hardly known: the fewest trainings, then the front, then the most accurate.

    Different networks with the same seed tell noise from what the seed does to all of them.
    """
    on_front = {record.key for record in front}
    trained = [record for record in records if record.state == "judged" and record.trainings]

    def order(record: Record) -> tuple[int, bool, float]:
        trainings = len(record.trainings) + busy.get(record.key, 0)
        return -trainings, record.key in on_front, record.top1

    return max(trained, key=order, default=None)


def repeat_front(run: Run, pool: Pool, progress: Progress, limit: TimeLimit | None = None) -> int:
    """Train again where it matters, until the front is settled or the run's repeats are used up.

    Returns:
        How many were trained.
    """
    limit = limit or TimeLimit()
    repeats = Repeats(run)
    before, total = len(repeats.over), run.settings.repeats
    pending: dict[Future[Any], Repeat] = {}
    while True:
        while len(pending) < pool.workers and (repeat := repeats.after()):
            if limit.forbids():
                repeats.running.remove(repeat)
                break
            pending[pool.submit(worker.train_again, repeat.record.architecture, repeat.seed)] = repeat
        if not pending:
            return len(repeats.over) - before
        doing = tuple(map(str, pending.values()))
        progress.show(Status("training again", len(repeats.over), total, doing=doing))
        for future in pool.wait(pending):
            repeats.end(pending.pop(future), future, progress)
            progress.show(Status("training again", len(repeats.over), total))
