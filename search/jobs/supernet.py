"""`bneck supernet`: from the request to the file."""

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import typer
from rich.console import Console

from ...evaluate import format_count, parse_count
from ...evaluate.data.dataset import Data
from ...evaluate.supernet.checkpoint import SupernetCheckpoint, load_supernet
from ...evaluate.supernet.config import SupernetConfig
from ...evaluate.supernet.trainer import SupernetTrainer, train_to_end
from ...results import DataSettings
from ...search_space import GoalError, RunError, load_space
from ...search_space.errors import DivergedError, NonFiniteLossError
from ..console.exit_codes import INTERRUPTED
from ..console.progress import format_time_left
from ..console.training_progress import epoch_summary
from ..resolve.datasets import load_run_data
from ..resolve.environment import torch_device
from ..resolve.requests import SupernetRequest
from .latency_predictor import require_absent
from .training_request import recipe_for, require_two_images_per_step


def train_and_report(request: SupernetRequest, *, resume: bool, as_json: bool) -> None:
    """Train to the end, and print what came out.

    Raises:
        BneckError: it cannot begin, or cannot go on; what was trained is kept.
    """
    training = _resume(request) if resume else _create(request)
    if training.device == "cpu":
        torch.set_num_threads(1)
    out, console = request.file, Console(stderr=as_json)
    reporter = CheckpointReporter(
        training, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True)
    )
    reporter.print_line(start_message(training, out))
    try:
        train_to_end(training, out, reporter)
    except KeyboardInterrupt:
        fraction_done = load_supernet(out).fraction_done if out.is_file() else 0.0
        typer.echo(f"stopped; {out} has {fraction_done:.0%} of the training; go on with:", err=True)
        typer.echo(f"  {resume_command(out)}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except NonFiniteLossError as error:
        words = f"{out}: {error}; the file is from before. Try a lower --learning-rate, or another recipe"
        raise DivergedError(words) from None
    checkpoint = training.checkpoint()
    if as_json:
        typer.echo(json.dumps(as_dict(checkpoint, out), indent=2))
    else:
        for line in summary_lines(checkpoint, out):
            typer.echo(line)


class CheckpointReporter:
    """A line for every file that is written, with the time left by the pace of this session."""

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
    """What is about to be done, in a line."""
    settings = training.settings
    resumed_text = f" from {training.fraction_done:.0%} on" if training.steps else ""
    return (
        f"{out}: supernet of space {training.space.name} on {training.data.name} "
        f"({training.data.count('train'):,} images, {training.space.classes} classes), "
        f"{_budget(settings)}{resumed_text}: {_sampling_text(settings)}; {settings.recipe.optimizer}, "
        f"{settings.recipe.augment}, {settings.recipe.batch_size} images a step; {training.device}"
    )


def as_dict(trained: SupernetCheckpoint, file: Path) -> dict[str, Any]:
    """What `--json` prints."""
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
    """What a supernet is, and what can be done with it."""
    settings = trained.settings
    lines = [
        f"{file}: supernet of space {trained.space.name}, {format_count(_params(trained))} parameters, on "
        f"{trained.data} ({trained.train_images:,} images, {len(trained.class_names)} classes)",
        f"trained: {_budget(settings)}, {_sampling_text(settings)}, seed {settings.seed}; "
        f"{trained.steps:,} steps, {trained.images_seen:,} images shown, "
        f"{trained.seconds:,.0f} s of computing",
    ]
    if trained.curve:
        lines.append(f"last epoch: {epoch_summary(trained.curve[-1])}")
    if not trained.finished:
        return [*lines, f"stopped at {trained.fraction_done:.0%}; go on with: {resume_command(file)}"]
    return [*lines, f"judge with it: bneck proxy ARCH --evaluator {shlex.quote(f'supernet:{file}')}"]


def resume_command(out: Path) -> str:
    """The words that go on with a training that was stopped."""
    return f"bneck supernet --file {shlex.quote(str(out))} --resume"


def _create(request: SupernetRequest) -> SupernetTrainer:
    """A new training; everything is checked, and nothing is made.

    Raises:
        BneckError: whatever cannot be met.
    """
    if request.file.exists():
        words = f"choose another --file, or go on with it: {resume_command(request.file)}"
        raise RunError(f"{request.file} exists; {words}")
    require_absent(request.file)
    return _prepare(request)


def _resume(request: SupernetRequest) -> SupernetTrainer:
    """A training that was stopped, where it stood.

    Raises:
        BneckError: there is none, it is finished, or something else is asked for.
    """
    trained = load_supernet(request.file)
    if trained.finished:
        raise RunError(f"{request.file} is finished; show it: bneck describe supernet {request.file}")
    if not request.space:
        settings = DataSettings(trained.data, _text(request.data_root), trained.train_images)
        data = load_run_data(settings, download=request.download)
        device = torch_device(request.device)
        training = SupernetTrainer(trained.space, data, trained.settings, device=device)
    else:
        training = _prepare(request)
    if difference := _difference(trained, training):
        raise GoalError(f"{request.file}: {difference}; --resume changes nothing")
    training.restore(trained)
    return training


def _prepare(request: SupernetRequest) -> SupernetTrainer:
    space = load_space(request.space)
    images = DataSettings(request.data, _text(request.data_root), request.train_images)
    data: Data = load_run_data(images, download=request.download)
    recipe = recipe_for(request.recipe, data)
    settings = SupernetConfig(
        recipe=replace(recipe, **request.recipe_overrides),
        strategy=request.strategy,  # type: ignore[arg-type]
        max_macs=parse_count(request.max_macs) if request.max_macs else None,
        minutes=request.minutes,
        seed=request.seed,
    )
    require_two_images_per_step(settings.recipe.batch_size, data.count("train"))
    return SupernetTrainer(space, data, settings, device=torch_device(request.device))


def _difference(trained: SupernetCheckpoint, training: SupernetTrainer) -> str | None:
    """What is not as it was when the training began."""
    now = training.checkpoint()
    if now.space != trained.space:
        return f"its space {trained.space.name} was another one"
    before, after = _comparable(trained), _comparable(now)
    for name, value in before.items():
        if after[name] != value:
            return f"{name.replace('_', ' ')} was {value}, and is now {after[name]}"
    return None


def _comparable(checkpoint: SupernetCheckpoint) -> dict[str, Any]:
    images = ("data", "train_images", "class_names", "pixel_mean", "pixel_std")
    own = asdict(checkpoint.settings)
    return {**own.pop("recipe"), **own, **{name: getattr(checkpoint, name) for name in images}}


def _budget(settings: SupernetConfig) -> str:
    if settings.minutes is not None:
        return f"{settings.minutes:g} minutes of computing"
    return f"{settings.recipe.epochs} epochs"


def _sampling_text(settings: SupernetConfig) -> str:
    limit = f" up to {format_count(settings.max_macs)} MACs" if settings.max_macs else ""
    return f"{settings.strategy} networks{limit}"


def _params(trained: SupernetCheckpoint) -> int:
    return sum(parameter.numel() for parameter in trained.supernet().parameters())


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
