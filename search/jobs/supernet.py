"""`bneck supernet`: train the supernet of a space and save it to a file."""

import shlex
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...evaluate import format_count, parse_limit
from ...evaluate.data.dataset import Data, absolute_name, class_difference
from ...evaluate.supernet.checkpoint import SupernetCheckpoint, load_supernet, save_supernet
from ...evaluate.supernet.config import SupernetConfig
from ...evaluate.supernet.trainer import SupernetTrainer, train_to_end
from ...evaluate.trust import is_active
from ...results import DataSettings
from ...results.store.recorded_data import difference_since
from ...search_space import GoalError, RunError, load_space
from ...search_space.errors import DivergedError, NonFiniteLossError
from ..console.progress import format_time_left
from ..console.tables import print_lines
from ..console.terminal import Console
from ..console.training_progress import epoch_summary
from ..resolve.datasets import report_left_out
from ..resolve.environment import torch_device
from ..resolve.recipes import choose_recipe, require_two_images_per_step
from ..resolve.requests import SupernetRequest
from .job import print_result, resumable
from .latency_predictor import require_absent


def train_and_report(request: SupernetRequest, *, resume: bool, data: str | None, as_json: bool) -> None:
    """Create or resume the training of a supernet, and print the result.

    Args:
        data: the data set if the user named it; that of a resumed training.
    Raises:
        BneckError: the request is invalid, or training cannot proceed; the last checkpoint remains.
    """
    notes: list[str] = []
    training = _resume(request, data) if resume else _create(request, notes.append)
    if training.device == "cpu":
        torch.set_num_threads(1)
    out, console = request.file, Console(stderr=as_json)
    reporter = CheckpointReporter(training, lambda line: print_lines(console, line))
    for line in (start_message(training, out), *notes):
        reporter.print_line(line)
    try:
        with resumable(
            resume_command(out, training.data.name), lambda: f"{_fraction_done(out):.0%} of the training"
        ):
            train_to_end(training, out, reporter)
    except NonFiniteLossError as error:
        message = f"{out}: {error}; the file holds the last checkpoint. Lower --learning-rate"
        raise DivergedError(message) from None
    checkpoint = training.checkpoint()
    print_result(as_dict(checkpoint, out), summary_lines(checkpoint, out), as_json=as_json)


