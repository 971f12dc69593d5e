"""`bneck adapt` in its folder: the start, cut after cut, the last training, and what came of it."""

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ...evaluate import Latency, host, package_versions, usable_cores
from ...evaluate.data.dataset import Data, broken_text
from ...evaluate.latency.predictor_file import load_model
from ...evaluate.netadapt.netadapt import Step, steps
from ...evaluate.training.checkpoint import load_checkpoint, save_checkpoint
from ...evaluate.training.evaluation import judge
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import Conditions, Training, TrainingFailedError
from ...results.export.netadapt import write_result
from ...results.pages.netadapt import adaptation_html
from ...results.store.netadapt_run import AdaptationFolder, PathRow
from ...results.store.training_run import TrainingFolder, TrainingSettings
from ...results.text.formatting import count_of
from ...search_space import Architecture, GoalError
from ...search_space.errors import DivergedError
from ...search_space.network import Network
from ...search_space.serialization.atomic_write import write_whole
from ..console.progress import progress
from ..console.training_progress import TrainingProgress
from ..parallel.pool import Pool
from ..runner.create import torch_device
from ..runner.worker import load_run_data
from . import netadapt_tuning as adapt_tuning
from .netadapt_latency import device_of, latency_of
from .netadapt_request import goal_of
from .training_loop import run_epochs, save_progress
from .training_request import RANDOM_WEIGHTS


def default_workers(folder: AdaptationFolder) -> int:
    """One a core; on a GPU one, for several would share its memory."""
    return 1 if folder.settings.device == "cuda" else usable_cores()


def go(folder: AdaptationFolder, workers: int, console: Console) -> dict[str, Any]:
    """Everything that is not done yet, up to the page; the test images are looked at last, and once.

    Returns:
        What `result.json` holds.
    Raises:
        BneckError: it cannot go on; what was done is kept.
    """
    settings = folder.settings
    torch_device(settings.device)
    data = load_run_data(settings.data)
    if settings.data.of(data) != settings.data:
        raise GoalError(f"{folder.folder}: the images of {data.name} are no longer those it began with")
    if not folder.network_file(0).is_file():
        _train_start(folder, data, console)
    rows = _cut(folder, data, workers, console)
    result = folder.result()
    if result is None:
        _train_final(folder, rows, data, console)
        result = write_result(folder, rows, data)
    if left_out := broken_text(data):
        console.print(left_out, highlight=False, markup=False, soft_wrap=True)
    write_whole(folder.report_file, adaptation_html(folder, rows, result))
    return result


def _train_start(folder: AdaptationFolder, data: Data, console: Console) -> None:
    settings = folder.settings
    _say(console, f"{settings.name} has no weights yet and is trained first, in {folder.start_folder}")
    first = seeded_network(settings.architecture, settings.seed)
    trained = _trained(folder.start_folder, folder, settings.name, first, RANDOM_WEIGHTS, data, console)
    save_checkpoint(trained.model(), folder.network_file(0))


def _train_final(folder: AdaptationFolder, rows: Sequence[PathRow], data: Data, console: Console) -> None:
    settings, architecture = folder.settings, rows[-1].architecture
    if settings.final == "inherit":
        file = folder.network_file(rows[-1].step)
        network, begins_from = load_checkpoint(file).network(), str(file)
    else:
        network, begins_from = seeded_network(architecture, settings.seed), RANDOM_WEIGHTS
    _say(console, f"the last training, from {begins_from}")
    name = f"{settings.name} adapted to {settings.limit}"
    _trained(folder.final_folder, folder, name, network, begins_from, data, console)


def _trained(
    out: Path,
    adaptation: AdaptationFolder,
    name: str,
    network: Network,
    begins_from: str,
    data: Data,
    console: Console,
) -> TrainingFolder:
    """Train in a folder to the end, from where it stopped."""
    own = adaptation.settings
    settings = TrainingSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=name,
        architecture=network.architecture,
        begins_from=begins_from,
        data=own.data,
        recipe=own.recipe,
        seed=own.seed,
        conditions=Conditions(own.device),
        threads=own.threads,
        processes=1,
        host=host(),
        versions=package_versions(),
    )
    if not TrainingFolder(out, settings).checkpoint_file.is_file():
        shutil.rmtree(out, ignore_errors=True)  # it was cut off while it was made
        begun = TrainingFolder.create(out, settings)
        training = Training(network, data, own.recipe, seed=own.seed, conditions=settings.conditions)
        save_progress(begun, training, [])
    folder = TrainingFolder.open(out)
    torch.set_num_threads(folder.settings.threads)
    epochs, done = own.recipe.epochs, len(folder.checkpoint().curve)
    run_epochs(folder, data, TrainingProgress(console, epochs=epochs, images=data.count("train"), done=done))
    return folder


