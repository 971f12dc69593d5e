"""Creating a run: everything is checked before a folder is made."""

import random
import shutil
import uuid
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...evaluate import Latency, LatencySetup, build_reference_panel, host, package_versions
from ...evaluate.latency.backends import COMMAND_PREFIX, latency_backend
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.scorers import depends_on_seed
from ...evaluate.surrogate.factory import TRANSFER_KEY
from ...results import LatencyPolicy, Run, RunSettings
from ...results.store.fidelities import Rungs
from ...results.store.new_folder import Place
from ...results.store.settings import fitted_to_space
from ...results.store.storage import open_storage, public_url
from ...results.store.trial import BASELINE_SOURCE
from ...search_space import Architecture, CandidateSpace, GoalError, PretrainedSpace, RunError
from ...search_space.errors import first_line
from ...search_space.urls import redact
from ..resolve.confirmed import predictor_setup
from ..resolve.default_space import PHOTO_PX, typical_side_px, with_default_space
from ..resolve.environment import numbered_run_directory
from ..resolve.objects import NO_OBJECTS, SearchObjects
from ..resolve.pretrained import pretrained_baseline
from ..resolve.requests import PRETRAINED_BASELINE, SearchRequest
from ..resolve.search import ResolvedSearch, resolve_search
from ..samplers.feasibility import require_feasible, require_feasible_latency, smallest_networks
from ..samplers.highest_resolutions import highest_resolutions
from ..samplers.transfer import TransferredTrial, load_transferred_trials, select_transferred_genes
from .budget import affordable_baselines
from .proposer import feasible_published
from .successive_halving import rungs_between

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from ...evaluate.data.dataset import Data


def create_run(
    request: SearchRequest,
    objects: SearchObjects = NO_OBJECTS,
    on_note: Callable[[str], None] = lambda note: None,
    timeout_minutes: float | None = None,
) -> Run:
    """Check everything, then make the run's folder and study.

    Args:
        on_note: called with a line on each choice that the data made.
        timeout_minutes: time limit of the search, on which the number of enqueued baselines depends.
    Raises:
        BneckError: a setting is invalid or the limits cannot be met; nothing has been written.
    """
    if request.min_epochs and request.evaluator != "train":
        raise GoalError(f"--min-epochs needs --evaluator train, got {request.evaluator}, which has no epochs")
    images: Data | None = None
    if not (request.space or request.pretrained or objects.space):
        request, images, note = with_default_space(request, objects)
        on_note(note)
    out = request.out or numbered_run_directory(
        "pretrained" if request.pretrained else request.space, request.data
    )
    Run.require_absent(out)
    search = resolve_search(request, objects, on_note, images)
    rungs = _rungs(request, search.recipe.epochs)
    space, goals = search.space, search.goals
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
    baseline_names = _baseline_names(request, search, latency_of)
    replicates = request.replicates
    if replicates is None:
        replicates = default_replicates(request.trials, search.evaluator)
    settings = RunSettings(
        study=f"bneck-{uuid.uuid4().hex[:12]}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space,
        data=search.data,
        goals=goals,
        recipe=search.recipe,
        latency=setup,
        latency_policy=_latency_policy(request, setup),
        n_trials=request.trials,
        seed=request.seed,
        sampler=request.sampler,
        enqueue_published=request.enqueue_published,
        baselines=baseline_names,
        torch_device=search.device,
        storage=request.storage,
        host=host(),
        versions=package_versions(),
        replicates=replicates,
        evaluator=search.evaluator,
        rungs=rungs,
        teacher=search.teacher.name if search.teacher else "",
        soft_label_weight=search.teacher.weight if search.teacher else 0.0,
    )
    baselines: Sequence[Architecture] = ()
    if isinstance(space, PretrainedSpace):
        baselines = highest_resolutions(space, goals, latency_of)
        if timeout_minutes:
            train_images = search.images.count("train")
            baselines = affordable_baselines(baselines, train_images, settings, timeout_minutes)
    run = make_search_folder(
        out,
        settings,
        request.latency_predictor,
        objects,
        transferred,
        data=search.images,
        baselines=baselines,
        teacher=search.teacher.path if search.teacher else None,
    )
    if objects.storage:
        attach_study(run, objects.storage)
    return run


def make_search_folder(
    out: Place,
    settings: RunSettings,
    latency_predictor: Path | None = None,
    objects: SearchObjects = NO_OBJECTS,
    transferred: Sequence[TransferredTrial] = (),
    data: "Data | None" = None,
    baselines: Sequence[Architecture] = (),
    teacher: Path | None = None,
) -> Run:
    """Create the folder and its study.

    Args:
        data: whose splits are recorded.
        latency_predictor: a file that is copied into the folder.
        baselines: networks that are enqueued first.
        teacher: a file that is copied into the folder.
    Raises:
        RunError: the folder exists, or the storage cannot be used; neither folder nor study is left.
    """

    def fill(run: Run) -> None:
        if data is not None:
            run.save_manifest(data)
        if latency_predictor:
            shutil.copyfile(latency_predictor, run.latency_predictor_file)
        if teacher:
            run.store_teacher(teacher)
        _create_study(run, objects, transferred, baselines)

    try:
        return Run.create(out, settings, fill)
    except BaseException:
        if settings.storage or objects.storage:  # outside the folder
            _delete_study(settings, objects)
        raise


