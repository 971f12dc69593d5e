"""The trial loop: this process asks and tells the study, workers measure and train.

`trial_states` has the path of one trial. Every few networks one is trained with another seed, so that the
seed noise is known early. With rungs, training to the lowest one ends a trial, and the best networks are
promoted from there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...evaluate import Accuracy, Latency
from ...results import Record, Run, pareto_front
from ...results.analysis.front_posterior import best_by
from ...results.store.fidelities import count_epochs_spent
from ...results.store.trial import BASELINE_SOURCE
from ...results.text.fidelities import rung_counts_text
from ...results.text.formatting import best_label
from ...search_space import Architecture, NoFeasibleNetworkError, RunError
from ...search_space.errors import STEP_FAILURES, WorkerFailedError
from ...search_space.faults import MEMORY_REMEDY
from ..console.progress import Progress, Status
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool
from ..samplers.registry import SamplerFactory
from ..samplers.training_time import TrainingTime
from . import worker
from .attempts import Attempts
from .budget import FIRST_NETWORK_SHARE, FIRST_NETWORKS_SHARE, EndReserve, epoch_seconds, measurement_seconds
from .latency_policy import LatencyStrategy
from .ledger import Ledger, put_back
from .proposer import NothingFitsError, Proposer, SpaceExhaustedError
from .replication import Replicate, ReplicationScheduler, training_seconds
from .successive_halving import Promotion, last_promotion, next_promotion
from .trial_states import ActiveTrial, State, next_state

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

Work = ActiveTrial | Replicate | Promotion
RECENT_TRIALS = 100  # whose durations are averaged
UNKNOWN_TIME = TrainingTime()


STEPS: Mapping[State, Callable[[Architecture], Any]] = {
    State.MEASURING: worker.measure,
    State.TRAINING: worker.train_network,
    State.REMEASURING: worker.measure,
}


class SearchFinishedError(Exception):
    """No new trial can be started; says why."""


def run_trials(
    run: Run,
    pool: Pool,
    progress: Progress,
    deadline: Deadline | None = None,
    sampler: "BaseSampler | SamplerFactory | None" = None,
    callbacks: Sequence[Callable[[Record], None]] = (),
    training_time: TrainingTime = UNKNOWN_TIME,
) -> None:
    """Propose, measure and train until the run's number of networks is evaluated.

    Fewer are evaluated if no new feasible network is found, or if the time is too short: no trial starts that
    is not expected to end in time, the phases after the trials included; networks that train faster are
    proposed instead while there are any. A trial that is late by its own duration is put back. With rungs it
    continues until no promotion is due; at least one network is trained to the end, deadline or not.

    Args:
        sampler: in place of the one that the run's settings name.
        callbacks: called with every finished trial, and after every promotion.
        training_time: predicts the duration of trainings, for a deadline.
    Raises:
        NoFeasibleNetworkError: no network satisfies the limits.
        RunError: many trials in a row fail, or the deadline passes before one network is evaluated.
    """
    deadline = deadline or Deadline()
    ledger = Ledger(run, callbacks)
    if deadline.minutes:
        deadline.reserve = EndReserve(run, lambda: ledger.evaluated, pool.workers, 60 * deadline.minutes)
    loop = _TrialLoop(run, pool, progress, deadline, ledger, sampler, training_time)
    with loop.attempts, pool.limited(loop.seconds_until_stop):
        loop.run_loop()
    loop.proposer.put_back_postponed()
    if not ledger.evaluated and deadline.work_was_skipped:
        raise RunError(
            f"no network was evaluated within {deadline.minutes:g} minutes; resume with more time: "
            f"{run.resume_command}"
        )
    if not ledger.evaluated:
        raise loop.proposer.no_feasible_network()
    if not ledger.completed:
        why = next((record.error for record in ledger.evaluated if record.error), "")
        raise RunError(
            f"no network could be trained to {run.settings.recipe.epochs} epochs, one because {why}; "
            "start a new run with a lower --learning-rate"
        )


@dataclass
class _TrialLoop:
    """State of the loop.

    Attributes:
        running: work of the workers.
        finished: no new trial may start.
        is_last: the last promotion runs, without which no network is trained to the end.
        latest: the network evaluated last.
    """

    run: Run
    pool: Pool
    progress: Progress
    deadline: Deadline
    ledger: Ledger
    sampler: "BaseSampler | SamplerFactory | None" = None
    training_time: TrainingTime = UNKNOWN_TIME
    running: dict[Future[Any], Work] = field(default_factory=dict)
    finished: bool = False
    is_last: bool = False
    latest: Record | None = None

    def __post_init__(self) -> None:
        self.latency_strategy = LatencyStrategy.of(self.run)
        self.proposer = Proposer(self.run, self.ledger, self.latency_strategy.model, self.sampler)
        self.replicates = ReplicationScheduler(self.run)
        self.attempts = Attempts(self.run.study)

    def run_loop(self) -> None:
        """Keep the workers busy until there is no work."""
        while True:
            while len(self.running) < self.pool.workers and self._start_next():
                pass
            if not self.running and (promotion := self._promotion(final=True)):
                self.is_last = True
                self._submit_promotion(promotion)
            self._update_status()
            if not self.running:
                return
            finished = self.pool.wait(self.running)
            for future in finished:
                self._finish(future)
            if not finished and not self.is_last and self.deadline.stops_work(self._running_seconds()):
                self._stop_running()

    def _start_next(self) -> bool:
        """Start work for a free worker; False if there is none now."""
        promotion = self._promotion()
        n_proposed = sum(isinstance(work, ActiveTrial) for work in self.running.values())
        n_remaining = self.run.settings.n_trials - len(self.ledger.evaluated) - n_proposed
        if promotion is None and (self.finished or n_remaining <= 0):
            return False
        if promotion:
            if self.deadline.blocks_new_work(self._seconds(promotion)):
                self.finished = True
                return False
            self._submit_promotion(promotion)
            return True
        try:
            work = self._next_work()
        except NothingFitsError:
            self.finished = self.deadline.work_was_skipped = True
            return False
        except SearchFinishedError as why:
            self.finished = True
            self.progress.print_line(str(why))
            return False
        if isinstance(work, Replicate):
            self._submit(work, worker.train_replicate, work.record.architecture, work.seed)
        else:
            self._advance(work, self.latency_strategy.predict_before_training(work.architecture))
        return True

    def _seconds(self, work: Work) -> float:
        """Estimated duration of work; 0 without a time limit."""
        if not self.deadline.minutes:
            return 0.0
        records = self.ledger.evaluated[-RECENT_TRIALS:]
        if isinstance(work, Promotion):
            return (work.epochs - work.record.epochs) * epoch_seconds(records)
        if isinstance(work, Replicate):
            return work.seconds
        return measurement_seconds(records) + self.training_time.seconds(work.architecture, records)

    def _max_training_macs(self, seconds_left: float) -> float:
        """Of the largest training that fits in the time left; infinite without a time limit."""
        records = self.ledger.evaluated[-RECENT_TRIALS:]
        seconds = seconds_left - measurement_seconds(records)
        return self.training_time.max_training_macs(seconds, records)

    def _max_baseline_macs(self) -> float:
        """Of the largest baseline that fits in the share of baselines, the first one in its own share."""
        records = self.ledger.evaluated[-RECENT_TRIALS:]
        spent = [training_seconds(each) for each in records if each.source == BASELINE_SOURCE]
        trials = (work for work in self.running.values() if isinstance(work, ActiveTrial))
        spent += [self._seconds(each) for each in trials if each.record.source == BASELINE_SOURCE]
        if not self.deadline.minutes:
            return math.inf
        seconds = 60 * self.deadline.minutes
        share = FIRST_NETWORKS_SHARE * seconds * self.pool.workers if spent else FIRST_NETWORK_SHARE * seconds
        return self.training_time.max_training_macs(share - sum(spent), records)

    def _running_seconds(self) -> float:
        """Estimated duration of the longest running work."""
        return max(map(self._seconds, self.running.values()), default=0.0)

    def seconds_until_stop(self) -> float:
        """After which a step that starts now is stopped."""
        return math.inf if self.is_last else self.deadline.seconds_until_stop(self._running_seconds())

    def _stop_running(self) -> None:
        """Put the unfinished work back; a resumed search does it."""
        self.finished = True
        self.pool.abandon(self.running)
        for work in self.running.values():
            if isinstance(work, ActiveTrial):
                put_back(self.run, work.trial)
            elif isinstance(work, Replicate):
                self.replicates.running.remove(work)
        self.running.clear()

    def _next_work(self) -> ActiveTrial | Replicate:
        """A due replicate, or a new trial, that fits in the time left.

        Raises:
            NothingFitsError: there is none, for lack of time.
            SearchFinishedError: there is none.
            NoFeasibleNetworkError: no network satisfies the limits.
        """
        seconds_left = self.deadline.seconds_left()
        if replicate := self.replicates.next_during_search(self.ledger.completed, seconds_left):
            return replicate
        try:
            return self.proposer.next(self._max_training_macs(seconds_left), self._max_baseline_macs())
        except SpaceExhaustedError:
            name = self.run.settings.space.name
            raise SearchFinishedError(
                f"every network of space {name} within the limits on cost has been proposed"
            ) from None
        except NoFeasibleNetworkError as error:
            if not self.ledger.evaluated and not self.running:
                raise
            raise SearchFinishedError(f"no more networks: {error}") from None

    def _finish(self, future: Future[Any]) -> None:
        """Store the result of a step, and submit the next one of the same trial."""
        work = self.running.pop(future)
        if isinstance(work, Replicate):
            self.replicates.finish(work, future, self.progress)
            self.attempts.end(work.name)
            self.ledger.update_replicates()
        elif isinstance(work, Promotion):
            self._finish_promotion(work, future)
        else:
            try:
                self._advance(work, future.result())
            except STEP_FAILURES as error:
                work.error = str(error)
                if isinstance(error, WorkerFailedError):
                    work.remedy = MEMORY_REMEDY
                self._advance(work)

    def _advance(self, active: ActiveTrial, result: Latency | Accuracy | None = None) -> None:
        """Take a trial to its next state: a step for a worker, or its end."""
        settings = self.run.settings
        if result is not None:
            self.ledger.store(active, result)
        state = next_state(
            active,
            settings.goals,
            self.latency_strategy,
            self.ledger.completed,
            has_rungs=settings.rungs is not None,
        )
        if state in STEPS:
            active.advance(state)
            self._submit(active, STEPS[state], active.architecture)
            return
        record = self.ledger.finish(active, state)
        self.attempts.end(active.name)
        if record.is_evaluated:
            self.latest = record
            self._update_status()

    def _finish_promotion(self, promotion: Promotion, future: Future[Any]) -> None:
        trial = f"trial {promotion.record.trial}"
        try:
            reached = future.result()
        except STEP_FAILURES as error:
            self.progress.print_line(f"{trial}, promoted to {promotion.epochs} epochs: {error}")
            self.ledger.promote(promotion, str(error))
            self.attempts.end(promotion.name)
            return
        if reached.restart_reason:
            self.progress.print_line(f"{trial} was trained from the start again: {reached.restart_reason}")
        self.latest = self.ledger.promote(promotion, reached.accuracy)
        self.attempts.end(promotion.name)
        if self.latest.state == "complete":
            self.run.partial_checkpoint(self.latest.architecture).unlink(missing_ok=True)
        self._update_status()

    def _promotion(self, *, final: bool = False) -> Promotion | None:
        """The next promotion, if the run has rungs and one is due."""
        rungs, objectives = self.run.settings.rungs, self.run.settings.goals.objectives
        if rungs is None:
            return None
        if final:
            return last_promotion(self.ledger.evaluated, rungs, objectives)
        busy = {work.record.key for work in self.running.values() if isinstance(work, Promotion)}
        return next_promotion(self.ledger.evaluated, rungs, objectives, busy)

    def _submit_promotion(self, promotion: Promotion) -> None:
        self._submit(promotion, worker.train_to_rung, promotion.record.architecture, promotion.epochs)

    def _submit(self, work: Work, step: Callable[..., Any], *arguments: Any) -> None:
        self.running[self.attempts.submit(work.name, self.pool, step, *arguments)] = work

    def _update_status(self) -> None:
        busy = list(self.running.values())
        self.progress.update_status(_status(self.run, self.ledger, busy, self.latest))


def _status(run: Run, ledger: Ledger, busy: Sequence[Work], latest: Record | None) -> Status:
    settings, completed = run.settings, ledger.completed
    status = Status(
        phase="evaluating",
        done=len(ledger.evaluated),
        total=settings.n_trials,
        infeasible=ledger.infeasible,
        duplicates=ledger.duplicates,
        failed=ledger.failed,
        active_jobs=tuple(map(str, busy)),
        latest=latest,
        best=best_by(settings.goals.ranking_objective, completed),
        best_label=best_label(settings.goals),
        front=len(pareto_front(completed, settings.goals.objectives)),
    )
    if settings.rungs is None:
        return status
    epochs_spent = count_epochs_spent(ledger.evaluated, settings.rungs)
    running_epochs = sum(each.epochs - each.record.epochs for each in busy if isinstance(each, Promotion))
    projected_epochs = max(
        epochs_spent.projected_epochs(settings.n_trials, settings.rungs.reduction_factor),
        epochs_spent.epochs + running_epochs,
    )
    return replace(
        status, epochs=(epochs_spent.epochs, projected_epochs), rungs=rung_counts_text(epochs_spent)
    )
