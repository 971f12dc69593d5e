"""One search on a world: proposals around the front, trainings, replicates by bneck's policy, and the report.

Nothing is trained; the choice of replicates and the report are those of a real search.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bneck.evaluate import Accuracy, Goals, parse_goals
from bneck.evaluate.statistics.arrays import Array
from bneck.evaluate.statistics.outcomes import pack_outcomes
from bneck.results import Record, Run, pareto_front
from bneck.results.analysis.front_posterior import FrontPosterior, front_posterior_of
from bneck.results.store.trial import with_posteriors, with_replicates
from bneck.search.console.progress import Progress
from bneck.search.runner.replication import Replicate, ReplicationScheduler
from bneck.search_space import Cost

from ..search_space.helpers import TOY
from .world import Candidate, Setting, World

GOALS = parse_goals("accuracy,macs", {})
N_RANDOM = 10
RANDOM_SHARE = 0.3


@dataclass(eq=False)
class SimulatedRun:
    """What `ReplicationScheduler` needs of a run, and the truth behind it."""

    world: World
    n_trials: int
    n_replicates: int
    goals: Goals = GOALS
    candidates: dict[str, Candidate] = field(default_factory=dict)
    own_images: dict[str, Array] = field(default_factory=dict)
    trained: list[Record] = field(default_factory=list)
    again: dict[str, tuple[Accuracy, ...]] = field(default_factory=dict)

    @property
    def settings(self) -> Any:
        def training_seed(key: str, replicate: int = 0) -> int:
            return replicate

        return SimpleNamespace(replicates=self.n_replicates, goals=self.goals, training_seed=training_seed)

    def replicates(self) -> Mapping[str, tuple[Accuracy, ...]]:
        return self.again

    def failed_replicates(self) -> Mapping[tuple[str, int], str]:
        return {}

    def completed_records(self) -> list[Record]:
        return with_posteriors(with_replicates(self.trained, self.again))

    def store_replicate(self, key: str, seed: int, outcome: Accuracy) -> None:
        self.again[key] = (*self.again.get(key, ()), outcome)

    def true_accuracy(self, record: Record) -> float:
        return self.world.true_accuracy(self.candidates[record.key])

    def accuracy(self, key: str, seed: int = 0) -> Accuracy:
        right = self.world.train(self.candidates[key], self.own_images[key])
        return accuracy_of(right, seed)

    def evaluate(self, candidate: Candidate) -> None:
        """The next trial."""
        number = len(self.trained)
        architecture = replace(TOY, classes=10 + number)
        key = architecture.key
        self.candidates[key], self.own_images[key] = candidate, self.world.own_images()
        macs = Cost(**{**dict.fromkeys(Cost.__dataclass_fields__, 0), "macs": candidate.macs})
        accuracy = self.accuracy(key)
        self.trained.append(Record(number, "sampler", "complete", architecture, macs, accuracy=accuracy))

    def propose(self) -> Candidate:
        """Random ones first, then mostly variations of networks on the front of observed means."""
        rng = self.world.rng
        if len(self.trained) < N_RANDOM or rng.random() < RANDOM_SHARE:
            return self.world.random()
        front = pareto_front(self.completed_records(), self.goals.objectives)
        return self.world.near(self.candidates[front[rng.integers(len(front))].key])


def accuracy_of(right: NDArray[np.bool_], seed: int) -> Accuracy:
    return Accuracy(float(right.mean()), 0.0, len(right), 0, seed, 0.0, (), pack_outcomes(right))


def simulate(setting: Setting, seed: int, n_trials: int = 60, n_replicates: int = 12) -> SimulatedRun:
    """A whole search, as `run_trials` and `replicate_front` do it with one worker."""
    run = SimulatedRun(World(setting, np.random.default_rng([seed, *setting.key])), n_trials, n_replicates)
    scheduler = ReplicationScheduler(cast(Run, run))
    while len(run.trained) < n_trials:
        if replicate := scheduler.next_during_search(run.completed_records()):
            _train(run, scheduler, replicate)
        else:
            run.evaluate(run.propose())
    while replicate := scheduler.next_after_search():
        _train(run, scheduler, replicate)
    return run


def report(run: SimulatedRun) -> tuple[list[Record], FrontPosterior]:
    """The evaluated networks and the posterior that a report shows."""
    records = run.completed_records()
    posterior = front_posterior_of(records, run.goals)
    assert posterior is not None
    return records, posterior


def _train(run: SimulatedRun, scheduler: ReplicationScheduler, replicate: Replicate) -> None:
    done: Future[Any] = Future()
    done.set_result(run.accuracy(replicate.record.key, replicate.seed))
    scheduler.finish(replicate, done, cast(Progress, None))
