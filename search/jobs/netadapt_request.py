"""From the request of `bneck netadapt` to its folder; everything is checked before it is created."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from ...evaluate import (
    Constraint,
    Latency,
    format_count,
    host,
    package_versions,
    parse_latency,
    parse_limit,
    usable_cores,
)
from ...evaluate.data.dataset import Data, absolute_name
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.netadapt.cuts import CUT_KINDS, CutKind
from ...evaluate.netadapt.netadapt import TUNE_LEARNING_RATE_FACTOR, ResourceBudget, require_reachable
from ...evaluate.training.checkpoint import Checkpoint, load_checkpoint, make_checkpoint, save_checkpoint
from ...evaluate.training.recipe import load_recipe
from ...results import DataSettings
from ...results.store.experiment import is_training
from ...results.store.netadapt_run import NETADAPT_DIRECTORY, NetAdaptRun
from ...results.store.netadapt_settings import FinalInitialization, NetAdaptSettings
from ...results.store.new_folder import NumberedFolder, Place
from ...search_space import Architecture, GoalError, cost
from ..console.tables import print_lines
from ..console.terminal import Console
from ..resolve.datasets import report_left_out, with_normalization
from ..resolve.environment import numbered_run_directory, torch_device
from ..resolve.networks import resolve_trial
from ..resolve.trained_networks import ResolvedCheckpoint, require_held_out, resolve_checkpoint
from ..resolve.training_requests import NetAdaptRequest, TrainingRequest
from .netadapt_latency import measure_or_predict, resolve_latency_source
from .training_request import RANDOM_WEIGHTS, initial_network
from .training_request import plan as plan_training


@dataclass(frozen=True, eq=False)
class NetAdaptPlan:
    """A checked request.

    Attributes:
        start: the initial network with weights; None if it must be trained first.
        pretrained: weights that the first training starts from; None if they are random, or not needed.
        model: the latency predictor; None if the limit is on MACs.
    """

    out: Place
    settings: NetAdaptSettings
    data: Data
    start: Checkpoint | None
    pretrained: Checkpoint | None
    model: LatencyPredictor | None


def plan(request: NetAdaptRequest, console: Console) -> NetAdaptPlan:
    """Check the request, open the data set and fit the latency predictor; no file is written.

    Raises:
        BneckError: the request is invalid.
    """
    _require_one_limit(request)
    parse_final_initialization(request.final)
    parse_cut_kinds(request.cuts)
    out = request.out or _folder(request)
    NetAdaptRun.require_absent(out)
    start, pretrained, base, data = _start(request, console)
    architecture = base.architecture
    setup, model, meter = resolve_latency_source(request, architecture, base.cuts, console)
    latency = measure_or_predict(architecture, model, meter)
    limit = _limit(request, latency)
    settings = replace(base, latency=setup, limit=limit)
    value = limit.measured_value(cost(architecture), latency)
    if value is not None and limit.violation(value) <= 0:
        raise GoalError(f"{request.network} satisfies {limit} already; choose a lower limit")
    require_reachable(architecture, make_goal(settings, model, meter))
    return NetAdaptPlan(out, settings, data, start, pretrained, model)


def create_netadapt_run(netadapt_plan: NetAdaptPlan) -> NetAdaptRun:
    """Create the folder, with the initial weights if there are any.

    Raises:
        RunError: it cannot be created; nothing is left behind.
    """

    def fill(run: NetAdaptRun) -> None:
        run.save_manifest(netadapt_plan.data)
        if netadapt_plan.model:
            netadapt_plan.model.save(run.latency_predictor_file)
        if netadapt_plan.start:
            save_checkpoint(replace(netadapt_plan.start, state={}), run.network_file(0))
        if netadapt_plan.pretrained:
            save_checkpoint(netadapt_plan.pretrained, run.pretrained_file)

    return NetAdaptRun.create(netadapt_plan.out, netadapt_plan.settings, fill)


def make_goal(
    settings: NetAdaptSettings, model: LatencyPredictor | None, meter: LatencyMeter | None
) -> ResourceBudget:
    """The limit as a resource budget; accepted networks are measured if there is a meter."""
    limit = settings.limit

    def value(architecture: Architecture, latency: Latency | None) -> float:
        quantity_value = limit.measured_value(cost(architecture), latency)
        assert quantity_value is not None
        return quantity_value

    def estimated(architecture: Architecture) -> float:
        return value(architecture, model.predict(architecture) if model else None)

    def measured(architecture: Architecture) -> float:
        return value(architecture, measure_or_predict(architecture, model, meter))

    depends_on_latency = limit.quantity == "latency"
    start = (measured if depends_on_latency else estimated)(settings.architecture)
    return ResourceBudget(
        cost_of=estimated,
        limit=limit.limit,
        min_reduction=settings.step * start,
        measure=measured if depends_on_latency else None,
        cut_kinds=settings.cuts,
        format_cost=lambda cost: f"{cost:.4g}{limit.unit}" if limit.unit else format_count(cost),
    )


def parse_final_initialization(name: str) -> FinalInitialization:
    """Initial weights of the final training by name.

    Raises:
        GoalError: unknown name.
    """
    for final in get_args(FinalInitialization):
        if name == final:
            return cast("FinalInitialization", final)
    raise GoalError(f"--final must be {' or '.join(get_args(FinalInitialization))}, got '{name}'")


def parse_cut_kinds(names: str) -> tuple[CutKind, ...]:
    """Kinds of cuts by name, separated by commas, without repetition.

    Raises:
        GoalError: unknown name, or none.
    """
    given = [name.strip() for name in names.split(",")]
    if unknown := [name for name in given if name not in CUT_KINDS]:
        raise GoalError(f"--cuts must be of {', '.join(CUT_KINDS)}, got '{unknown[0]}'")
    return tuple(kind for kind in CUT_KINDS if kind in given)


def _require_one_limit(request: NetAdaptRequest) -> None:
    limits = {"--max-latency": request.max_latency, "--max-macs": request.max_macs, "--to": request.to}
    given = [name for name, value in limits.items() if value is not None]
    if len(given) != 1:
        given_text = ", ".join(given) if given else "none"
        raise GoalError(f"give exactly one of {', '.join(limits)}, got {given_text}")
    if request.max_latency is not None:
        parse_latency(request.max_latency)
    if request.max_macs is not None:
        parse_limit(request.max_macs)
    if request.to is not None and not 0 < request.to < 1:
        raise GoalError(
            f"--to must be above 0 and below 1, a fraction of the initial latency, got {request.to:g}"
        )
    if request.max_macs is not None and request.latency_predictor:
        raise GoalError("--max-macs and --latency-predictor exclude each other")
    if request.max_macs is None and request.latency_backend == "none" and not request.latency_predictor:
        raise GoalError("a limit on latency needs a --latency-backend, or a --latency-predictor FILE")


def _limit(request: NetAdaptRequest, start: Latency | None) -> Constraint:
    if request.max_macs is not None:
        return Constraint("macs", parse_limit(request.max_macs))
    if request.max_latency is not None:
        return parse_latency(request.max_latency)
    assert start is not None and request.to is not None
    return Constraint("latency", float(f"{request.to * start.ratio:.4g}"), "x")


def _folder(request: NetAdaptRequest) -> NumberedFolder:
    """In the search run for a network of a search, else in `runs/`."""
    if trial := resolve_trial(request.network):
        run, number = trial
        return NumberedFolder(run.folder / NETADAPT_DIRECTORY / f"trial-{run.record(number).trial}")
    return numbered_run_directory(f"netadapt-{Path(request.network).name}", request.data or "digits")


def _start(
    request: NetAdaptRequest, console: Console
) -> tuple[Checkpoint | None, Checkpoint | None, NetAdaptSettings, Data]:
    """The initial network and that before the first training, each if it has weights; settings; data.

    The limit of the settings is a placeholder.
    """
    training, device = request.training, torch_device(request.device)
    on_note = partial(print_lines, console)
    path = Path(request.network)
    trained = is_training(path) or path.suffix == ".safetensors" or resolve_trial(request.network)
    if not trained:
        own, data = plan_training(replace(training, data=training.data or "digits"), on_note)
        pretrained = None
        if own.initial_weights != RANDOM_WEIGHTS:
            network = initial_network(training, own, data, on_note)
            pretrained = make_checkpoint(network, data, own.recipe, own.seed, ())
        values: Mapping[str, Any] = {
            "architecture": own.architecture,
            "initial_weights": own.initial_weights if pretrained else "",
            "data": own.data,
            "recipe": own.recipe,
        }
        return None, pretrained, _settings(request, device, values), data
    if training.pretrained or training.weights:
        raise GoalError(f"{request.network} is trained already; --pretrained is for untrained networks")
    file = resolve_checkpoint(request.network)
    start = load_checkpoint(file.path)
    start = replace(start, architecture=start.architecture.without_fine_tuning)
    images = _images(training, file, start)
    data = images.load(download=training.download)
    report_left_out(data)
    start.normalize_data(data)  # checks classes and channels
    require_held_out(file, start, data)
    settings, data = with_normalization(images.of(data), data, start.pixel_mean, start.pixel_std)
    recipe = load_recipe(training.recipe) if training.recipe else start.recipe
    values = {
        "architecture": start.architecture,
        "initial_weights": str(file.path),
        "data": settings,
        "recipe": replace(recipe, **request.recipe_overrides),
    }
    return start, None, _settings(request, device, values), data


def _settings(request: NetAdaptRequest, device: str, values: Mapping[str, Any]) -> NetAdaptSettings:
    return NetAdaptSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=request.network,
        seed=request.seed,
        limit=Constraint("macs", 1),
        cuts=parse_cut_kinds(request.cuts),
        step=request.step,
        finetune_images=request.finetune_images,
        finetune_lr_scale=TUNE_LEARNING_RATE_FACTOR,
        distillation=request.distillation,
        final=parse_final_initialization(request.final),
        device=device,
        threads=request.threads or usable_cores(),
        latency=None,
        host=dict(host()),
        versions=dict(package_versions()),
        **values,
    )


def _images(training: TrainingRequest, file: ResolvedCheckpoint, start: Checkpoint) -> DataSettings:
    """The requested data set, else the one that the network was trained on."""
    name = absolute_name(training.data) if training.data else ""
    base = DataSettings(name) if name else file.data or DataSettings(start.data)
    overrides: dict[str, Any] = {
        "root": str(training.data_root.absolute()) if training.data_root else None,
        "train_images": training.train_images,
        "validation_images": training.validation_images,
    }
    return replace(base, **{name: value for name, value in overrides.items() if value is not None})
