"""A session in a run's folder: trials, replicates, baselines, verification and reports."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

from ...evaluate import usable_cores
from ...results import Record, Run
from ...results.store.recorded_data import reopen_data
from ...search_space import PretrainedSpace, RunError, cost
from ...search_space.errors import STEP_FAILURES, WorkerFailedError
from ..console.progress import Progress
from ..parallel.deadline import Deadline
from ..parallel.lock import run_lock
from ..parallel.pool import Pool, open_pool
from ..resolve.confirmed import require_same
from ..resolve.objects import NO_OBJECTS, SearchObjects
from ..samplers.training_time import TrainingTime
from . import worker
from .budget import QUICK_SECONDS, TimeEstimate, least_training_seconds
from .create import attach_study
from .latency_policy import fit_latency_model, likely_networks
from .ledger import put_back
from .loop import run_trials
from .replication import replicate_front
from .verification import evaluate_baselines, verify_front


def resume(
    folder: Path,
    n_trials: int | None = None,
    replicates: int | None = None,
    objects: SearchObjects = NO_OBJECTS,
    confirmed: Mapping[str, str] = MappingProxyType({}),
) -> Run:
    """Open a run to continue it; interrupted trials are enqueued again.

    Args:
        n_trials: new total; None for that of the run.
        replicates: new total; None for that of the run.
        objects: those that the run was started with.
        confirmed: settings that the run has too, by parameter; the storage may have its password.
    Raises:
        RunError: the folder is no run, is in use, or has more evaluated networks than the new total.
        GoalError: an object is missing, a setting differs, or the images have changed.
        TrustError: only the run's files name a command, code or database.
    """
    from optuna.trial import TrialState

    run = Run.open(folder)
    objects.require_same(run.settings)
    require_same(run, confirmed)
    run.require_trusted()
    if storage := confirmed.get("storage"):
        run = run.with_settings(storage=storage)
    # The normalization may be that of a supernet.
    run, _ = reopen_data(run, objects.data, moved_to=confirmed.get("data"), same_pixels=False)
    totals = {"n_trials": n_trials, "replicates": replicates}
    run = run.with_settings(**{name: total for name, total in totals.items() if total is not None})
    if objects.storage:
        attach_study(run, objects.storage)
    else:
        run.writable()
    with run_lock(run):
        evaluated = {record.trial: record for record in run.records() if record.is_evaluated}
        if n_trials is not None and n_trials < len(evaluated):
            raise RunError(
                f"{folder}: {len(evaluated)} networks are evaluated already; --n-trials must be at least "
                f"that, got {n_trials}"
            )
        run.save_settings()
        for trial in run.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in evaluated:  # interrupted after its result was stored
                values = [evaluated[trial.number].value(each) for each in run.settings.goals.objectives]
                run.study.tell(trial.number, values)
                continue
            put_back(run, trial)
    return run


def default_workers(run: Run) -> int:
    """One per core; one on a GPU, whose memory several would share."""
    return 1 if run.settings.torch_device == "cuda" else usable_cores()


def estimate_time(run: Run, pool: Pool, progress: Progress, deadline: Deadline) -> TrainingTime:
    """Time training steps of the smallest and the largest candidate, and print what the search takes.

    Nothing is timed if the evaluator is not that of bneck, or a network trains in `QUICK_SECONDS`.
    """
    settings, space = run.settings, run.settings.space
    unknown = TrainingTime()
    if settings.evaluator != "train":
        return unknown
    networks = sorted(likely_networks(run), key=lambda network: cost(network).macs)
    if not networks:
        return unknown
    ends = dict.fromkeys((networks[0], networks[-1]))
    with suppress(*STEP_FAILURES):
        images = pool.submit(worker.count_training_images).result()
        if isinstance(space, PretrainedSpace):
            ends = dict.fromkeys(space.with_all_tuned(network) for network in ends)
        elif least_training_seconds(networks[len(networks) // 2], images, settings) < QUICK_SECONDS:
            return unknown
        timings = {network: pool.submit(worker.time_training_steps, network).result() for network in ends}
        known = {network: timing for network, timing in timings.items() if timing}
        if known:
            estimate = TimeEstimate.of(run, known, networks, images, pool.workers)
            progress.print_line(estimate.text(deadline.minutes))
            return estimate.to_first_result
    return unknown


def run_session(
    run: Run,
    workers: int,
    progress: Progress,
    deadline: Deadline | None = None,
    *,
    objects: SearchObjects = NO_OBJECTS,
    callbacks: Sequence[Callable[[Record], None]] = (),
) -> None:
    """Run trials until the requested number is reached, then verify the front and write the reports.

    After Ctrl-C in one of the later phases the reports of what is there are written.

    Networks that enter the front because another one was dropped are replicated too, if replicates are left.

    Args:
        workers: 1 trains in this process; only the verification of latencies starts others.
        deadline: for all phases; names what was skipped.
        callbacks: called with every finished trial.
    Raises:
        BneckError: the search cannot continue; finished trials are stored.
    """
    from ...evaluate.latency.meter import open_backend
    from ...results.outputs import write_search_results

    objects.require_one_worker(workers)
    if run.settings.latency_policy != "model":
        open_backend(run.settings.latency)
    start = worker.start if workers > 1 else partial(worker.start, objects=objects)
    deadline = deadline or Deadline()
    interruption: KeyboardInterrupt | None = None
    trials_done = False
    try:
        with run_lock(run), progress, open_pool(run, workers, start) as pool:
            fit_latency_model(run, pool, progress, deadline)
            training_time = estimate_time(run, pool, progress, deadline)
            run_trials(run, pool, progress, deadline, objects.sampler, callbacks, training_time)
            trials_done = True
            replicate_front(run, pool, progress, deadline)
            evaluate_baselines(run, pool, progress, deadline)
            verify_front(run, pool, progress, deadline)
            while replicate_front(run, pool, progress, deadline):
                verify_front(run, pool, progress, deadline)
            with suppress(WorkerFailedError):
                if skipped_images_text := pool.submit(worker.skipped_images_text).result():
                    progress.print_line(skipped_images_text)
    except KeyboardInterrupt as error:
        if not trials_done:
            raise
        interruption = error
    finally:
        worker.stop()
    write_search_results(run)
    if interruption:
        raise interruption
