"""Starting a search and going on with one: everything is checked before a folder is made."""

import fcntl
import math
import random
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ..evaluate import (
    Goals,
    Latency,
    Recipe,
    device_fingerprint,
    latency_backend,
    package_versions,
    parse_goals,
)
from ..results import DataSettings, LatencySettings, Run, RunSettings
from ..results.settings import for_images, save_settings
from ..search_space import (
    Architecture,
    GoalError,
    NoFeasibleNetworkError,
    RunError,
    SearchSpace,
    load_space,
    published,
)
from ..search_space.errors import first_line
from .feasible import cheapest, require_feasible
from .loop import Pool, check_front, judge_baselines, judge_trials
from .progress import Progress
from .proposals import published_within
from .samplers import sampler


@dataclass(frozen=True)
class Request:
    """What a person asked for, in words; see `bneck search --help`."""

    space: str
    data: str
    out: Path | None
    trials: int
    epochs: int
    seed: int
    objectives: str
    max_macs: str | None
    max_params: str | None
    max_latency: str | None
    sampler: str
    warm_start: bool
    baselines: tuple[str, ...]
    latency_backend: str
    reference: str
    batch_size: int
    learning_rate: float
    train_images: int | None
    validation_images: int | None
    data_root: Path | None
    download: bool
    device: str
    storage: str


def new_run(request: Request) -> Run:
    """Check everything, then make the run's folder and study.

    Raises:
        BneckError: whatever cannot be met; then nothing has been made.
    """
    from .worker import Worker, load_run_data

    out = request.out or _free_folder(request)
    if out.exists():
        raise RunError(f"{out} exists; choose another --out, or go on with it: bneck search {out} --resume")
    limits = {"macs": request.max_macs, "params": request.max_params, "latency": request.max_latency}
    goals = parse_goals(request.objectives, limits)
    sampler(request.sampler, request.seed)
    latency_backend(request.latency_backend)
    for name in request.baselines:
        published(name)
    root = str(request.data_root) if request.data_root else None
    images = DataSettings(request.data, root, request.train_images, request.validation_images)
    space = load_space(request.space)
    data = load_run_data(images, download=request.download)
    images = replace(
        images, class_names=data.class_names, pixel_mean=data.pixel_mean, pixel_std=data.pixel_std
    )
    space = space.for_data(data.image_channels, len(data.class_names))
    reference = for_images(published(request.reference), space)
    rng = random.Random(request.seed)
    require_feasible(space, goals, rng)
    settings = RunSettings(
        study=f"bneck-{uuid.uuid4().hex[:12]}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space,
        data=images,
        goals=goals,
        recipe=Recipe(
            epochs=request.epochs, batch_size=request.batch_size, learning_rate=request.learning_rate
        ),
        latency=LatencySettings(request.latency_backend, request.reference, reference),
        trials=request.trials,
        seed=request.seed,
        sampler=request.sampler,
        warm_start=request.warm_start,
        baselines=request.baselines,
        torch_device=_torch_device(request.device),
        storage=request.storage,
        device=device_fingerprint(),
        versions=package_versions(),
    )
    worker = Worker(Run(out, settings))
    settings = settings.with_reference_ms(worker.calibrate())
    worker = Worker(Run(out, settings))
    require_fast_enough(
        space,
        goals,
        [(each, worker.measure(each)) for each in cheapest(space, rng)] if limits["latency"] else [],
    )
    run = Run(out, settings)
    if settings.storage:
        _create_study(run)
    run = Run.create(out, settings)
    if not settings.storage:
        _create_study(run)
    return run


