"""The search itself: one process asks and tells the study, workers measure and train.

The chain of one trial stops at the first limit that is broken: cost in closed form, then latency
(predicted, or measured in a second), then training. Every so often a network of the front is trained again,
so that the noise is known early. Where a run has rungs, training to the lowest one ends a trial, and the
best are trained on from there.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...evaluate import Accuracy, Latency
from ...results import Record, Run, pareto_front
from ...results.analysis.front_posterior import best_by
from ...results.store.fidelities import count_epochs_spent
from ...results.text.fidelities import rung_counts_text
from ...results.text.formatting import best_label
from ...search_space import Architecture, NoFeasibleNetworkError, RunError, ScorerError
from ...search_space.errors import NonFiniteLossError
from ..console.progress import Progress, Status
from ..parallel.deadline import Deadline
from ..parallel.pool import Pool, result_of
from ..samplers.registry import SamplerFactory
from . import worker
from .latency_policy import LatencyStrategy
from .replication import Replicate, ReplicationScheduler
from .successive_halving import Promotion, last_promotion, next_promotion
from .trials import Proposal, SpaceExhaustedError, TrialManager

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

Work = Proposal | Replicate | Promotion


class SearchFinishedError(Exception):
    """Nothing new is left to begin; says why."""


def run_trials(
    run: Run,
    pool: Pool,
    progress: Progress,
    deadline: Deadline | None = None,
    sampler: "BaseSampler | SamplerFactory | None" = None,
    callbacks: Sequence[Callable[[Record], None]] = (),
) -> None:
    """Propose, measure and train until the run's number of networks is judged.

    Fewer are judged where nothing new keeps the limits any more, or where the time is up. With rungs it
    goes on until no network is due to be trained on; one at least is trained to the end, time or not.

    Raises:
        NoFeasibleNetworkError: nothing at all keeps them.
        RunError: one training after another fails, or the time is up before one network is judged.
    """
    deadline = deadline or Deadline()
    trial_loop = _TrialLoop(run, pool, progress, deadline, sampler, callbacks)
    trial_loop.run_loop()
    trial_manager = trial_loop.trial_manager
    if not trial_manager.evaluated and deadline.work_was_skipped:
        message = f"the {deadline.minutes:g} minutes were gone before a network was judged"
        raise RunError(f"{message}; go on with: bneck search {run.folder} --resume")
    if not trial_manager.evaluated:
        trial_manager.raise_no_feasible_network()
    if not trial_manager.completed:
        why = next((record.error for record in trial_manager.evaluated if record.error), "")
        raise RunError(
            f"no network could be trained to {run.settings.recipe.epochs} epochs, one because {why}; "
            "begin a new run with a lower --learning-rate"
        )


@dataclass
class _TrialLoop:
    """The state of a search.

    Attributes:
        running: what the workers do.
        finished: whether no new network is to begin.
        latest: the network judged last.
    """

    run: Run
    pool: Pool
    progress: Progress
    deadline: Deadline
    sampler: "BaseSampler | SamplerFactory | None" = None
    callbacks: Sequence[Callable[[Record], None]] = ()
    running: dict[Future[Any], Work] = field(default_factory=dict)
    finished: bool = False
    latest: Record | None = None

    def __post_init__(self) -> None:
        self.latency_strategy = LatencyStrategy.of(self.run)
        self.trial_manager = TrialManager(self.run, self.latency_strategy.model, self.sampler, self.callbacks)
        self.replicates = ReplicationScheduler(self.run)

    def run_loop(self) -> None:
        """Keep the workers busy until there is nothing to do."""
        while True:
            while len(self.running) < self.pool.workers and self._start_next():
                pass
            if not self.running and (promotion := self._promotion(final=True)):
                self._submit_promotion(promotion)
            self._update_status()
            if not self.running:
                return
            for future in self.pool.wait(self.running):
                self._finish(future)

    def _start_next(self) -> bool:
        """Give a free worker something; False where it must wait."""
        promotion = self._promotion()
        n_proposed = sum(isinstance(work, Proposal) for work in self.running.values())
        n_remaining = self.run.settings.n_trials - len(self.trial_manager.evaluated) - n_proposed
        if promotion is None and (self.finished or n_remaining <= 0):
            return False
        if self.deadline.blocks_new_work():
            self.finished = True
            return False
        if promotion:
            self._submit_promotion(promotion)
            return True
        try:
            work = _next_work(self.trial_manager, self.replicates, bool(self.running))
        except SearchFinishedError as why:
            self.finished = True
            self.progress.print_line(str(why))
            return False
        if isinstance(work, Replicate):
            self._submit(work, worker.train_replicate, work.record.architecture, work.seed)
        else:
            predicted = self.latency_strategy.predict_before_training(work.architecture)
            step = self._next_step(work, predicted) if predicted else worker.measure
            if step is not None:
                self._submit(work, step, work.architecture)
        return True

    def _finish(self, future: Future[Any]) -> None:
        """Note what a worker has found, and have it go on with the same network where that is next."""
        work = self.running.pop(future)
        if isinstance(work, Replicate):
            self.replicates.finish(work, future, self.progress)
            self.trial_manager.update_replicates()
        elif isinstance(work, Promotion):
            self._finish_promotion(work, future)
        else:
            try:
                measurement: Latency | Accuracy = result_of(future)
            except (NonFiniteLossError, ScorerError) as error:
                self.trial_manager.record_failed(work, str(error))
                return
            step = self._next_step(work, measurement)
            if step is not None:
                self._submit(work, step, work.architecture)
            elif work.record:
                self.latest = work.record
                self._update_status()

    def _finish_promotion(self, promotion: Promotion, future: Future[Any]) -> None:
        trial = f"trial {promotion.record.trial}"
        try:
            reached = result_of(future)
        except NonFiniteLossError as error:
            self.progress.print_line(f"{trial} on to {promotion.epochs} epochs: {error}")
            self.trial_manager.record_promotion(promotion, str(error))
            return
        if reached.restart_reason:
            self.progress.print_line(f"{trial} was trained from the start again: {reached.restart_reason}")
        self.latest = self.trial_manager.record_promotion(promotion, reached.accuracy)
        if self.latest.state == "complete":
            self.run.partial_checkpoint(self.latest.architecture).unlink(missing_ok=True)
        self._update_status()

    def _next_step(
        self, proposal: Proposal, measurement: Latency | Accuracy
    ) -> Callable[[Architecture], Any] | None:
        """What a worker is to do next with a network; None where the study has been told of it."""
        trial_manager, latency_strategy, settings = (
            self.trial_manager,
            self.latency_strategy,
            self.run.settings,
        )
        if isinstance(measurement, Accuracy):
            proposal.accuracy = measurement
            if latency_strategy.needs_measurement(
                trial_manager.make_record(proposal), trial_manager.completed
            ):
                return worker.measure
            trial_manager.record_completed(proposal)
        elif measurement.status == "failed":
            trial_manager.record_failed(proposal, measurement.error)
        elif not trial_manager.satisfies_latency_limit(proposal, measurement):
            trial_manager.record_infeasible(
                proposal.trial, proposal.architecture, measurement, proposal.accuracy
            )
        elif proposal.accuracy is None:
            # A told trial takes no latency any more, and any network may come to the front later.
            unsure = measurement.source == "predicted" and settings.latency_policy == "both"
            return worker.measure if settings.rungs and unsure else worker.train_network
        else:
            trial_manager.record_completed(proposal)
        return None

    def _promotion(self, *, final: bool = False) -> Promotion | None:
        """The network to train on next, if the run has rungs and one is due."""
        rungs, objectives = self.run.settings.rungs, self.run.settings.goals.objectives
        if rungs is None:
            return None
        if final:
            return last_promotion(self.trial_manager.evaluated, rungs, objectives)
        busy = {work.record.key for work in self.running.values() if isinstance(work, Promotion)}
        return next_promotion(self.trial_manager.evaluated, rungs, objectives, busy)

    def _submit_promotion(self, promotion: Promotion) -> None:
        self._submit(promotion, worker.train_to_rung, promotion.record.architecture, promotion.epochs)

    def _submit(self, work: Work, step: Callable[..., Any], *arguments: Any) -> None:
        self.running[self.pool.submit(step, *arguments)] = work

    def _update_status(self) -> None:
        self.progress.update_status(
            _status(self.run, self.trial_manager, list(self.running.values()), self.latest)
        )


def _next_work(
    trial_manager: TrialManager, replicates: ReplicationScheduler, running: bool
) -> Proposal | Replicate:
    """What a free worker begins.

    Raises:
        SearchFinishedError: there is nothing any more.
        NoFeasibleNetworkError: nothing at all keeps the limits.
    """
    if replicate := replicates.next_during_search(trial_manager.completed):
        return replicate
    try:
        return trial_manager.next()
    except SpaceExhaustedError:
        name = trial_manager.settings.space.name
        raise SearchFinishedError(f"every network of space {name} has been proposed") from None
    except NoFeasibleNetworkError as error:
        if not trial_manager.evaluated and not running:
            raise
        raise SearchFinishedError(f"no more networks: {error}") from None


def _status(run: Run, trial_manager: TrialManager, busy: Sequence[Work], latest: Record | None) -> Status:
    settings, completed = run.settings, trial_manager.completed
    status = Status(
        phase="evaluating",
        done=len(trial_manager.evaluated),
        total=settings.n_trials,
        infeasible=trial_manager.infeasible,
        duplicates=trial_manager.duplicates,
        failed=trial_manager.failed,
        active_jobs=tuple(map(_work_text, busy)),
        latest=latest,
        best=best_by(settings.goals.ranking_objective, completed),
        best_label=best_label(settings.goals),
        front=len(pareto_front(completed, settings.goals.objectives)),
    )
    if settings.rungs is None:
        return status
    epochs_spent = count_epochs_spent(trial_manager.evaluated, settings.rungs)
    running_epochs = sum(each.epochs - each.record.epochs for each in busy if isinstance(each, Promotion))
    projected_epochs = max(
        epochs_spent.projected_epochs(settings.n_trials, settings.rungs.reduction_factor),
        epochs_spent.epochs + running_epochs,
    )
    return replace(
        status, epochs=(epochs_spent.epochs, projected_epochs), rungs=rung_counts_text(epochs_spent)
    )


def _work_text(work: Work) -> str:
    if not isinstance(work, Proposal):
        return str(work)
    return f"{'trains' if work.latency and not work.accuracy else 'measures'} trial {work.trial.number}"
