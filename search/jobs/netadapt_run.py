"""`bneck netadapt` in its folder: the start, cut after cut, the last training, and what came of it."""

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ...evaluate import Latency, host, package_versions, usable_cores
from ...evaluate.data.dataset import Data, unreadable_images_text
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.netadapt.netadapt import Step, steps
from ...evaluate.training.checkpoint import load_checkpoint, save_checkpoint
from ...evaluate.training.evaluation import evaluate
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import ComputeConfig, Trainer
from ...results.outputs import write_netadapt_results, write_report
from ...results.store.netadapt_run import NetAdaptRow, NetAdaptRun
from ...results.store.training_run import TrainingRun, TrainingSettings
from ...results.text.formatting import pluralize
from ...search_space import Architecture, GoalError
from ...search_space.errors import DivergedError, NonFiniteLossError
from ...search_space.network import Network
from ..console.progress import progress
from ..console.training_progress import TrainingProgress
from ..parallel.pool import Pool
from ..resolve.datasets import load_run_data
from ..resolve.environment import torch_device
from . import netadapt_tuning as adapt_tuning
from .netadapt_latency import measure_or_predict, meter_or_problem
from .netadapt_request import make_goal
from .training_loop import run_epochs, save_progress
from .training_request import RANDOM_WEIGHTS


def default_workers(folder: NetAdaptRun) -> int:
    """One a core; on a GPU one, for several would share its memory."""
    return 1 if folder.settings.device == "cuda" else usable_cores()


def run_netadapt(folder: NetAdaptRun, workers: int, console: Console) -> dict[str, Any]:
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
    rows = _run_steps(folder, data, workers, console)
    result = folder.result()
    if result is None:
        _train_final(folder, rows, data, console)
        result = write_netadapt_results(folder, data)
    else:
        write_report(folder)
    if skipped_images_text := unreadable_images_text(data):
        console.print(skipped_images_text, highlight=False, markup=False, soft_wrap=True)
    return result


def _train_start(folder: NetAdaptRun, data: Data, console: Console) -> None:
    settings = folder.settings
    _print_line(console, f"{settings.name} has no weights yet and is trained first, in {folder.start_folder}")
    first = seeded_network(settings.architecture, settings.seed)
    start_run = _trained(folder.start_folder, folder, settings.name, first, RANDOM_WEIGHTS, data, console)
    save_checkpoint(start_run.model(), folder.network_file(0))


def _train_final(folder: NetAdaptRun, rows: Sequence[NetAdaptRow], data: Data, console: Console) -> None:
    settings, architecture = folder.settings, rows[-1].architecture
    if settings.final == "inherit":
        file = folder.network_file(rows[-1].step)
        network, initial_weights = load_checkpoint(file).network(), str(file)
    else:
        network, initial_weights = seeded_network(architecture, settings.seed), RANDOM_WEIGHTS
    _print_line(console, f"the last training, from {initial_weights}")
    name = f"{settings.name} adapted to {settings.limit}"
    _trained(folder.final_folder, folder, name, network, initial_weights, data, console)


def _trained(
    out: Path,
    adaptation: NetAdaptRun,
    name: str,
    network: Network,
    initial_weights: str,
    data: Data,
    console: Console,
) -> TrainingRun:
    """Train in a folder to the end, from where it stopped."""
    own = adaptation.settings
    settings = TrainingSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=name,
        architecture=network.architecture,
        initial_weights=initial_weights,
        data=own.data,
        recipe=own.recipe,
        seed=own.seed,
        compute=ComputeConfig(own.device),
        threads=own.threads,
        processes=1,
        host=host(),
        versions=package_versions(),
    )
    if not TrainingRun(out, settings).checkpoint_file.is_file():
        shutil.rmtree(out, ignore_errors=True)  # it was cut off while it was made
        created = TrainingRun.create(out, settings)
        training = Trainer(network, data, own.recipe, seed=own.seed, compute=settings.compute)
        save_progress(created, training, [])
    folder = TrainingRun.open(out)
    torch.set_num_threads(folder.settings.threads)
    epochs, done = own.recipe.epochs, len(folder.checkpoint().curve)
    run_epochs(folder, data, TrainingProgress(console, epochs=epochs, images=data.count("train"), done=done))
    return folder


