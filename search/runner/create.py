"""Starting a search: everything is checked before a folder is made."""

import random
import shutil
import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ...evaluate import Latency, LatencySetup, Recipe, host, package_versions, panel_of, parse_goals
from ...evaluate.latency.backends import COMMAND, latency_backend
from ...evaluate.latency.predictor_file import load_model
from ...evaluate.scorers import SCORER_NAMES, Means, scorer, scorer_kind, seed_matters
from ...results import LatencyFrom, Run, RunSettings
from ...results.store.directories import refuse_existing
from ...results.store.settings import for_images
from ...search_space import Architecture, GoalError, RunError, SearchSpace, load_space, published
from ...search_space.errors import first_line
from ..samplers.feasibility import cheapest, require_fast_enough, require_feasible
from ..samplers.registry import check_sampler
from ..samplers.surrogate import EARLIER
from ..samplers.transfer import Finding, findings, first_networks
from .successive_halving import parse_epochs
from .trials import published_within

TELL_ACCURACY = ("train", "supernet", "inherit", "table")


@dataclass(frozen=True)
class Request:
    """What a person asked for, in words; see `bneck search --help`."""

    space: str
    data: str
    out: Path | None
    trials: int
    epochs: str
    seed: int
    objectives: str
    max_macs: str | None
    max_params: str | None
    max_latency: str | None
    sampler: str
    warm_start: bool
    baselines: tuple[str, ...]
    latency_backend: str
    latency_threads: int
    latency_model: Path | None
    measure_all: bool
    reference: str
    batch_size: int
    learning_rate: float
    train_images: int | None
    validation_images: int | None
    data_root: Path | None
    download: bool
    device: str
    storage: str
    scorer: str = "train"
    repeats: int | None = None
    earlier: Path | None = None


def new_run(request: Request) -> Run:
    """Check everything, then make the run's folder and study.

    Raises:
        BneckError: whatever cannot be met; then nothing has been made.
    """
    from .worker import as_seen_by, open_images

    judge = judging_scorer(request.scorer)
    epochs, rungs = parse_epochs(request.epochs)
    if rungs and judge != "train":
        raise GoalError(
            f"--epochs {request.epochs} stops trainings early; --scorer {request.scorer} does not train by "
            f"epochs: give --epochs {epochs}, or --scorer train"
        )
    out = request.out or free_folder(request.space, request.data)
    refuse_existing(out, f"bneck search {out} --resume")
    limits = {"macs": request.max_macs, "params": request.max_params, "latency": request.max_latency}
    goals = parse_goals(request.objectives, limits)
    check_sampler(request.sampler)
    for name in request.baselines:
        published(name)
    space = load_space(request.space)
    images, data = open_images(request)
    device = torch_device(request.device)
    recipe = Recipe(epochs=epochs, batch_size=request.batch_size, learning_rate=request.learning_rate)
    scorer(judge, Means(data, recipe, device))
    data = as_seen_by(judge, data)
    images = images.of(data)
    space = space.for_data(data.image_channels, len(data.class_names))
    found = findings(Run.open(request.earlier), space) if request.earlier else []
    rng = random.Random(request.seed)
    require_feasible(space, goals, rng)
    setup, latency_of = _latencies(request, space)
    if request.max_latency:
        require_fast_enough(space, goals, [(each, latency_of(each)) for each in cheapest(space, rng)])
    settings = RunSettings(
        study=f"bneck-{uuid.uuid4().hex[:12]}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space,
        data=images,
        goals=goals,
        recipe=recipe,
        latency=setup,
        latency_from=_latency_from(request, setup),
        trials=request.trials,
        seed=request.seed,
        sampler=request.sampler,
        warm_start=request.warm_start,
        baselines=request.baselines,
        torch_device=device,
        storage=request.storage,
        host=host(),
        versions=package_versions(),
        repeats=usual_repeats(request.trials, judge) if request.repeats is None else request.repeats,
        scorer=judge,
        rungs=rungs,
    )
    run = Run(out, settings)
    if settings.storage:
        _create_study(run, found)
    run = Run.create(out, settings)
    if request.latency_model:
        shutil.copyfile(request.latency_model, run.latency_model_file)
    if not settings.storage:
        _create_study(run, found)
    return run


def judging_scorer(name: str) -> str:
    """A scorer that a search may judge by, its files with their whole paths.

    Raises:
        UnknownNameError: no such scorer.
        GoalError: it tells no accuracy.
    """
    kind, files = scorer_kind(name), name.partition(":")[2]
    if kind not in TELL_ACCURACY:
        known = ", ".join(each for each in SCORER_NAMES if each.partition(":")[0] in TELL_ACCURACY)
        raise GoalError(f"--scorer {name} tells no accuracy, which a search needs; those that do: {known}")
    return f"{kind}:{','.join(str(Path(file).resolve()) for file in files.split(','))}" if files else kind


def usual_repeats(trials: int, scorer_name: str) -> int:
    """A fifth of the trials, 6 at least of 20 trials or more; none where a seed changes nothing."""
    if not seed_matters(scorer_name):
        return 0
    return max(trials // 5, 6) if trials >= 20 else trials // 5


def _latencies(
    request: Request, space: SearchSpace
) -> tuple[LatencySetup, Callable[[Architecture], Latency]]:
    """What latencies are held against, and where they come from: a model's file, or this device.

    Raises:
        BackendError: the device cannot be measured.
        GoalError: the model is of another space.
    """
    from ...evaluate.latency.meter import LatencyMeter

    if request.latency_model:
        model = load_model(request.latency_model)
        if model.space != space.name:
            words = (
                f"is of space {model.space}; build one: bneck latency-model build {request.space} --out FILE"
            )
            raise GoalError(f"--latency-model {request.latency_model} {words}")
        return model.setup, model.predict
    backend = latency_backend(request.latency_backend, threads=request.latency_threads)
    panel = panel_of(request.reference, lambda network: for_images(network, space))
    meter = LatencyMeter.on(backend, panel)
    return meter.setup, meter.measured


def _latency_from(request: Request, setup: LatencySetup) -> LatencyFrom:
    """A model given by its file stands alone where measuring is slow or the device is another one."""
    from ...evaluate.latency.meter import unmeasurable

    if request.measure_all:
        return "measurements"
    if request.latency_model and (setup.backend.startswith(COMMAND) or unmeasurable(setup)):
        return "model"
    return "both"


def _create_study(run: Run, found: Sequence[Finding]) -> None:
    """Make the study, with published and earlier networks that fit proposed first where that is wanted.

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
        if found:
            study.set_user_attr(EARLIER, [astuple(each) for each in found])
        for genes in first_networks(found, run):
            study.enqueue_trial(genes, user_attrs={"source": "earlier"}, skip_if_exists=True)
    except Exception as error:
        words = f"no study can be kept in {run.storage_url}: {first_line(error)}"
        raise RunError(f"{run.folder}: {words}") from None


def free_folder(what: str, data: str) -> Path:
    """`runs/WHAT-DATA-N` with the first number that is free, for a space or a network by name or file."""
    kind, _, path = data.partition(":")
    file = Path(what)
    stem = file.stem if file.suffix in (".yaml", ".yml", ".json") else file.name
    name = f"{stem.replace('#', '-')}-{Path(path).name or kind}"
    number = 1
    while (folder := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return folder


def torch_device(wanted: str) -> str:
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