def _create_study(run: Run) -> None:
    """Make the study, with the published networks that fit proposed first if that is wanted.

    Raises:
        RunError: the storage cannot be used.
    """
    import optuna
    from optuna.exceptions import ExperimentalWarning

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = run.settings
    try:
        study = optuna.create_study(
            study_name=settings.study,
            storage=run.storage_url,
            directions=[objective.direction for objective in settings.goals.objectives],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([objective.quantity for objective in settings.goals.objectives])
        study.set_user_attr("genes", {gene.name: list(gene.choices) for gene in settings.space.genes})
        if settings.warm_start:
            for source, genes in published_within(run):
                study.enqueue_trial(genes, user_attrs={"source": source})
    except Exception as error:
        words = f"no study can be kept in {run.storage_url}: {first_line(error)}"
        raise RunError(f"{run.folder}: {words}") from None


def require_fast_enough(
    space: SearchSpace, goals: Goals, measured: list[tuple[Architecture, Latency]]
) -> None:
    """Make sure that a limit on latency can be met, by the least networks of the space.

    Raises:
        NoFeasibleNetworkError: all of them are surely slower; names them and what to relax.
    """
    for limit in goals.constraints:
        if limit.quantity != "latency" or not measured:
            continue
        fastest = min(measured, key=lambda pair: pair[1].ratio)[1]
        lowest = (
            fastest.ratio_low if limit.unit == "x" else fastest.latency_ms * fastest.ratio_low / fastest.ratio
        )
        if limit.violation(lowest) > 0:
            nearest = "; ".join(
                f"{architecture.key} ({latency.latency_ms:.3g}ms, {latency.ratio:.3g}x)"
                for architecture, latency in sorted(measured, key=lambda pair: pair[1].ratio)
            )
            enough = fastest.ratio_high if limit.unit == "x" else fastest.latency_ms
            step = 10 ** (math.floor(math.log10(enough)) - 2)
            raise NoFeasibleNetworkError(
                f"no network of space {space.name} keeps {limit}; the least ones measured: {nearest}; "
                f"relax --max-latency to at least {math.ceil(enough / step) * step:.3g}{limit.unit}"
            )


def resume(folder: Path, trials: int | None) -> Run:
    """Open a run again; trials that were cut off are proposed once more.

    Args:
        trials: a new total; None keeps that of the run.
    Raises:
        RunError: the folder is no run.
    """
    from optuna.trial import TrialState

    run = Run.open(folder)
    if trials is not None:
        run = Run(folder, replace(run.settings, trials=trials))
    with locked(run):
        save_settings(run.settings, folder / "run.yaml")
        genes = {gene.name for gene in run.settings.space.genes}
        for trial in run.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            run.study.tell(trial.number, state=TrialState.FAIL)
            if set(trial.params) == genes:
                source = trial.user_attrs.get("source", "sampler")
                run.study.enqueue_trial(trial.params, user_attrs={"source": source})
    return run


def go(run: Run, workers: int, progress: Progress) -> None:
    """Judge networks until the total is reached, then baselines and the front; writes the reports.

    Raises:
        BneckError: it cannot go on; what was judged is kept.
    """
    from ..results.summary import write_results

    with locked(run), progress, Pool(run, workers) as pool:
        judge_trials(run, pool, progress)
        judge_baselines(run, pool, progress)
        check_front(run, pool, progress)
    write_results(run)


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Keep a second process from searching in the same folder; a killed one frees it.

    Raises:
        RunError: another process searches there.
    """
    with (run.folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{run.folder}: another process is searching there") from None
        yield


def _free_folder(request: Request) -> Path:
    """`runs/SPACE-DATA`, numbered if that exists."""
    data = request.data.partition(":")
    name = f"{Path(request.space).stem}-{Path(data[2]).name if data[2] else data[0]}"
    number = 1
    while (folder := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return folder


def _torch_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes the GPU where there is one.

    Raises:
        GoalError: another word, or no GPU.
    """
    import torch

    if wanted not in ("auto", "cpu", "cuda"):
        raise GoalError(f"--device must be auto, cpu or cuda, got '{wanted}'")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise GoalError("--device cuda: torch finds no GPU here; use --device cpu")
    return wanted
