"""`bneck netadapt`: run the algorithm in its folder, from the initial training to the report."""

import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...evaluate import Latency, format_count, host, package_versions
from ...evaluate.data.dataset import Data, unreadable_images_text
from ...evaluate.latency.predictor import LatencyPredictor
from ...evaluate.netadapt.netadapt import Step, steps
from ...evaluate.statistics.estimate import Estimate
from ...evaluate.training.checkpoint import load_checkpoint, save_checkpoint
from ...evaluate.training.evaluation import evaluate
from ...evaluate.training.train import seeded_network
from ...evaluate.training.trainer import ComputeConfig, Trainer
from ...results.outputs import write_netadapt_results, write_report
from ...results.store.experiment import NETADAPT_FILE, settings_name
from ...results.store.netadapt_run import NetAdaptRow, NetAdaptRun
from ...results.store.recorded_data import reopen_data
from ...results.store.training_run import TrainingRun, TrainingSettings
from ...results.text.formatting import accuracy_text, milliseconds, pluralize, top1_text
from ...search_space import Architecture, RunError
from ...search_space.errors import DivergedError, NonFiniteLossError
from ...search_space.network import Network
from ..console.progress import progress
from ..console.tables import print_lines
from ..console.terminal import Console
from ..console.training_progress import TrainingProgress
from ..parallel.lock import run_lock
from ..parallel.pool import Pool
from ..resolve.confirmed import require_same
from ..resolve.environment import torch_device
from ..resolve.training_requests import NetAdaptRequest
from . import netadapt_tuning as tuning
from .job import print_result, resumable, worker_count
from .netadapt_latency import measure_or_predict, meter_or_problem
from .netadapt_request import create_netadapt_run, make_goal, plan
from .training_loop import run_epochs, save_start
from .training_request import RANDOM_WEIGHTS


def netadapt_and_report(
    request: NetAdaptRequest,
    *,
    workers: int | None,
    resume: bool,
    confirmed: Mapping[str, str],
    as_json: bool,
) -> None:
    """Create or resume a NetAdapt run, and print its result.

    Args:
        confirmed: settings that a resumed run has too, by parameter.
    Raises:
        BneckError: the request is invalid, or the run cannot proceed; finished steps remain.
    """
    console = Console(stderr=as_json)
    path = Path(request.network)
    if settings_name(path) == NETADAPT_FILE and not resume:
        raise RunError(f"{path} is a NetAdapt run; resume it: {NetAdaptRun.open(path).resume_command}")
    if resume:
        run = NetAdaptRun.open(path)
        require_same(run, confirmed)
        run.require_trusted()
    else:
        run = create_netadapt_run(plan(request, console))
    command = run.resume_command
    print_lines(console, start_message(run))

    def finished() -> str:
        return pluralize(max(0, len(run.path()) - 1), "step")

    with resumable(command, finished, run.folder), run_lock(run, "running NetAdapt"):
        result = run_netadapt(run, worker_count(workers, run.settings.device), console, confirmed.get("data"))
    path_rows = [row.as_row() for row in run.path()]
    print_result({**result, "path": path_rows}, summary(run, result), as_json=as_json)


def start_message(run: NetAdaptRun) -> str:
    settings = run.settings
    return (
        f"{run.folder}: NetAdapt of {settings.name} on {settings.data.name} to {settings.limit}; steps of at "
        f"least {100 * settings.step:g}%, proposals fine-tuned on {settings.finetune_images:,} images; "
        f"{settings.device}"
    )


def summary(run: NetAdaptRun, result: dict[str, Any]) -> list[str]:
    """The result and the commands that use it."""
    final = shlex.quote(str(run.final_folder))
    return [
        *(_network_line(name, result[name], result["test_images"]) for name in ("start", "final")),
        f"({pluralize(result['test_images'], 'test image')}; {pluralize(result['n_steps'], 'step')})",
        f"report:    {run.report_file}",
        f"export:    bneck export {final} --format config,onnx -o exported",
        f"evaluate:  bneck evaluate {final}",
    ]


def _network_line(name: str, metrics: dict[str, Any], images: int) -> str:
    latency = f"{milliseconds(metrics['latency_ms'])}, " if metrics["latency_ms"] else ""
    top1 = top1_text(metrics["test_top1"], images)
    return (
        f"{name + ':':<7}top-1 {top1}, loss {metrics['test_loss']:.3f}; {latency}"
        f"{format_count(metrics['macs'])} MACs, {format_count(metrics['params'])} parameters"
    )


def run_netadapt(
    run: NetAdaptRun, workers: int, console: Console, moved_to: str | None = None
) -> dict[str, Any]:
    """Do everything that is not finished yet, up to the report; the test images are used once, at the end.

    Args:
        moved_to: name of the data folder now, which is saved; by default where it was.
    Returns:
        The content of `result.json`.
    Raises:
        BneckError: the run cannot proceed; finished steps remain.
    """
    torch_device(run.settings.device)
    run, data = reopen_data(run, moved_to=moved_to)
    if not run.network_file(0).is_file():
        _train_start(run, data, console)
    rows = _run_steps(run, data, workers, console)
    result = run.result()
    if result is None:
        _train_final(run, rows, data, console)
        result = write_netadapt_results(run, data)
    else:
        write_report(run)
    if skipped_images_text := unreadable_images_text(data):
        print_lines(console, skipped_images_text)
    return result


