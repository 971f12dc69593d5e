"""What `bneck adapt` is asked for: everything is checked before a folder is made."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from ...evaluate import (
    Constraint,
    Latency,
    host,
    package_versions,
    parse_count,
    parse_latency,
    short_count,
    usable_cores,
)
from ...evaluate.latency.meter import LatencyMeter
from ...evaluate.latency.predictor import LatencyModel
from ...evaluate.latency.predictor_file import save_model
from ...evaluate.netadapt.netadapt import TUNE_RATE, Goal, require_reachable
from ...evaluate.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ...evaluate.training.recipe import load_recipe
from ...results import DataSettings
from ...results.store.directories import is_training, refuse_existing
from ...results.store.netadapt_run import FOLDER_IN_RUN, AdaptationFolder
from ...results.store.netadapt_settings import AdaptationSettings, Final
from ...search_space import Architecture, GoalError, cost
from ..commands.inspect import trial_of
from ..resolve.trained_networks import TrainedFile, trained_file
from ..runner.create import free_folder, torch_device
from ..runner.worker import load_run_data
from .netadapt_latency import LatencyRequest, latencies, latency_of
from .training_request import TrainingRequest
from .training_request import plan as plan_training


@dataclass(frozen=True)
class AdaptationRequest:
    """What a person asked for, in words; see `bneck adapt --help`.

    Attributes:
        training: the network, the images and the recipe; its `data` is empty for those that the
            network was trained on, or the digits.
        share: of the start's own latency.
        model: a file of `bneck latency-model build`.
        backend: that measures, or `none`.
    """

    training: TrainingRequest
    max_latency: str | None
    max_macs: str | None
    share: float | None
    step: float
    tune_images: int
    final: Final
    model: Path | None
    backend: str
    threads: int
    reference: str

    @property
    def latency(self) -> LatencyRequest:
        return LatencyRequest(
            self.words,
            self.max_macs is None,
            self.model,
            self.backend,
            self.threads,
            self.reference,
            self.training.seed,
        )

    @property
    def words(self) -> str:
        return self.training.arch


@dataclass(frozen=True, eq=False)
class AdaptationPlan:
    """What can begin.

    Attributes:
        start: the trained network; None where it is trained first.
        model: that predicts latencies; None where the limit is on MACs.
    """

    out: Path
    settings: AdaptationSettings
    start: Checkpoint | None
    model: LatencyModel | None


def plan(request: AdaptationRequest, console: Console) -> AdaptationPlan:
    """Check what was asked for, open the images, learn the latencies; nothing is made.

    Raises:
        BneckError: whatever cannot be met.
    """
    _require_one_limit(request)
    out = request.training.out or _folder(request)
    refuse_existing(out, f"bneck adapt {out} --resume")
    start, base = _start(request)
    architecture = base.architecture
    setup, model, meter = latencies(request.latency, architecture, console)
    latency = latency_of(architecture, model, meter)
    limit = _limit(request, latency)
    settings = replace(base, latency=setup, limit=limit)
    value = limit.value_of(cost(architecture), latency)
    if value is not None and limit.violation(value) <= 0:
        raise GoalError(f"{request.words} keeps {limit} already; choose a lower limit")
    require_reachable(architecture, goal_of(settings, model, meter))
    return AdaptationPlan(out, settings, start, model)


def begin(planned: AdaptationPlan) -> AdaptationFolder:
    """Make the folder, with the start's weights if there are any.

    Raises:
        RunError: it cannot be made; then nothing has been made.
    """
    folder = AdaptationFolder.create(planned.out, planned.settings)
    try:
        if planned.model:
            save_model(planned.model, folder.latency_model_file)
        if planned.start:
            save_checkpoint(replace(planned.start, state={}), folder.network_file(0))
    except BaseException:
        shutil.rmtree(planned.out)
        raise
    return folder


def goal_of(settings: AdaptationSettings, model: LatencyModel | None, meter: LatencyMeter | None) -> Goal:
    """The limit as the engine takes it; what is kept is measured where the device is at hand."""
    limit = settings.limit

    def value(architecture: Architecture, latency: Latency | None) -> float:
        found = limit.value_of(cost(architecture), latency)
        assert found is not None
        return found

    def estimated(architecture: Architecture) -> float:
        return value(architecture, model.predict(architecture) if model else None)

    def measured(architecture: Architecture) -> float:
        return value(architecture, latency_of(architecture, model, meter))

    of_latency = limit.quantity == "latency"
    start = (measured if of_latency else estimated)(settings.architecture)
    return Goal(
        cost_of=estimated,
        limit=limit.limit,
        least_saving=settings.step * start,
        measure=measured if of_latency else None,
        words=lambda cost: f"{cost:.4g}{limit.unit}" if limit.unit else short_count(cost),
    )


def final_of(words: str) -> Final:
    """Which weights the last training begins from.

    Raises:
        GoalError: no such word.
    """
    for known in get_args(Final):
        if words == known:
            final: Final = known
            return final
    raise GoalError(f"--final must be {' or '.join(get_args(Final))}, got '{words}'")


def _require_one_limit(request: AdaptationRequest) -> None:
    limits = {"--max-latency": request.max_latency, "--max-macs": request.max_macs, "--to": request.share}
    given = [name for name, value in limits.items() if value is not None]
    if len(given) != 1:
        told = ", ".join(given) if given else "none"
        raise GoalError(f"one limit is needed of {', '.join(limits)}, got {told}")
    if request.max_latency is not None:
        parse_latency(request.max_latency)
    if request.max_macs is not None:
        parse_count(request.max_macs)
    if request.share is not None and not 0 < request.share < 1:
        raise GoalError(
            f"--to is a share of the start's own latency, above 0 and below 1, got {request.share:g}"
        )
    if request.max_macs is not None and request.model:
        raise GoalError("--max-macs and --latency-model exclude each other; MACs need no model")
    if request.max_macs is None and request.backend == "none" and not request.model:
        raise GoalError("a limit on latency needs a --backend, or a --latency-model FILE")


def _limit(request: AdaptationRequest, start: Latency | None) -> Constraint:
    if request.max_macs is not None:
        return Constraint("macs", parse_count(request.max_macs))
    if request.max_latency is not None:
        return parse_latency(request.max_latency)
    assert start is not None and request.share is not None
    return Constraint("latency", float(f"{request.share * start.ratio:.4g}"), "x")


def _folder(request: AdaptationRequest) -> Path:
    """In the run's folder for a network of a search, else among the runs."""
    if trial := trial_of(request.words):
        run, number = trial
        parent = run.folder / FOLDER_IN_RUN
        stem, count = f"trial-{run.record(number).trial}", 1
        while (folder := parent / f"{stem}-{count}").exists():
            count += 1
        return folder
    return free_folder(f"adapt-{Path(request.words).name}", request.training.data or "digits")


