"""The search itself: one process asks and tells the study, workers measure and train.

The chain of one trial stops at the first limit that is broken: cost in closed form, then latency
(predicted, or measured in a second), then training.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from ..evaluate import Accuracy, Latency
from ..evaluate.training import TrainingFailedError
from ..results import Record, Run, pareto_front
from ..search_space import Architecture, NoFeasibleNetworkError
from . import worker
from .latencies import Latencies
from .pool import Pool, result_of
from .progress import Progress, Status
from .proposals import Proposal, Proposals, SpaceExhaustedError


def judge_trials(run: Run, pool: Pool, progress: Progress) -> None:
    """Propose, measure and train until the run's number of networks is judged.

    Fewer are judged where nothing new keeps the limits any more.

    Raises:
        NoFeasibleNetworkError: nothing at all keeps them.
        RunError: one training after another fails.
    """
    proposals = Proposals(run)
    latencies = Latencies.of(run)
    pending: dict[Future[Any], Proposal] = {}
    exhausted = False
    latest: Record | None = None
    while True:
        wanted = run.settings.trials - len(proposals.judged) - len(pending)
        while not exhausted and len(pending) < min(pool.workers, len(pending) + wanted):
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
        progress.show(_status(run, proposals, pending.values(), latest))
        if not pending:
            break
        for future in pool.wait(pending):
            proposal = pending.pop(future)
            try:
                found: Latency | Accuracy = result_of(future)
            except TrainingFailedError as error:
                proposals.tell_failed(proposal, str(error))
                continue
            step = _step_after(proposal, found, proposals, latencies)
            if step is not None:
                pending[pool.submit(step, proposal.architecture)] = proposal
            elif proposal.record:
                latest = proposal.record
                progress.show(_status(run, proposals, pending.values(), latest))

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


def _status(run: Run, proposals: Proposals, busy: Iterable[Proposal], latest: Record | None) -> Status:
    judged = proposals.judged
    return Status(
        phase="judging",
        done=len(judged),
        total=run.settings.trials,
        infeasible=proposals.infeasible,
        repeats=proposals.repeats,
        failed=proposals.failed,
        doing=tuple(f"{_doing(proposal)} trial {proposal.trial.number}" for proposal in busy),
        latest=latest,
        best=max(judged, key=lambda record: record.accuracy.top1 if record.accuracy else 0.0, default=None),
        front=len(pareto_front(judged, run.settings.goals.objectives)),
    )


def _doing(proposal: Proposal) -> str:
    return "trains" if proposal.latency and not proposal.accuracy else "measures"
