"""The search itself: one process asks and tells the study, workers measure and train.

The chain of one trial stops at the first limit that is broken: cost in closed form, then latency
(predicted, or measured in a second), then training. Every so often a network of the front is trained again,
so that the noise is known early.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from ..evaluate import Accuracy, Latency
from ..evaluate.training import TrainingFailedError
from ..results import Record, Run, pareto_front
from ..results.certainty import most_accurate
from ..search_space import Architecture, NoFeasibleNetworkError, RunError, ScorerError
from . import worker
from .cascade import Again, cascade_of
from .latencies import Latencies
from .pool import Pool, result_of
from .progress import Progress, Status
from .proposals import Proposal, Proposals, SpaceExhaustedError
from .repeating import Repeat, Repeats
from .time_limit import TimeLimit


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
    exhausted = False
    latest: Record | None = None
    while True:
        wanted = run.settings.trials - len(proposals.judged) - len(pending)
        while not exhausted and wanted > 0 and len(pending) + len(again) < pool.workers:
            if limit.forbids():
                exhausted = True
                break
            repeat = None if cascade else repeats.during(proposals.judged)
            if cascade:
                action = cascade.next(proposals.judged, proposals.seen, [*pending.values(), *again.values()])
                if isinstance(action, Again):
                    repeat = repeats.of(action.record)
                elif action is not None:
                    proposals.enqueue(action.genes, "cascade")
                elif pending or again:
                    break
                else:
                    exhausted = True
                    progress.say(cascade.ending())
                    break
            if repeat:
                again[pool.submit(worker.train_again, repeat.record.architecture, repeat.seed)] = repeat
                continue
            try:
                proposal = proposals.next()
            except SpaceExhaustedError:
                exhausted = True
                progress.say(f"every network of space {run.settings.space.name} has been proposed")
                break
            except NoFeasibleNetworkError as error:
                if not proposals.judged and not pending:
                    raise
                exhausted = True
                progress.say(f"no more networks: {error}")
                break
            predicted = latencies.before_training(proposal.architecture)
            step = _step_after(proposal, predicted, proposals, latencies) if predicted else worker.measure
            if step is not None:
                pending[pool.submit(step, proposal.architecture)] = proposal
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
