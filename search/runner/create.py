"""Starting a search: everything is checked before a folder is made."""

import random
import shutil
import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path

from ...evaluate import (
    Latency,
    LatencySetup,
    Recipe,
    build_reference_panel,
    host,
    package_versions,
    parse_goals,
)
from ...evaluate.latency.backends import COMMAND_PREFIX, latency_backend
from ...evaluate.latency.predictor_file import load_latency_predictor
from ...evaluate.scorers import SCORER_NAMES, EvaluationContext, depends_on_seed, evaluator, scorer_kind
from ...evaluate.surrogate.factory import TRANSFER_KEY
from ...results import LatencyPolicy, Run, RunSettings
from ...results.store.directories import require_absent
from ...results.store.settings import fitted_to_space
from ...search_space import Architecture, GoalError, RunError, SearchSpace, load_space, published_architecture
from ...search_space.errors import first_line
from ..resolve.environment import torch_device, unused_run_directory
from ..resolve.requests import SearchRequest
from ..samplers.feasibility import require_feasible, require_feasible_latency, smallest_networks
from ..samplers.registry import check_sampler
from ..samplers.transfer import TransferredTrial, load_transferred_trials, select_transferred_genes
from .successive_halving import rungs_between
from .trials import feasible_published

ACCURACY_EVALUATORS = ("train", "supernet", "inherit", "table")


def create_run(request: SearchRequest) -> Run:
    """Check everything, then make the run's folder and study.

    Raises:
        BneckError: whatever cannot be met; then nothing has been made.
    """
    from ..resolve.datasets import normalized_for_evaluator, open_images

    evaluator_name = resolve_evaluator(request.evaluator)
    rungs = None
    if request.min_epochs is not None:
        rungs = rungs_between(request.min_epochs, request.epochs, request.reduction_factor)
        if evaluator_name != "train":
            raise GoalError(
                f"--min-epochs needs --evaluator train, got {request.evaluator}, which has no epochs"
            )
    out = request.out or unused_run_directory(request.space, request.data)
    require_absent(out, f"bneck search {out} --resume")
    goals = parse_goals(request.objectives, request.limits)
    check_sampler(request.sampler)
    for name in request.baseline_names:
        published_architecture(name)
    space = load_space(request.space)
    images, data = open_images(request)
    device = torch_device(request.device)
    recipe = Recipe(epochs=request.epochs, batch_size=request.batch_size, learning_rate=request.learning_rate)
    evaluator(evaluator_name, EvaluationContext(data, recipe, device))
    data = normalized_for_evaluator(evaluator_name, data)
    images = images.of(data)
    space = space.for_data(data.image_channels, len(data.class_names))
    transferred = (
        load_transferred_trials(Run.open(request.transfer_from), space) if request.transfer_from else []
    )
    rng = random.Random(request.seed)
    require_feasible(space, goals, rng)
    setup, latency_of = _latencies(request, space)
    if request.max_latency:
        require_feasible_latency(
            space, goals, [(each, latency_of(each)) for each in smallest_networks(space, rng)]
        )
    settings = RunSettings(
        study=f"bneck-{uuid.uuid4().hex[:12]}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space,
        data=images,
        goals=goals,
        recipe=recipe,
        latency=setup,
        latency_policy=_latency_from(request, setup),
        n_trials=request.n_trials,
        seed=request.seed,
        sampler=request.sampler,
        enqueue_published=request.enqueue_published,
        baselines=request.baseline_names,
        torch_device=device,
        storage=request.storage,
        host=host(),
        versions=package_versions(),
        replicates=default_replicates(request.n_trials, evaluator_name)
        if request.replicates is None
        else request.replicates,
        evaluator=evaluator_name,
        rungs=rungs,
    )
    run = Run(out, settings)
    if settings.storage:
        _create_study(run, transferred)
    run = Run.create(out, settings)
    if request.latency_predictor:
        shutil.copyfile(request.latency_predictor, run.latency_predictor_file)
    if not settings.storage:
        _create_study(run, transferred)
    return run


def resolve_evaluator(name: str) -> str:
    """A scorer that a search may judge by, its files with their whole paths.

    Raises:
        UnknownNameError: no such scorer.
        GoalError: it tells no accuracy.
    """
    kind, files = scorer_kind(name), name.partition(":")[2]
    if kind not in ACCURACY_EVALUATORS:
        known = ", ".join(each for each in SCORER_NAMES if each.partition(":")[0] in ACCURACY_EVALUATORS)
        raise GoalError(f"--evaluator {name} tells no accuracy, which a search needs; those that do: {known}")
    return f"{kind}:{','.join(str(Path(file).resolve()) for file in files.split(','))}" if files else kind


def default_replicates(n_trials: int, scorer_name: str) -> int:
    """A fifth of the trials, 6 at least of 20 trials or more; none where a seed changes nothing."""
    if not depends_on_seed(scorer_name):
        return 0
    return max(n_trials // 5, 6) if n_trials >= 20 else n_trials // 5


def _latencies(
    request: SearchRequest, space: SearchSpace
) -> tuple[LatencySetup, Callable[[Architecture], Latency]]:
    """What latencies are held against, and where they come from: a model's file, or this device.

    Raises:
        BackendError: the device cannot be measured.
        GoalError: the model is of another space.
    """
    from ...evaluate.latency.meter import LatencyMeter

    if request.latency_predictor:
        model = load_latency_predictor(request.latency_predictor)
        if model.space != space.name:
            message = (
                f"is of space {model.space}; build one: bneck latency-model build {request.space} --out FILE"
            )
            raise GoalError(f"--latency-predictor {request.latency_predictor} {message}")
        return model.setup, model.predict
    backend = latency_backend(request.latency_backend, threads=request.latency_threads)
    panel = build_reference_panel(request.reference_model, lambda network: fitted_to_space(network, space))
    meter = LatencyMeter.with_cache(backend, panel)
    return meter.setup, meter.measure_or_raise


def _latency_from(request: SearchRequest, setup: LatencySetup) -> LatencyPolicy:
    """A model given by its file stands alone where measuring is slow or the device is another one."""
    from ...evaluate.latency.meter import unavailable_reason

    if request.no_latency_predictor:
        return "measurements"
    if request.latency_predictor and (setup.backend.startswith(COMMAND_PREFIX) or unavailable_reason(setup)):
        return "model"
    return "both"


def _create_study(run: Run, transferred: Sequence[TransferredTrial]) -> None:
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
        if settings.enqueue_published:
            for source, genes in feasible_published(run):
                study.enqueue_trial(genes, user_attrs={"source": source})
        if transferred:
            study.set_user_attr(TRANSFER_KEY, [astuple(each) for each in transferred])
        for genes in select_transferred_genes(transferred, run):
            study.enqueue_trial(genes, user_attrs={"source": "transfer"}, skip_if_exists=True)
    except Exception as error:
        message = f"no study can be kept in {run.storage_url}: {first_line(error)}"
        raise RunError(f"{run.folder}: {message}") from None
