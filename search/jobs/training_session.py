"""`bneck train` from the words to the report."""

import json
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
import typer
from rich.console import Console

from ...evaluate.data.dataset import Data, unreadable_images_text
from ...results.outputs import write_training_results
from ...results.plots.png import kaleido
from ...results.store.experiment import is_training
from ...results.store.training_run import TrainingRun
from ...search_space import GoalError, RunError
from ..console.exit_codes import INTERRUPTED
from ..console.training_progress import TrainingProgress
from ..parallel.distributed import is_main_process, process_group, world_size
from ..resolve.environment import torch_device
from ..resolve.requests import TrainingRequest
from .tensorboard import events, summary_writer
from .training_loop import run_epochs
from .training_request import create_training_run, plan, resume_training_run


def train_and_report(
    request: TrainingRequest, *, resume: bool, tensorboard: bool, png: bool, as_json: bool
) -> None:
    """Train, judge on the test images, write the report, and print what came out.

    Raises:
        BneckError: it cannot begin, or cannot go on; what was trained is kept.
    """
    if world_size() > 1 and request.out is None and not resume:
        raise GoalError("several processes need --out DIR, so that all of them know the folder")
    if not resume and is_training(Path(request.arch)):
        raise RunError(f"{request.arch} is a training; go on with it: bneck train {request.arch} --resume")
    if tensorboard:
        summary_writer()
    if png:
        kaleido()
    with process_group(_device(request, resume)):
        folder, data = _open_training(request, resume)
        try:
            _train(folder, data, Console(stderr=as_json), tensorboard)
            if is_main_process():
                _report(folder, data, png=png, as_json=as_json)
        except KeyboardInterrupt:
            if is_main_process():
                done, epochs = len(folder.checkpoint().curve), folder.settings.recipe.epochs
                typer.echo(f"stopped after {done} of {epochs} epochs; go on with:", err=True)
                typer.echo(f"  bneck train {shlex.quote(str(folder.folder))} --resume", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _train(folder: TrainingRun, data: Data, console: Console, tensorboard: bool) -> None:
    settings = folder.settings
    torch.set_num_threads(settings.threads)
    epochs, done = settings.recipe.epochs, len(folder.checkpoint().curve)
    images = data.count("train")
    display = TrainingProgress(console, epochs=epochs, images=images, done=done, quiet=not is_main_process())
    if done < epochs:
        display.print_line(start_message(folder, data, done))
    with ExitStack() as opened:
        on_epoch = None
        if tensorboard and is_main_process():
            on_epoch = opened.enter_context(events(folder.folder / "tensorboard", done))
        run_epochs(folder, data, display, on_epoch)


def _report(folder: TrainingRun, data: Data, *, png: bool, as_json: bool) -> None:
    png_folder = folder.folder / "pictures" if png else None
    device = folder.settings.compute.device
    result = write_training_results(folder, data, device=device, png_folder=png_folder)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    for line in summary(folder, data, result):
        typer.echo(line)
    if png_folder:
        typer.echo(f"pictures:  {png_folder}")


def start_message(folder: TrainingRun, data: Data, done: int) -> str:
    """What is about to be done, in a line."""
    settings = folder.settings
    architecture, recipe = settings.architecture, settings.recipe
    return (
        f"{folder.folder}: {settings.name} at {architecture.resolution_px} px from "
        f"{settings.initial_weights} on {data.name} ({data.count('train'):,} images, "
        f"{architecture.classes} classes), epochs {done + 1} to {recipe.epochs}: "
        f"{recipe.optimizer}, {recipe.augment}, "
        f"{recipe.batch_size} images a step; {settings.compute.device}, {settings.compute.precision}"
    )


def summary(folder: TrainingRun, data: Data, result: dict[str, Any]) -> list[str]:
    """What came out, and what can be done with it."""
    test = result["test"]
    top5 = f", top-5 {100 * test['top5']:.2f}%" if test["top5"] is not None else ""
    lines = [
        f"test: {100 * test['top1']:.2f}% of {test['images']:,} images right{top5}, "
        f"loss {test['loss']:.3f}, "
        f"calibration error {100 * test['calibration_error']:.1f}%; "
        f"epoch {result['best_epoch']} of {result['epochs']} is kept (validation "
        f"{100 * result['validation_top1']:.2f}%)"
    ]
    if skipped_images_text := unreadable_images_text(data):
        lines.append(skipped_images_text)
    return [
        *lines,
        f"report:    {folder.report_file}",
        f"evaluate:  bneck evaluate {shlex.quote(str(folder.folder))}",
    ]


def _device(request: TrainingRequest, resume: bool) -> str:
    if resume:
        return TrainingRun.open(request.out or Path(request.arch)).settings.compute.device
    return torch_device(request.device)


def _open_training(request: TrainingRequest, resume: bool) -> tuple[TrainingRun, Data]:
    """A new training, or one that was stopped."""
    if resume:
        return resume_training_run(request, same_request=request.out is not None)
    settings, data = plan(request)
    return create_training_run(request, settings, data), data
