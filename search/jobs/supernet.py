"""`bneck supernet train` from the words to the file."""

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import typer
from rich.console import Console

from ...evaluate import parse_count, short_count
from ...evaluate.data.dataset import Data
from ...evaluate.supernet.checkpoint import TrainedSupernet, load_supernet
from ...evaluate.supernet.config import SupernetSettings
from ...evaluate.supernet.trainer import SupernetTraining, run_to_end
from ...evaluate.training.trainer import TrainingFailedError
from ...results import DataSettings
from ...search_space import GoalError, RunError, load_space
from ...search_space.errors import DivergedError
from ..commands.options import INTERRUPTED
from ..console.progress import left_in_words
from ..console.training_progress import in_words
from ..runner.create import torch_device
from ..runner.worker import load_run_data
from .latency_predictor import refuse_existing
from .training_request import recipe_for, refuse_steps_of_one


@dataclass(frozen=True)
class SupernetRequest:
    """What a person asked for, in words; see `bneck supernet train --help`.

    Attributes:
        space: None where the file of a training that was stopped knows it.
        changes: fields of the recipe that are set otherwise.
    """

    space: str | None
    data: str
    out: Path
    recipe: str | None = None
    changes: tuple[tuple[str, Any], ...] = ()
    minutes: float | None = None
    strategy: str = "uniform"
    max_macs: str | None = None
    seed: int = 0
    train_images: int | None = None
    data_root: Path | None = None
    download: bool = False
    device: str = "auto"