def _run_steps(folder: NetAdaptRun, data: Data, workers: int, console: Console) -> list[NetAdaptRow]:
    """The path, gone on with until the limit is kept; a row and a file for every cut."""
    settings, rows = folder.settings, folder.path()
    if rows and rows[-1].value(settings.limit) <= settings.limit.limit:
        return rows
    model = (
        LatencyPredictor.load(folder.latency_predictor_file)
        if folder.latency_predictor_file.is_file()
        else None
    )
    meter, problem = meter_or_problem(settings.latency)
    if problem:
        _print_line(console, f"latencies stay as predicted, the device is not measured: {problem}")

    def latency(architecture: Architecture) -> Latency | None:
        return measure_or_predict(architecture, model, meter)

    if not rows:
        rows = [_start_row(folder, data, latency(settings.architecture))]
        folder.write_path(rows)
    goal = make_goal(settings, model, meter)
    network = load_checkpoint(folder.network_file(rows[-1].step)).network()
    with progress(console) as display, Pool(folder, workers, adapt_tuning.start) as pool:
        tuner = adapt_tuning.PooledTuner(folder, goal, pool, display)
        start_time = time.perf_counter()
        try:
            for step in steps(network, goal, tuner, done=rows[-1].step):
                seconds, start_time = time.perf_counter() - start_time, time.perf_counter()
                row = _row(step, latency(step.network.architecture), data.count("validation"), seconds)
                rows.append(row)
                _accept_step(folder, rows)
                display.print_line(step_line(row, goal.format_cost(step.cost), goal.format_cost(goal.limit)))
        except NonFiniteLossError as error:
            raise DivergedError(f"{folder.folder}: {error}; {pluralize(len(rows) - 1, 'cut')} kept") from None
    return rows


def _accept_step(folder: NetAdaptRun, rows: Sequence[NetAdaptRow]) -> None:
    """The network of the last row, then the row; what else was proposed goes."""
    row = rows[-1]
    proposal = folder.proposal_file(row.step, row.architecture)
    proposal.replace(folder.network_file(row.step))
    folder.write_path(rows)
    shutil.rmtree(proposal.parent)


def _start_row(folder: NetAdaptRun, data: Data, latency: Latency | None) -> NetAdaptRow:
    settings = folder.settings
    network = load_checkpoint(folder.network_file(0)).network().to(settings.device)
    top1, loss = evaluate(network, data, "validation", device=settings.device)
    images = data.count("validation")
    return NetAdaptRow(
        0, "", 0, 0, settings.architecture, latency, top1, loss, None, None, images, 0, 0, (), 0.0
    )


def _row(step: Step, latency: Latency | None, images: int, seconds: float) -> NetAdaptRow:
    cut, pruned = step.proposal, step.pruned
    return NetAdaptRow(
        step=step.number,
        group=cut.group,
        channels_before=cut.channels_before,
        channels_after=cut.channels_after,
        architecture=cut.architecture,
        latency=latency,
        top1=pruned.top1,
        loss=pruned.loss,
        unpruned_top1=step.unpruned.top1,
        unpruned_loss=step.unpruned.loss,
        images=images,
        proposals=len(step.top1s),
        n_indistinguishable=step.n_indistinguishable(images),
        top1s=(min(step.top1s), max(step.top1s)),
        seconds=seconds,
    )


def step_line(row: NetAdaptRow, cost: str, limit: str) -> str:
    """A cut in a line, and how much of the choice was chance."""
    assert row.unpruned_loss is not None and row.unpruned_top1 is not None
    chance = f"{row.n_indistinguishable} of {row.proposals - 1} others" if row.proposals > 1 else "no other"
    return (
        f"cut {row.step}: {row.description}; {cost} of {limit}; "
        f"loss {row.loss:.3f} ({row.loss - row.unpruned_loss:+.3f}), "
        f"{100 * row.top1:.1f}% ({100 * (row.top1 - row.unpruned_top1):+.1f}); the cuts lie within "
        f"{100 * (row.top1s[1] - row.top1s[0]):.1f} points, {row.images:,} images leave "
        f"±{100 * row.top1_ci95:.1f}: {chance} not told apart"
    )


def _print_line(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