def _start(request: AdaptationRequest) -> tuple[Checkpoint | None, AdaptationSettings]:
    """The trained network, if the words name one, and the settings; the limit is not known yet."""
    training, device = request.training, torch_device(request.training.device)
    path = Path(request.words)
    trained = is_training(path) or path.suffix == ".safetensors" or trial_of(request.words)
    if not trained:
        own, _ = plan_training(replace(training, data=training.data or "digits"))
        known: Mapping[str, Any] = {
            "architecture": own.architecture,
            "begins_from": "",
            "data": own.data,
            "recipe": own.recipe,
        }
        return None, _settings(request, device, known)
    file = trained_file(request.words)
    start = load_checkpoint(file.path)
    images = _images(training, file, start)
    data = load_run_data(images, download=training.download)
    start.normalised(data)
    recipe = load_recipe(training.recipe) if training.recipe else start.recipe
    known = {
        "architecture": start.architecture,
        "begins_from": str(file.path),
        "data": images.of(data),
        "recipe": replace(recipe, **dict(training.changes)),
    }
    return start, _settings(request, device, known)


def _settings(request: AdaptationRequest, device: str, known: Mapping[str, Any]) -> AdaptationSettings:
    return AdaptationSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=request.words,
        seed=request.training.seed,
        limit=Constraint("macs", 1),
        step=request.step,
        tune_images=request.tune_images,
        tune_rate=TUNE_RATE,
        final=request.final,
        device=device,
        threads=request.training.threads or usable_cores(),
        latency=None,
        host=dict(host()),
        versions=dict(package_versions()),
        **known,
    )


def _images(training: TrainingRequest, file: TrainedFile, start: Checkpoint) -> DataSettings:
    """Those asked for, else those that the network was trained on."""
    known = DataSettings(training.data) if training.data else file.data or DataSettings(start.data)
    changes: dict[str, Any] = {
        "root": str(training.data_root) if training.data_root else None,
        "train_images": training.train_images,
        "validation_images": training.validation_images,
    }
    return replace(known, **{name: value for name, value in changes.items() if value is not None})