def _train_start(run: NetAdaptRun, data: Data, console: Console) -> None:
    settings = run.settings
    if run.pretrained_file.is_file():
        network = load_checkpoint(run.pretrained_file).network()
    else:
        network = seeded_network(settings.architecture, settings.seed)
    initial_weights = settings.initial_weights or RANDOM_WEIGHTS
    print_lines(console, f"training {settings.name} from {initial_weights} in {run.start_folder}")
    trained = _trained(run.start_folder, run, settings.name, network, initial_weights, data, console)
    save_checkpoint(trained.model(), run.network_file(0))


def _train_final(run: NetAdaptRun, rows: Sequence[NetAdaptRow], data: Data, console: Console) -> None:
    settings, architecture = run.settings, rows[-1].architecture
    if settings.final == "inherit":
        file = run.network_file(rows[-1].step)
        network, initial_weights = load_checkpoint(file).network(), str(file)
    else:
        network, initial_weights = seeded_network(architecture, settings.seed), RANDOM_WEIGHTS
    print_lines(console, f"final training from {initial_weights}")
    name = f"{settings.name} adapted to {settings.limit}"
    teacher = run.network_file(0) if settings.distillation else None
    _trained(run.final_folder, run, name, network, initial_weights, data, console, teacher)


def _trained(
    out: Path,
    run: NetAdaptRun,
    name: str,
    network: Network,
    initial_weights: str,
    data: Data,
    console: Console,
    teacher: Path | None = None,
) -> TrainingRun:
    """Train a network in a folder of its own; resumes after an interruption."""
    own = run.settings
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
        teacher=own.name if teacher else "",
        soft_label_weight=own.distillation if teacher else 0.0,
    )
    if not out.exists():
        training = Trainer(network, data, own.recipe, seed=own.seed, compute=settings.compute)
        TrainingRun.create(out, settings, partial(save_start, training=training, teacher=teacher))
    folder = TrainingRun.open(out)
    torch.set_num_threads(folder.settings.threads)
    epochs, done = own.recipe.epochs, len(folder.checkpoint().curve)
    display = TrainingProgress(console, epochs=epochs, images=data.count("train"), done=done)
    run_epochs(folder, data, display)
    return folder


def _run_steps(run: NetAdaptRun, data: Data, workers: int, console: Console) -> list[NetAdaptRow]:
    """Run NetAdapt until the limit holds; every step adds a row to the path and a network file."""
    settings, rows = run.settings, run.path()
    if rows and rows[-1].value(settings.limit) <= settings.limit.limit:
        return rows
    model = (
        LatencyPredictor.load(run.latency_predictor_file) if run.latency_predictor_file.is_file() else None
    )
    meter, problem = meter_or_problem(settings.latency)
    if problem:
        print_lines(console, f"latencies are predicted, not measured: {problem}")

    def latency(architecture: Architecture) -> Latency | None:
        return measure_or_predict(architecture, model, meter)

    if not rows:
        rows = [_start_row(run, data, latency(settings.architecture))]
        run.write_path(rows)
    goal = make_goal(settings, model, meter)
    network = load_checkpoint(run.network_file(rows[-1].step)).network()
    with progress(console) as display, Pool(run, workers, tuning.start) as pool:
        tuner = tuning.PooledTuner(run, goal, pool, display)
        start_time = time.perf_counter()
        try:
            for step in steps(network, goal, tuner, done=rows[-1].step):
                seconds, start_time = time.perf_counter() - start_time, time.perf_counter()
                row = _row(step, latency(step.network.architecture), data.count("validation"), seconds)
                rows.append(row)
                _accept_step(run, rows)
                display.print_line(step_line(row, goal.format_cost(step.cost), goal.format_cost(goal.limit)))
        except NonFiniteLossError as error:
            raise DivergedError(
                f"{run.folder}: {error}; {pluralize(len(rows) - 1, 'step')} finished"
            ) from None
    return rows


def _accept_step(run: NetAdaptRun, rows: Sequence[NetAdaptRow]) -> None:
    """Keep the network of the last row, save the row, delete the other proposals."""
    row = rows[-1]
    proposal = run.proposal_file(row.step, row.architecture)
    proposal.replace(run.network_file(row.step))
    run.write_path(rows)
    shutil.rmtree(proposal.parent)


def _start_row(run: NetAdaptRun, data: Data, latency: Latency | None) -> NetAdaptRow:
    settings = run.settings
    network = load_checkpoint(run.network_file(0)).network().to(settings.device)
    top1, loss = evaluate(network, data, "validation", device=settings.device)
    images = data.count("validation")
    return NetAdaptRow(
        0, "", 0, 0, settings.architecture, latency, top1, loss, None, None, images, 0, 0, (), 0.0
    )


def _row(step: Step, latency: Latency | None, images: int, seconds: float) -> NetAdaptRow:
    proposal, pruned = step.proposal, step.pruned
    return NetAdaptRow(
        step=step.number,
        place=proposal.place,
        before=proposal.before,
        after=proposal.after,
        architecture=proposal.architecture,
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
    """One step in a line, with the number of proposals that the images cannot distinguish from it."""
    assert row.unpruned_loss is not None and row.unpruned_top1 is not None
    return (
        f"step {row.step}: {row.description}; {cost} (limit {limit}); "
        f"loss {row.loss:.3f} ({row.loss - row.unpruned_loss:+.3f}), "
        f"top-1 {accuracy_text(Estimate(row.top1, *row.top1_ci95))}, "
        f"{100 * (row.top1 - row.unpruned_top1):+.1f} pp; "
        f"{row.n_indistinguishable} of {pluralize(row.proposals - 1, 'other proposal')} statistically "
        f"indistinguishable on {row.images:,} images "
        f"(top-1 range {100 * (row.top1s[1] - row.top1s[0]):.1f} pp)"
    )
