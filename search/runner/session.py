"""Working in a run's folder, one process at a time: going on where a search stopped, up to the reports."""

from dataclasses import replace
from pathlib import Path

from ...evaluate import usable_cores
from ...results import Run
from ...results.store.settings import save_settings
from ...search_space import RunError
from ..console.progress import Progress
from ..parallel.deadline import Deadline
from ..parallel.lock import run_lock
from ..parallel.pool import Pool, result_of
from . import worker
from .latency_policy import fit_latency_model
from .loop import run_trials
from .replication import replicate_front
from .verification import evaluate_baselines, verify_front


def resume(folder: Path, n_trials: int | None, replicates: int | None = None) -> Run:
    """Open a run again; trials that were cut off are proposed once more.

    Args:
        n_trials: a new total; None keeps that of the run.
        replicates: a new number of them; None keeps that of the run.
    Raises:
        RunError: the folder is no run, is worked in, or holds more than the new total.
    """
    from optuna.trial import TrialState

    run = Run.open(folder)
    if n_trials is not None:
        run = Run(folder, replace(run.settings, n_trials=n_trials))
    if replicates is not None:
        run = Run(folder, replace(run.settings, replicates=replicates))
    with run_lock(folder):
        evaluated = {record.trial: record for record in run.records() if record.is_evaluated}
        if n_trials is not None and n_trials < len(evaluated):
            known = f"{len(evaluated)} networks are judged already"
            raise RunError(f"{folder}: {known}; --n-trials must be more, got {n_trials}")
        save_settings(run.settings, folder / "run.yaml")
        genes = {gene.name for gene in run.settings.space.genes}
        for trial in run.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in evaluated:  # cut off between the verdict and the telling of it
                values = [evaluated[trial.number].value(each) for each in run.settings.goals.objectives]
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


def run_session(run: Run, workers: int, progress: Progress, deadline: Deadline | None = None) -> None:
    """Judge networks until the total is reached, then baselines and the front; writes the reports.

    What steps forward when a network is dropped from the front is trained again too, if repeats are left.

    Args:
        deadline: after it no network and no repeat begins; baselines and the front are judged all the same.
    Raises:
        BneckError: it cannot go on; what was judged is kept.
    """
    from ...evaluate.latency.meter import open_backend
    from ...results.export.run_summary import write_results

    if run.settings.latency_policy != "model":
        open_backend(run.settings.latency)
    with run_lock(run.folder), progress, Pool(run, workers, worker.start) as pool:
        fit_latency_model(run, pool, progress)
        run_trials(run, pool, progress, deadline)
        replicate_front(run, pool, progress, deadline)
        evaluate_baselines(run, pool, progress)
        verify_front(run, pool, progress)
        while replicate_front(run, pool, progress, deadline):
            verify_front(run, pool, progress)
        if skipped_images_text := result_of(pool.submit(worker.skipped_images_text)):
            progress.print_line(skipped_images_text)
    write_results(run)