def _delete_study(settings: RunSettings, objects: SearchObjects) -> None:
    import optuna

    with suppress(Exception):  # it was not created, or the storage is unreachable
        storage = objects.storage or open_storage(settings.storage, "write")
        optuna.delete_study(study_name=settings.study, storage=storage)


def attach_study(run: Run, storage: "BaseStorage") -> None:
    """Have a run use a storage object of this process in place of a URL."""
    import optuna

    study = optuna.load_study(study_name=run.settings.study, storage=storage)
    run.require_same_space(study)
    vars(run)["study"] = study


def default_replicates(n_trials: int, evaluator: str) -> int:
    """A fifth of the trials, at least 6 from 20 trials on; 0 where a seed changes nothing."""
    if not depends_on_seed(evaluator):
        return 0
    return max(n_trials // 5, 6) if n_trials >= 20 else n_trials // 5


def _rungs(request: SearchRequest, epochs: int) -> Rungs | None:
    if request.min_epochs is None:
        return None
    return rungs_between(request.min_epochs, epochs, request.reduction_factor)


def _baseline_names(
    request: SearchRequest, search: ResolvedSearch, latency_of: Callable[[Architecture], Latency]
) -> tuple[str, ...]:
    """The baselines of a run: the pretrained network first, by its name and resolution.

    By default a search that trains from scratch on photos has one, if its weights are on this machine.

    Raises:
        GoalError: a pretrained network is asked for, and none is on this machine or all violate a limit.
    """
    from ...evaluate.training.pretrained import available_pretrained

    names = tuple(name for name in request.baseline_names if name != PRETRAINED_BASELINE)
    asked = names != request.baseline_names
    by_default = (
        request.baselines is None
        and search.evaluator == "train"
        and not (request.pretrained or request.latency_predictor)
        and typical_side_px(search.images) >= PHOTO_PX
        and available_pretrained()
    )
    if not asked and not by_default:
        return names
    found = pretrained_baseline(search.space, search.goals, latency_of, search.device)
    if found is None and asked:
        raise GoalError("--baseline pretrained: every pretrained network violates a limit")
    return (found, *names) if found else names


def _latencies(
    request: SearchRequest, space: CandidateSpace
) -> tuple[LatencySetup, Callable[[Architecture], Latency]]:
    """The setup that latencies refer to, and their source: a predictor file, or this device.

    Raises:
        BackendError: the device cannot be measured.
        GoalError: the predictor is of another space.
    """
    from ...evaluate.latency.meter import LatencyMeter

    if request.latency_predictor:
        predictor = LatencyPredictor.load(request.latency_predictor)
        if predictor.space != space.name:
            raise GoalError(
                f"--latency-predictor {request.latency_predictor} is of space {predictor.space}; build one: "
                f"bneck latency-predictor build {request.space} --file FILE"
            )
        return predictor_setup(predictor, request.latency_backend), predictor.predict
    backend = latency_backend(request.latency_backend, threads=request.latency_threads)
    panel = build_reference_panel(request.reference_model, lambda network: fitted_to_space(network, space))
    meter = LatencyMeter.with_cache(backend, panel)
    return meter.setup, lambda network: meter.measure_or_raise(network.without_fine_tuning)


def _latency_policy(request: SearchRequest, setup: LatencySetup) -> LatencyPolicy:
    """`model` if measuring is slow, or impossible here; only a predictor given as a file can replace it."""
    from ...evaluate.latency.meter import unavailable_reason

    if request.no_latency_predictor or request.pretrained:  # measuring takes seconds, tuning minutes
        return "measurements"
    if request.latency_predictor and (setup.backend.startswith(COMMAND_PREFIX) or unavailable_reason(setup)):
        return "model"
    return "both"


def _create_study(
    run: Run,
    objects: SearchObjects,
    transferred: Sequence[TransferredTrial],
    baselines: Sequence[Architecture],
) -> None:
    """Create the study and enqueue baselines, published and transferred networks within the limits.

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
            storage=objects.storage or open_storage(run.storage_url, "create"),
            directions=[objective.direction for objective in settings.goals.objectives],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([objective.quantity for objective in settings.goals.objectives])
        study.set_user_attr("genes", {gene.name: list(gene.choices) for gene in settings.space.genes})
        for network in baselines:
            study.enqueue_trial(settings.space.encode(network), user_attrs={"source": BASELINE_SOURCE})
        if settings.enqueue_published:
            for source, genes in feasible_published(run):
                study.enqueue_trial(genes, user_attrs={"source": source})
        if transferred:
            study.set_user_attr(TRANSFER_KEY, [astuple(each) for each in transferred])
        for genes in select_transferred_genes(transferred, run):
            study.enqueue_trial(genes, user_attrs={"source": "transfer"}, skip_if_exists=True)
    except Exception as error:
        raise RunError(
            f"{run.folder}: cannot create a study in {public_url(run.storage_url)}: "
            f"{redact(first_line(error), run.storage_url)}"
        ) from None
