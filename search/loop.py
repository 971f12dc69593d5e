"""The search itself: one process asks and tells the study, workers measure and train.

The chain of one trial stops at the first limit that is broken: cost in closed form, then latency
(below a second), then training.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from typing import Any

from ..evaluate import Accuracy, Latency
from ..evaluate.train import TrainingFailedError
from ..results import Baseline, Check, Record, Run, pareto_front
from ..search_space import Architecture, NoFeasibleNetworkError, RunError
from . import worker
from .progress import Progress, Status
from .proposals import Proposal, Proposals, SpaceExhaustedError

POLL_SECONDS = 0.5


@dataclass
class Pool:
    """Worker processes; leaving the block ends them, whatever they are doing.

    Ctrl-C is noted, and raised by the next `wait`, so that no telling of the study is cut in half;
    a second one is raised at once.
    """

    run: Run
    workers: int
    executor: ProcessPoolExecutor = field(init=False)
    interrupted: bool = field(default=False, init=False)

    def __enter__(self) -> "Pool":
        self.executor = ProcessPoolExecutor(
            self.workers, multiprocessing.get_context("spawn"), worker.start, (self.run,)
        )
        self.handler_before = signal.signal(signal.SIGINT, self._note_interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.handler_before)
        self.executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker do a step of `bneck.search.worker`."""
        # A process started here inherits the mask, so that Ctrl-C reaches the parent alone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self.executor.submit(step, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def wait(self, pending: Iterable[Future[Any]]) -> set[Future[Any]]:
        """Those that are finished, after half a second at the latest.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed since the block began.
        """
        finished, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        if self.interrupted:
            raise KeyboardInterrupt
        return finished

    def _note_interrupt(self, *_: object) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True


def result_of(future: Future[Any]) -> Any:
    """What a worker found.

    Raises:
        RunError: the worker process died.
    """
    try:
        return future.result()
    except BrokenProcessPool:
        raise RunError(
            "a worker process died (out of memory?); go on with fewer: --resume --workers 1"
        ) from None


def judge_trials(run: Run, pool: Pool, progress: Progress) -> None:
    """Propose, measure and train until the run's number of networks is judged.

    Fewer are judged where nothing new keeps the limits any more.

    Raises:
        NoFeasibleNetworkError: nothing at all keeps them.
        RunError: one training after another fails.
    """
    proposals = Proposals(run)
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
            pending[pool.submit(worker.measure, proposal.architecture)] = proposal
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
            if isinstance(found, Accuracy):
                latest = proposals.tell_judged(proposal, found)
                progress.show(_status(run, proposals, pending.values(), latest))
            elif proposals.keeps_latency_limit(proposal, found):
                pending[pool.submit(worker.train_network, proposal.architecture)] = proposal
            else:
                proposals.tell_infeasible(proposal.trial, proposal.architecture, found)

    if not proposals.judged:
        proposals.refuse_to_go_on()


def judge_baselines(run: Run, pool: Pool, progress: Progress) -> None:
    """Train and measure the published networks that the plot shows for comparison."""
    done = {baseline.name for baseline in run.baselines()}
    todo = [name for name in run.settings.baselines if name not in done]

    def keep(name: str, found: Baseline) -> None:
        attribute = {
            "latency": asdict(found.latency),
            "accuracy": asdict(found.accuracy),
            "test_top1": found.test_top1,
            "test_images": found.test_images,
        }
        run.study.set_user_attr(f"baseline:{name}", attribute)

    _each(pool, progress, "baselines", todo, worker.baseline, keep)


def check_front(run: Run, pool: Pool, progress: Progress) -> None:
    """Measure the front's networks afresh, and judge them on the test images.

    The best of many measurements is a lucky one, so the front is not told by those alone.
    """
    done = run.checks()
    todo = [record.architecture for record in run.front() if record.key not in done]

    def keep(architecture: Architecture, found: Check) -> None:
        run.study.set_user_attr(f"check:{architecture.key}", asdict(found))

    _each(pool, progress, "checking the front", todo, worker.check, keep)


def _each(
    pool: Pool,
    progress: Progress,
    phase: str,
    todo: Sequence[Any],
    step: Callable[[Any], Any],
    keep: Callable[[Any, Any], None],
) -> None:
    pending = {pool.submit(step, item): item for item in todo}
    total = len(pending)
    while pending:
        progress.show(Status(phase, total - len(pending), total))
        for future in pool.wait(pending):
            item = pending.pop(future)
            try:
                keep(item, result_of(future))
            except TrainingFailedError as error:
                progress.say(f"{item}: {error}")
            progress.show(Status(phase, total - len(pending), total))


def _status(run: Run, proposals: Proposals, busy: Iterable[Proposal], latest: Record | None) -> Status:
    judged = proposals.judged
    return Status(
        phase="judging",
        done=len(judged),
        total=run.settings.trials,
        infeasible=proposals.infeasible,
        repeats=proposals.repeats,
        failed=proposals.failed,
        doing=tuple(
            f"{'trains' if proposal.latency else 'measures'} trial {proposal.trial.number}"
            for proposal in busy
        ),
        latest=latest,
        best=max(judged, key=lambda record: record.accuracy.top1 if record.accuracy else 0.0, default=None),
        front=len(pareto_front(judged, run.settings.goals.objectives)),
    )
