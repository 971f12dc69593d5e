"""The search itself: one process asks and tells the study, workers measure and train.

The chain of one trial stops at the first limit that is broken: cost in closed form, then latency
(predicted, or measured in a second), then training. Every so often a network of the front is trained again,
so that the noise is known early. Where a run has rungs, training to the lowest one ends a trial, and the
best are trained on from there.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from ...evaluate import Accuracy, Latency
from ...evaluate.training.trainer import TrainingFailedError
from ...results import Record, Run, pareto_front
from ...results.analysis.front_posterior import best_by
from ...results.store.fidelities import spent_of
from ...results.text.formatting import superlative
from ...search_space import Architecture, NoFeasibleNetworkError, RunError, ScorerError
from ..console.progress import Progress, Status
from ..parallel.deadline import TimeLimit
from ..parallel.pool import Pool, result_of
from . import worker
from .latency_policy import Latencies
from .replication import Repeat, Repeats
from .successive_halving import Promotion, last_promotion, next_promotion
from .trials import Proposal, Proposals, SpaceExhaustedError

Work = Proposal | Repeat | Promotion


class SearchOverError(Exception):
    """Nothing new is left to begin; says why."""


def judge_trials(run: Run, pool: Pool, progress: Progress, limit: TimeLimit | None = None) -> None:
    """Propose, measure and train until the run's number of networks is judged.

    Fewer are judged where nothing new keeps the limits any more, or where the time is up. With rungs it
    goes on until no network is due to be trained on; one at least is trained to the end, time or not.

    Raises:
        NoFeasibleNetworkError: nothing at all keeps them.
        RunError: one training after another fails, or the time is up before one network is judged.
    """
    limit = limit or TimeLimit()
    judging = _Judging(run, pool, progress, limit)
    judging.go()
    proposals = judging.proposals
    if not proposals.begun and limit.held_back:
        gone = f"the {limit.minutes:g} minutes were gone before a network was judged"
        raise RunError(f"{gone}; go on with: bneck search {run.folder} --resume")
    if not proposals.begun:
        proposals.refuse_to_go_on()
    if not proposals.judged:
        why = next((record.error for record in proposals.begun if record.error), "")
        raise RunError(
            f"no network could be trained to {run.settings.recipe.epochs} epochs, one because {why}; "
            "begin a new run with a lower --learning-rate"
        )


@dataclass
class _Judging:
    """The state of a search.

    Attributes:
        running: what the workers do.
        over: whether no new network is to begin.
        latest: the network judged last.
    """

    run: Run
    pool: Pool
    progress: Progress
    limit: TimeLimit
    running: dict[Future[Any], Work] = field(default_factory=dict)
    over: bool = False
    latest: Record | None = None

    def __post_init__(self) -> None:
        self.latencies = Latencies.of(self.run)
        self.proposals = Proposals(self.run, self.latencies.model)
        self.repeats = Repeats(self.run)

    def go(self) -> None:
        """Keep the workers busy until there is nothing to do."""
        while True:
            while len(self.running) < self.pool.workers and self._begin():
                pass
            if not self.running and (promotion := self._promotion(at_last=True)):
                self._train_on(promotion)
            self._show()
            if not self.running:
                return
            for future in self.pool.wait(self.running):
                self._end(future)

    def _begin(self) -> bool:
        """Give a free worker something; False where it must wait."""
        promotion = self._promotion()
        proposed = sum(isinstance(work, Proposal) for work in self.running.values())
        wanted = self.run.settings.trials - len(self.proposals.begun) - proposed
        if promotion is None and (self.over or wanted <= 0):
            return False
        if self.limit.forbids():
            self.over = True
            return False
        if promotion:
            self._train_on(promotion)
            return True
        try:
            work = _next_work(self.proposals, self.repeats, bool(self.running))
        except SearchOverError as why:
            self.over = True
            self.progress.say(str(why))
            return False
        if isinstance(work, Repeat):
            self._submit(work, worker.train_again, work.record.architecture, work.seed)
        else:
            predicted = self.latencies.before_training(work.architecture)
            step = self._step_after(work, predicted) if predicted else worker.measure
            if step is not None:
                self._submit(work, step, work.architecture)
        return True

    def _end(self, future: Future[Any]) -> None:
        """Note what a worker has found, and have it go on with the same network where that is next."""
        work = self.running.pop(future)
        if isinstance(work, Repeat):
            self.repeats.end(work, future, self.progress)
            self.proposals.note_repeats()
        elif isinstance(work, Promotion):
            self._end_promotion(work, future)
        else:
            try:
                found: Latency | Accuracy = result_of(future)
            except (TrainingFailedError, ScorerError) as error:
                self.proposals.tell_failed(work, str(error))
                return
            step = self._step_after(work, found)
            if step is not None:
                self._submit(work, step, work.architecture)
            elif work.record:
                self.latest = work.record
                self._show()

    def _end_promotion(self, promotion: Promotion, future: Future[Any]) -> None:
        trial = f"trial {promotion.record.trial}"
        try:
            reached = result_of(future)
        except TrainingFailedError as error:
            self.progress.say(f"{trial} on to {promotion.epochs} epochs: {error}")
            self.proposals.keep_promoted(promotion, str(error))
            return
        if reached.from_start:
            self.progress.say(f"{trial} was trained from the start again: {reached.from_start}")
        self.latest = self.proposals.keep_promoted(promotion, reached.accuracy)
        if self.latest.state == "judged":
            self.run.paused(self.latest.architecture).unlink(missing_ok=True)
        self._show()

    def _step_after(
        self, proposal: Proposal, found: Latency | Accuracy
    ) -> Callable[[Architecture], Any] | None:
        """What a worker is to do next with a network; None where the study has been told of it."""
        proposals, latencies, settings = self.proposals, self.latencies, self.run.settings
        if isinstance(found, Accuracy):
            proposal.accuracy = found
            if latencies.worth_measuring(proposals.record_of(proposal), proposals.judged):
                return worker.measure
            proposals.tell_judged(proposal)
        elif found.status == "failed":
            proposals.tell_failed(proposal, found.error)
        elif not proposals.keeps_latency_limit(proposal, found):
            proposals.tell_infeasible(proposal.trial, proposal.architecture, found, proposal.accuracy)
        elif proposal.accuracy is None:
            # A told trial takes no latency any more, and any network may come to the front later.
            unsure = found.source == "predicted" and settings.latency_from == "both"
            return worker.measure if settings.rungs and unsure else worker.train_network
        else:
            proposals.tell_judged(proposal)
        return None

    def _promotion(self, *, at_last: bool = False) -> Promotion | None:
        """The network to train on next, if the run has rungs and one is due."""
        rungs, objectives = self.run.settings.rungs, self.run.settings.goals.objectives
        if rungs is None:
            return None
        if at_last:
            return last_promotion(self.proposals.begun, rungs, objectives)
        busy = {work.record.key for work in self.running.values() if isinstance(work, Promotion)}
        return next_promotion(self.proposals.begun, rungs, objectives, busy)

    def _train_on(self, promotion: Promotion) -> None:
        self._submit(promotion, worker.train_to_rung, promotion.record.architecture, promotion.epochs)

    def _submit(self, work: Work, step: Callable[..., Any], *arguments: Any) -> None:
        self.running[self.pool.submit(step, *arguments)] = work

    def _show(self) -> None:
        self.progress.show(_status(self.run, self.proposals, list(self.running.values()), self.latest))


def _next_work(proposals: Proposals, repeats: Repeats, running: bool) -> Proposal | Repeat:
    """What a free worker begins.

    Raises:
        SearchOverError: there is nothing any more.
        NoFeasibleNetworkError: nothing at all keeps the limits.
    """
    if repeat := repeats.during(proposals.judged):
        return repeat
    try:
        return proposals.next()
    except SpaceExhaustedError:
        name = proposals.settings.space.name
        raise SearchOverError(f"every network of space {name} has been proposed") from None
    except NoFeasibleNetworkError as error:
        if not proposals.begun and not running:
            raise
        raise SearchOverError(f"no more networks: {error}") from None


def _status(run: Run, proposals: Proposals, busy: Sequence[Work], latest: Record | None) -> Status:
    settings, judged = run.settings, proposals.judged
    status = Status(
        phase="judging",
        done=len(proposals.begun),
        total=settings.trials,
        infeasible=proposals.infeasible,
        repeats=proposals.repeats,
        failed=proposals.failed,
        doing=tuple(map(_doing, busy)),
        latest=latest,
        best=best_by(settings.goals.merit, judged),
        best_is=superlative(settings.goals),
        front=len(pareto_front(judged, settings.goals.objectives)),
    )
    if settings.rungs is None:
        return status
    spent = spent_of(proposals.begun, settings.rungs)
    rising = sum(each.epochs - each.record.epochs for each in busy if isinstance(each, Promotion))
    expected = max(spent.expected(settings.trials, settings.rungs.reduction), spent.epochs + rising)
    return replace(status, epochs=(spent.epochs, expected), rungs=spent.counts_text)


def _doing(work: Work) -> str:
    if not isinstance(work, Proposal):
        return str(work)
    return f"{'trains' if work.latency and not work.accuracy else 'measures'} trial {work.trial.number}"
