"""The search itself: one process asks and tells the study, workers measure and train.

The chain of one trial stops at the first limit that is broken: cost in closed form, then latency
(predicted, or measured in a second), then training. Every so often a network of the front is trained again,
so that the noise is known early.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from ..evaluate import Accuracy, Latency
from ..evaluate.training import TrainingFailedError
from ..results import Record, Run, pareto_front
from ..results.certainty import most_accurate
from ..search_space import Architecture, NoFeasibleNetworkError, RunError, ScorerError
from . import worker
from .cascade import CASCADE, Again, Cascade, cascade_of
from .latencies import Latencies
from .pool import Pool, result_of
from .progress import Progress, Status
from .proposals import Proposal, Proposals, SpaceExhaustedError
from .repeating import Repeat, Repeats
from .time_limit import TimeLimit


class SearchOverError(Exception):
    """Nothing new is left to begin; says why."""


def judge_trials(run: Run, pool: Pool, progress: Progress, limit: TimeLimit | None = None) -> None:
    """Propose, measure and train until the run's number of networks is judged.

    Fewer are judged where nothing new keeps the limits any more, or where the time is up.

    Raises:
        NoFeasibleNetworkError: nothing at all keeps them.
        RunError: one training after another fails, or the time is up before one network is judged.
    """
    limit = limit or TimeLimit()
    proposals = Proposals(run)
    repeats = Repeats(run)
    latencies = Latencies.of(run)
    pending: dict[Future[Any], Proposal] = {}
    again: dict[Future[Any], Repeat] = {}
    cascade = cascade_of(run, proposals, latencies)
    over = False
    latest: Record | None = None
    while True:
        wanted = run.settings.trials - len(proposals.judged) - len(pending)
        while not over and wanted > 0 and len(pending) + len(again) < pool.workers:
            if limit.forbids():
                over = True
                break
            try:
                work = _next_work(proposals, repeats, cascade, [*pending.values(), *again.values()])
            except SearchOverError as why:
                over = True
                progress.say(str(why))
                break
            if work is None:
                break
            if isinstance(work, Repeat):
                again[pool.submit(worker.train_again, work.record.architecture, work.seed)] = work
                continue
            predicted = latencies.before_training(work.architecture)
            step = _step_after(work, predicted, proposals, latencies) if predicted else worker.measure
            if step is not None:
                pending[pool.submit(step, work.architecture)] = work
                wanted -= 1
        progress.show(_status(run, proposals, [*pending.values(), *again.values()], latest))
        if not pending and not again:
            break
        for future in pool.wait([*pending, *again]):
            if future in again:
                repeats.end(again.pop(future), future, progress)
                proposals.note_repeats()
                continue
            proposal = pending.pop(future)
            try:
                found: Latency | Accuracy = result_of(future)
            except (TrainingFailedError, ScorerError) as error:
                proposals.tell_failed(proposal, str(error))
                continue
            step = _step_after(proposal, found, proposals, latencies)
            if step is not None:
                pending[pool.submit(step, proposal.architecture)] = proposal
            elif proposal.record:
                latest = proposal.record
                progress.show(_status(run, proposals, [*pending.values(), *again.values()], latest))

    if not proposals.judged and limit.held_back:
        gone = f"the {limit.minutes:g} minutes were gone before a network was judged"
        raise RunError(f"{gone}; go on with: bneck search {run.folder} --resume")
    if not proposals.judged:
        proposals.refuse_to_go_on()


def _next_work(
    proposals: Proposals, repeats: Repeats, cascade: Cascade | None, running: Sequence[Proposal | Repeat]
) -> Proposal | Repeat | None:
    """What a free worker begins; None where it must wait for what is running.

    Raises:
        SearchOverError: there is nothing any more.
        NoFeasibleNetworkError: nothing at all keeps the limits.
    """
    if cascade is None:
        if repeat := repeats.during(proposals.judged):
            return repeat
    else:
        action = cascade.next(proposals.judged, proposals.seen, running)
        if isinstance(action, Again):
            return repeats.of(action.record)
        if action is None:
            if running:
                return None
            raise SearchOverError(cascade.ending())
        proposals.enqueue(action.genes, CASCADE)
    try:
        return proposals.next()
    except SpaceExhaustedError:
        name = proposals.settings.space.name
        raise SearchOverError(f"every network of space {name} has been proposed") from None
    except NoFeasibleNetworkError as error:
        if not proposals.judged and not running:
            raise
        raise SearchOverError(f"no more networks: {error}") from None


def _step_after(
    proposal: Proposal, found: Latency | Accuracy, proposals: Proposals, latencies: Latencies
) -> Callable[[Architecture], Any] | None:
    """What a worker is to do next with a network; None where the study has been told of it."""
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
        return worker.train_network
    else:
        proposals.tell_judged(proposal)
    return None


def _status(
    run: Run, proposals: Proposals, busy: Iterable[Proposal | Repeat], latest: Record | None
) -> Status:
    judged = proposals.judged
    return Status(
        phase="judging",
        done=len(judged),
        total=run.settings.trials,
        infeasible=proposals.infeasible,
        repeats=proposals.repeats,
        failed=proposals.failed,
        doing=tuple(map(_doing, busy)),
        latest=latest,
        best=most_accurate(judged),
        front=len(pareto_front(judged, run.settings.goals.objectives)),
    )


def _doing(work: Proposal | Repeat) -> str:
    if isinstance(work, Repeat):
        return str(work)
    return f"{'trains' if work.latency and not work.accuracy else 'measures'} trial {work.trial.number}"