def train_and_report(request: SupernetRequest, *, resume: bool, as_json: bool) -> None:
    """Train to the end, and print what came out.

    Raises:
        BneckError: it cannot begin, or cannot go on; what was trained is kept.
    """
    training = _reopened(request) if resume else _begun(request)
    if training.device == "cpu":
        torch.set_num_threads(1)
    out, console = request.out, Console(stderr=as_json)
    told = Told(training, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True))
    told.say(opening(training, out))
    try:
        run_to_end(training, out, told)
    except KeyboardInterrupt:
        share = load_supernet(out).share if out.is_file() else 0.0
        typer.echo(f"stopped; {out} has {share:.0%} of the training; go on with:", err=True)
        typer.echo(f"  {going_on(out)}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except TrainingFailedError as error:
        words = f"{out}: {error}; the file is from before. Try a lower --learning-rate, or another recipe"
        raise DivergedError(words) from None
    trained = training.trained()
    if as_json:
        typer.echo(json.dumps(as_dict(trained, out), indent=2))
    else:
        for line in in_lines(trained, out):
            typer.echo(line)


class Told:
    """A line for every file that is written, with the time left by the pace of this session."""

    def __init__(
        self,
        training: SupernetTraining,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.say, self.clock = say, clock
        self.began, self.share_before = clock(), training.share
        self.last, self.seen = self.began, training.seen

    def __call__(self, training: SupernetTraining) -> None:
        now, share = self.clock(), training.share
        pace = (training.seen - self.seen) / max(now - self.last, 1e-9)
        self.last, self.seen = now, training.seen
        words = in_words(training.latest) if training.latest else "no step yet"
        line = f"{share:.0%}: epoch {max(1, training.epoch + (training.in_epoch > 0))}, {words}"
        line += f"; {pace:,.0f} images/s"
        if not training.done and share > self.share_before:
            left = (now - self.began) / (share - self.share_before) * (1 - share)
            line += f"; {left_in_words(left)}"
        self.say(line)


def opening(training: SupernetTraining, out: Path) -> str:
    """What is about to be done, in a line."""
    settings = training.settings
    begun = f" from {training.share:.0%} on" if training.steps else ""
    return (
        f"{out}: supernet of space {training.space.name} on {training.data.name} "
        f"({training.data.count('train'):,} images, {training.space.classes} classes), "
        f"{_budget(settings)}{begun}: {_drawn(settings)}; {settings.recipe.optimizer}, "
        f"{settings.recipe.augment}, {settings.recipe.batch_size} images a step; {training.device}"
    )


def as_dict(found: TrainedSupernet, file: Path) -> dict[str, Any]:
    """What `--json` prints."""
    settings = found.settings
    return {
        "file": str(file),
        "space": found.space.name,
        "genes": {gene.name: list(gene.choices) for gene in found.space.genes},
        "params": _params(found),
        "data": found.data,
        "image_channels": found.space.image_channels,
        "class_names": list(found.class_names),
        "train_images": found.train_images,
        "strategy": settings.strategy,
        "max_macs": settings.most_macs,
        "minutes": settings.minutes,
        "seed": settings.seed,
        "recipe": asdict(settings.recipe),
        "finished": found.finished,
        "share": found.share,
        "steps": found.steps,
        "images_seen": found.seen,
        "seconds": found.seconds,
        "curve": [asdict(point) for point in found.curve],
    }


def in_lines(found: TrainedSupernet, file: Path) -> list[str]:
    """What a supernet is, and what can be done with it."""
    settings = found.settings
    lines = [
        f"{file}: supernet of space {found.space.name}, {short_count(_params(found))} parameters, on "
        f"{found.data} ({found.train_images:,} images, {len(found.class_names)} classes)",
        f"trained: {_budget(settings)}, {_drawn(settings)}, seed {settings.seed}; {found.steps:,} steps, "
        f"{found.seen:,} images shown, {found.seconds:,.0f} s of computing",
    ]
    if found.curve:
        lines.append(f"last epoch: {in_words(found.curve[-1])}")
    if not found.finished:
        return [*lines, f"stopped at {found.share:.0%}; go on with: {going_on(file)}"]
    return [*lines, f"judge with it: bneck score ARCH --scorer {shlex.quote(f'supernet:{file}')}"]


def going_on(out: Path) -> str:
    """The words that go on with a training that was stopped."""
    return f"bneck supernet train --out {shlex.quote(str(out))} --resume"


def _begun(request: SupernetRequest) -> SupernetTraining:
    """A new training; everything is checked, and nothing is made.

    Raises:
        BneckError: whatever cannot be met.
    """
    if request.out.exists():
        words = f"choose another --out, or go on with it: {going_on(request.out)}"
        raise RunError(f"{request.out} exists; {words}")
    refuse_existing(request.out)
    return _planned(request)


def _reopened(request: SupernetRequest) -> SupernetTraining:
    """A training that was stopped, where it stood.

    Raises:
        BneckError: there is none, it is finished, or something else is asked for.
    """
    found = load_supernet(request.out)
    if found.finished:
        raise RunError(f"{request.out} is finished; show it: bneck supernet show {request.out}")
    if request.space is None:
        settings = DataSettings(found.data, _text(request.data_root), found.train_images)
        data = load_run_data(settings, download=request.download)
        device = torch_device(request.device)
        training = SupernetTraining(found.space, data, found.settings, device=device)
    else:
        training = _planned(request)
    if difference := _difference(found, training):
        raise GoalError(f"{request.out}: {difference}; --resume changes nothing")
    training.restore(found)
    return training


def _planned(request: SupernetRequest) -> SupernetTraining:
    assert request.space is not None
    space = load_space(request.space)
    images = DataSettings(request.data, _text(request.data_root), request.train_images)
    data: Data = load_run_data(images, download=request.download)
    recipe = recipe_for(request.recipe, data)
    settings = SupernetSettings(
        recipe=replace(recipe, **dict(request.changes)),
        strategy=request.strategy,  # type: ignore[arg-type]
        most_macs=parse_count(request.max_macs) if request.max_macs else None,
        minutes=request.minutes,
        seed=request.seed,
    )
    refuse_steps_of_one(settings.recipe.batch_size, data.count("train"))
    return SupernetTraining(space, data, settings, device=torch_device(request.device))


def _difference(found: TrainedSupernet, training: SupernetTraining) -> str | None:
    """What is not as it was when the training began."""
    now = training.trained()
    if now.space != found.space:
        return f"its space {found.space.name} was another one"
    before, after = _compared(found), _compared(now)
    for name, value in before.items():
        if after[name] != value:
            return f"{name.replace('_', ' ')} was {value}, and is now {after[name]}"
    return None


def _compared(trained: TrainedSupernet) -> dict[str, Any]:
    images = ("data", "train_images", "class_names", "pixel_mean", "pixel_std")
    own = asdict(trained.settings)
    return {**own.pop("recipe"), **own, **{name: getattr(trained, name) for name in images}}


def _budget(settings: SupernetSettings) -> str:
    if settings.minutes is not None:
        return f"{settings.minutes:g} minutes of computing"
    return f"{settings.recipe.epochs} epochs"


def _drawn(settings: SupernetSettings) -> str:
    limit = f" up to {short_count(settings.most_macs)} MACs" if settings.most_macs else ""
    return f"{settings.strategy} networks{limit}"


def _params(found: TrainedSupernet) -> int:
    return sum(parameter.numel() for parameter in found.supernet().parameters())


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