class CheckpointReporter:
    """Prints a line per checkpoint, with the time left at the pace of this session."""

    def __init__(
        self,
        training: SupernetTrainer,
        print_line: Callable[[str], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.print_line, self.clock = print_line, clock
        self.start_time, self.fraction_done_before = clock(), training.fraction_done
        self.last, self.images_seen = self.start_time, training.images_seen

    def __call__(self, training: SupernetTrainer) -> None:
        now, fraction_done = self.clock(), training.fraction_done
        images_per_second = (training.images_seen - self.images_seen) / max(now - self.last, 1e-9)
        self.last, self.images_seen = now, training.images_seen
        words = epoch_summary(training.latest) if training.latest else "no step yet"
        line = f"{fraction_done:.0%}: epoch {max(1, training.epoch + (training.steps_in_epoch > 0))}, {words}"
        line += f"; {images_per_second:,.0f} images/s"
        if not training.done and fraction_done > self.fraction_done_before:
            left = (now - self.start_time) / (fraction_done - self.fraction_done_before) * (1 - fraction_done)
            line += f"; {format_time_left(left)}"
        self.print_line(line)


def start_message(training: SupernetTrainer, out: Path) -> str:
    settings = training.settings
    resumed_text = f", resumed at {training.fraction_done:.0%}" if training.steps else ""
    return (
        f"{out}: supernet of space {training.space.name} on {training.data.name} "
        f"({training.data.count('train'):,} images, {training.space.classes} classes), "
        f"{_budget(settings)}{resumed_text}: {_sampling_text(settings)}; {settings.recipe.optimizer}, "
        f"{settings.recipe.augment}, batch size {settings.recipe.batch_size}; {training.device}"
    )


def as_dict(trained: SupernetCheckpoint, file: Path) -> dict[str, Any]:
    """The content of `--json`."""
    settings = trained.settings
    return {
        "file": str(file),
        "space": trained.space.name,
        "genes": {gene.name: list(gene.choices) for gene in trained.space.genes},
        "params": _params(trained),
        "data": trained.data,
        "image_channels": trained.space.image_channels,
        "class_names": list(trained.class_names),
        "train_images": trained.train_images,
        "strategy": settings.strategy,
        "max_macs": settings.max_macs,
        "minutes": settings.minutes,
        "seed": settings.seed,
        "recipe": asdict(settings.recipe),
        "finished": trained.finished,
        "fraction_done": trained.fraction_done,
        "steps": trained.steps,
        "images_seen": trained.images_seen,
        "seconds": trained.seconds,
        "curve": [asdict(point) for point in trained.curve],
    }


def summary_lines(trained: SupernetCheckpoint, file: Path) -> list[str]:
    """A description of a supernet and the command that uses it."""
    settings = trained.settings
    lines = [
        f"{file}: supernet of space {trained.space.name}, {format_count(_params(trained))} parameters, on "
        f"{trained.data} ({trained.train_images:,} images, {len(trained.class_names)} classes)",
        f"trained: {_budget(settings)}, {_sampling_text(settings)}, seed {settings.seed}; "
        f"{trained.steps:,} steps, {trained.images_seen:,} images, "
        f"{trained.seconds:,.0f} CPU s",
    ]
    if trained.curve:
        lines.append(f"last epoch: {epoch_summary(trained.curve[-1])}")
    if not trained.finished:
        return [
            *lines,
            f"incomplete ({trained.fraction_done:.0%}); resume with: {resume_command(file, trained.data)}",
        ]
    return [*lines, f"use it: bneck proxy ARCH --evaluator {shlex.quote(f'supernet:{file}')}"]


def resume_command(out: Path, data: str = "") -> str:
    """The command that resumes an interrupted training, with `--trust` where its data needs it."""
    trust = " --trust" if is_active("data set", data) else ""
    return f"bneck supernet --file {shlex.quote(str(out))} --resume{trust}"


def _create(request: SupernetRequest, on_note: Callable[[str], None]) -> SupernetTrainer:
    if request.file.exists():
        message = f"choose another --file, or resume it: {resume_command(request.file)}"
        raise RunError(f"{request.file} exists; {message}")
    require_absent(request.file)
    training = _prepare(request, on_note)
    save_supernet(training.checkpoint(), request.file, replace=False)  # claims the name
    return training


def _resume(request: SupernetRequest, confirmed_data: str | None) -> SupernetTrainer:
    trained = load_supernet(request.file)
    if trained.finished:
        raise RunError(f"{request.file} is finished; show it: bneck describe supernet {request.file}")
    if not request.space:
        name = absolute_name(confirmed_data or trained.data)
        if name != trained.data and not name.startswith("folder:"):
            raise GoalError(f"{request.file}: data is {trained.data}; --resume cannot change it")
        settings = DataSettings(name, _text(request.data_root), trained.train_images)
        data = settings.load(download=request.download)
        device = torch_device(request.device)
        training = SupernetTrainer(trained.space, data, trained.settings, device=device)
    else:
        training = _prepare(request)
    if problem := difference_since(trained.manifest, trained.fingerprint, training.data):
        raise GoalError(f"{request.file}: {problem}; restore the data, or train another supernet")
    if difference := _difference(trained, training):
        raise GoalError(f"{request.file}: {difference}; --resume cannot change it")
    training.restore(trained)
    return training


def _prepare(request: SupernetRequest, on_note: Callable[[str], None] = lambda note: None) -> SupernetTrainer:
    space = load_space(request.space)
    images = DataSettings(absolute_name(request.data), _text(request.data_root), request.train_images)
    data: Data = images.load(download=request.download)
    report_left_out(data)
    chosen = choose_recipe(request.recipe, request.recipe_overrides, data.count("train"))
    on_note(chosen.text)
    settings = SupernetConfig(
        recipe=chosen.recipe,
        strategy=request.strategy,  # type: ignore[arg-type]
        max_macs=parse_limit(request.max_macs) if request.max_macs else None,
        minutes=request.minutes,
        seed=request.seed,
    )
    require_two_images_per_step(settings.recipe.batch_size, data.count("train"))
    return SupernetTrainer(space, data, settings, device=torch_device(request.device))


def _difference(trained: SupernetCheckpoint, training: SupernetTrainer) -> str | None:
    """The first setting that differs from the interrupted training."""
    now = training.checkpoint()
    if now.space != trained.space:
        return f"space {trained.space.name} differs from the one in the file"
    before, after = _comparable(trained), _comparable(now)
    for name, value in before.items():
        if name == "class_names" and (difference := class_difference(value, after[name])):
            return difference
        if after[name] != value:
            return f"{name.replace('_', ' ')} is {value}, not {after[name]}"
    return None


def _comparable(checkpoint: SupernetCheckpoint) -> dict[str, Any]:
    images = ("train_images", "class_names", "pixel_mean", "pixel_std")
    own = asdict(checkpoint.settings)
    data = "folder" if checkpoint.data.startswith("folder:") else checkpoint.data  # it may have moved
    return {**own.pop("recipe"), **own, "data": data, **{name: getattr(checkpoint, name) for name in images}}


def _budget(settings: SupernetConfig) -> str:
    if settings.minutes is not None:
        return f"{settings.minutes:g} CPU minutes"
    return f"{settings.recipe.epochs} epochs"


def _sampling_text(settings: SupernetConfig) -> str:
    limit = f" up to {format_count(settings.max_macs)} MACs" if settings.max_macs else ""
    return f"{settings.strategy} networks{limit}"


def _params(trained: SupernetCheckpoint) -> int:
    return sum(parameter.numel() for parameter in trained.supernet().parameters())


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _fraction_done(out: Path) -> float:
    return load_supernet(out).fraction_done if out.is_file() else 0.0