def _cut(folder: AdaptationFolder, data: Data, workers: int, console: Console) -> list[PathRow]:
    """The path, gone on with until the limit is kept; a row and a file for every cut."""
    settings, rows = folder.settings, folder.path()
    if rows and rows[-1].value(settings.limit) <= settings.limit.limit:
        return rows
    model = load_model(folder.latency_model_file) if folder.latency_model_file.is_file() else None
    meter, problem = device_of(settings.latency)
    if problem:
        _say(console, f"latencies stay as predicted, the device is not measured: {problem}")

    def latency(architecture: Architecture) -> Latency | None:
        return latency_of(architecture, model, meter)

    if not rows:
        rows = [_start_row(folder, data, latency(settings.architecture))]
        folder.write_path(rows)
    goal = goal_of(settings, model, meter)
    network = load_checkpoint(folder.network_file(rows[-1].step)).network()
    with progress(console) as shown, Pool(folder, workers, adapt_tuning.start) as pool:
        tuner = adapt_tuning.PooledTuner(folder, goal, pool, shown)
        began = time.perf_counter()
        try:
            for step in steps(network, goal, tuner, done=rows[-1].step):
                seconds, began = time.perf_counter() - began, time.perf_counter()
                row = _row(step, latency(step.network.architecture), data.count("validation"), seconds)
                rows.append(row)
                _keep(folder, rows)
                shown.say(step_line(row, goal.words(step.cost), goal.words(goal.limit)))
        except TrainingFailedError as error:
            raise DivergedError(f"{folder.folder}: {error}; {count_of(len(rows) - 1, 'cut')} kept") from None
    return rows


def _keep(folder: AdaptationFolder, rows: Sequence[PathRow]) -> None:
    """The network of the last row, then the row; what else was proposed goes."""
    row = rows[-1]
    proposal = folder.proposal_file(row.step, row.architecture)
    proposal.replace(folder.network_file(row.step))
    folder.write_path(rows)
    shutil.rmtree(proposal.parent)


def _start_row(folder: AdaptationFolder, data: Data, latency: Latency | None) -> PathRow:
    settings = folder.settings
    network = load_checkpoint(folder.network_file(0)).network().to(settings.device)
    top1, loss = judge(network, data, "validation", device=settings.device)
    images = data.count("validation")
    return PathRow(0, "", 0, 0, settings.architecture, latency, top1, loss, None, None, images, 0, 0, (), 0.0)


def _row(step: Step, latency: Latency | None, images: int, seconds: float) -> PathRow:
    cut, judged = step.proposal, step.judged
    return PathRow(
        step=step.number,
        place=cut.place,
        before=cut.before,
        after=cut.after,
        architecture=cut.architecture,
        latency=latency,
        top1=judged.top1,
        loss=judged.loss,
        uncut_top1=step.uncut.top1,
        uncut_loss=step.uncut.loss,
        images=images,
        proposals=len(step.tops),
        level=step.level(images),
        tops=(min(step.tops), max(step.tops)),
        seconds=seconds,
    )


def step_line(row: PathRow, cost: str, limit: str) -> str:
    """A cut in a line, and how much of the choice was chance."""
    assert row.uncut_loss is not None and row.uncut_top1 is not None
    chance = f"{row.level} of {row.proposals - 1} others" if row.proposals > 1 else "no other"
    return (
        f"cut {row.step}: {row.what}; {cost} of {limit}; "
        f"loss {row.loss:.3f} ({row.loss - row.uncut_loss:+.3f}), "
        f"{100 * row.top1:.1f}% ({100 * (row.top1 - row.uncut_top1):+.1f}); the cuts lie within "
        f"{100 * (row.tops[1] - row.tops[0]):.1f} points, {row.images:,} images leave "
        f"±{100 * row.margin:.1f}: {chance} not told apart"
    )


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
