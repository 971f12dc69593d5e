"""Working in a run's folder, one process at a time: going on where a search stopped, up to the reports."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ...evaluate import usable_cores
from ...results import Run
from ...results.store.settings import save_settings
from ...search_space import RunError
from ..console.progress import Progress
from ..parallel.deadline import TimeLimit
from ..parallel.pool import Pool, result_of
from . import worker
from .latency_policy import fit_latency_model
from .loop import judge_trials
from .replication import repeat_front
from .verification import check_front, judge_baselines


def resume(folder: Path, trials: int | None, repeats: int | None = None) -> Run:
    """Open a run again; trials that were cut off are proposed once more.

    Args:
        trials: a new total; None keeps that of the run.
        repeats: a new number of them; None keeps that of the run.
    Raises:
        RunError: the folder is no run, is worked in, or holds more than the new total.
    """
    from optuna.trial import TrialState

    run = Run.open(folder)
    if trials is not None:
        run = Run(folder, replace(run.settings, trials=trials))
    if repeats is not None:
        run = Run(folder, replace(run.settings, repeats=repeats))
    with locked(folder):
        judged = {record.trial: record for record in run.records() if record.counts}
        if trials is not None and trials < len(judged):
            known = f"{len(judged)} networks are judged already"
            raise RunError(f"{folder}: {known}; --trials must be more, got {trials}")
        save_settings(run.settings, folder / "run.yaml")
        genes = {gene.name for gene in run.settings.space.genes}
        for trial in run.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in judged:  # cut off between the verdict and the telling of it
                values = [judged[trial.number].value(each) for each in run.settings.goals.objectives]
                run.study.tell(trial.number, values)
                continue
            run.study.tell(trial.number, state=TrialState.FAIL)
            if set(trial.params) == genes:
                source = trial.user_attrs.get("source", "sampler")
                run.study.enqueue_trial(trial.params, user_attrs={"source": source})
    return run


def default_workers(run: Run) -> int:
    """One a core; on a GPU one, for several would share its memory."""
    return 1 if run.settings.torch_device == "cuda" else usable_cores()


def go(run: Run, workers: int, progress: Progress, limit: TimeLimit | None = None) -> None:
    """Judge networks until the total is reached, then baselines and the front; writes the reports.

    What steps forward when a network is dropped from the front is trained again too, if repeats are left.

    Args:
        limit: after it no network and no repeat begins; baselines and the front are judged all the same.
    Raises:
        BneckError: it cannot go on; what was judged is kept.
    """
    from ...evaluate.latency.meter import backend_of
    from ...results.export.run_summary import write_results

    if run.settings.latency_from != "model":
        backend_of(run.settings.latency)
    with locked(run.folder), progress, Pool(run, workers) as pool:
        fit_latency_model(run, pool, progress)
        judge_trials(run, pool, progress, limit)
        repeat_front(run, pool, progress, limit)
        judge_baselines(run, pool, progress)
        check_front(run, pool, progress)
        while repeat_front(run, pool, progress, limit):
            check_front(run, pool, progress)
        if left_out := result_of(pool.submit(worker.left_out)):
            progress.say(left_out)
    write_results(run)


@contextmanager
def locked(folder: Path, doing: str = "searching") -> Iterator[None]:
    """Keep a second process from working in the same folder; a killed one frees it.

    Args:
        doing: what is done there, for the message.
    Raises:
        RunError: another process works there.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder}: another process is {doing} there") from None
        yield
