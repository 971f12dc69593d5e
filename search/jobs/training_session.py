"""`bneck train`: create or resume a training, run it and write its report."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...evaluate.data.dataset import Data, unreadable_images_text
from ...evaluate.training.trivial_accuracy import balance_text
from ...results.outputs import write_training_results
from ...results.plots.png import kaleido
from ...results.store.experiment import is_training
from ...results.store.training_run import TrainingRun
from ...results.text.formatting import top1_text
from ...search_space import GoalError, RunError
from ..console.terminal import Console
from ..console.training_progress import TrainingProgress
from ..parallel.distributed import is_main_process, process_group, world_size
from ..parallel.lock import run_lock
from ..resolve.environment import torch_device
from ..resolve.training_requests import TrainingRequest
from .job import print_result, resumable
from .tensorboard import events, summary_writer
from .training_loop import run_epochs
from .training_request import create_training_run, plan, resume_training_run


def train_and_report(
    request: TrainingRequest,
    *,
    resume: bool,
    confirmed: Mapping[str, str],
    tensorboard: bool,
    png: bool,
    as_json: bool,
) -> None:
    """Train, evaluate on the test images, write the report and print the result.

    Args:
        confirmed: settings that a resumed training has too, by parameter.
    Raises:
        BneckError: the request is invalid, or training cannot proceed; the last checkpoint remains.
    """
    if world_size() > 1 and request.out is None and not resume:
        raise GoalError("several processes need --out DIR, so that all use the same folder")
    if not resume and is_training(Path(request.arch)):
        command = TrainingRun.open(request.arch).resume_command
        raise RunError(f"{request.arch} is a training; resume it: {command}")
    if tensorboard:
        summary_writer()
    if png:
        kaleido()
    with process_group(_device(request, resume)):
        notes: list[str] = []
        folder, data = _open_training(request, resume, confirmed, notes.append)
        command = folder.resume_command
        finished = partial(_finished_epochs, folder)
        locked = run_lock(folder, "training") if is_main_process() else nullcontext()
        with resumable(command, finished, folder.folder, quiet=not is_main_process()), locked:
            _train(folder, data, Console(stderr=as_json), tensorboard, notes)
            if is_main_process():
                _report(folder, data, png=png, as_json=as_json)


def _train(
    folder: TrainingRun, data: Data, console: Console, tensorboard: bool, notes: Sequence[str]
) -> None:
    settings = folder.settings
    torch.set_num_threads(settings.threads)
    epochs, done = settings.recipe.epochs, len(folder.checkpoint().curve)
    images = data.count("train")
    display = TrainingProgress(console, epochs=epochs, images=images, done=done, quiet=not is_main_process())
    if done < epochs:
        for line in (start_message(folder, data, done), *notes):
            display.print_line(line)
    with ExitStack() as opened:
        on_epoch = None
        if tensorboard and is_main_process():
            on_epoch = opened.enter_context(events(folder.folder / "tensorboard", done))
        run_epochs(folder, data, display, on_epoch)


def _finished_epochs(folder: TrainingRun) -> str:
    return f"{len(folder.checkpoint().curve)} of {folder.settings.recipe.epochs} epochs"


def _report(folder: TrainingRun, data: Data, *, png: bool, as_json: bool) -> None:
    png_folder = folder.folder / "pictures" if png else None
    device = folder.settings.compute.device
    result = write_training_results(folder, data, device=device, png_folder=png_folder)
    lines = summary(folder, data, result)
    if png_folder:
        lines.append(f"figures:   {png_folder}")
    print_result(result, lines, as_json=as_json)


def start_message(folder: TrainingRun, data: Data, done: int) -> str:
    settings = folder.settings
    architecture, recipe = settings.architecture, settings.recipe
    return (
        f"{folder.folder}: {settings.name} at {architecture.resolution_px} px from "
        f"{settings.initial_weights} on {data.name} ({data.count('train'):,} images, "
        f"{architecture.classes} classes), epochs {done + 1} to {recipe.epochs}: "
        f"{recipe.optimizer}, {recipe.augment}, "
        f"batch size {recipe.batch_size}; {settings.compute.device}, {settings.compute.precision}"
    )


def summary(folder: TrainingRun, data: Data, result: dict[str, Any]) -> list[str]:
    """The result and the commands that use it."""
    test = result["test"]
    top5 = f", top-5 {100 * test['top5']:.2f}%" if test["top5"] is not None else ""
    lines = [
        f"test: top-1 {top1_text(test['top1'], test['images'])}{top5}, "
        f"loss {test['loss']:.3f}, "
        f"calibration error {100 * test['calibration_error']:.1f}% ({test['images']:,} images); "
        f"best epoch {result['best_epoch']} of {result['epochs']} (validation top-1 "
        f"{100 * result['validation_top1']:.2f}%)"
    ]
    lines.append(balance_text(test))
    lines += filter(None, (unreadable_images_text(data), *result["warnings"]))
    return [
        *lines,
        f"report:    {folder.report_file}",
        f"evaluate:  bneck evaluate {shlex.quote(str(folder.folder))}",
    ]


def _device(request: TrainingRequest, resume: bool) -> str:
    if resume:
        return TrainingRun.open(request.out or Path(request.arch)).settings.compute.device
    return torch_device(request.device)


def _open_training(
    request: TrainingRequest, resume: bool, confirmed: Mapping[str, str], on_note: Callable[[str], None]
) -> tuple[TrainingRun, Data]:
    if resume:
        return resume_training_run(request, same_request=request.out is not None, confirmed=confirmed)
    settings, data = plan(request, on_note)
    return create_training_run(request, settings, data, on_note), data
