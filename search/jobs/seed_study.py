"""`bneck seed-variance`: networks trained with several seeds, until it is told how noisy a training is."""

import json
import math
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from ...evaluate import Recipe, host, package_versions, parse_goals, usable_cores
from ...evaluate.scorers import EvaluationContext, evaluator
from ...results.analysis.seed_noise import MIN_NETWORKS, MIN_SEEDS, SeedVarianceReport, analyze_seed_variance
from ...results.outputs import write_seed_study_results
from ...results.store.seed_study import SeedStudy, SeedVarianceSettings
from ...results.text.formatting import pluralize
from ...results.text.seed_noise import counts_text, summary_lines, table_rows
from ...search_space import GoalError, RunError, SpaceError, load_space
from ..console.exit_codes import INTERRUPTED
from ..console.progress import progress
from ..console.tables import plain_table, wide_console
from ..parallel.lock import run_lock
from ..resolve.datasets import load_run_data, open_images
from ..resolve.environment import torch_device, unused_run_directory
from ..resolve.requests import SeedStudyRequest
from ..samplers.feasibility import require_feasible
from ..samplers.initial_design import spread_by_macs
from .seed_study_training import TimeoutReachedError, train_all


def create(request: SeedStudyRequest) -> SeedStudy:
    """Check everything, then make the study's folder.

    Raises:
        BneckError: whatever cannot be met; then nothing has been made.
    """
    space = load_space(request.space)
    goals = parse_goals("accuracy", {"macs": request.max_macs, "params": request.max_params})
    out = request.out or unused_run_directory(f"seed-variance-{space.name}", request.data)
    SeedStudy.require_absent(out)
    device = torch_device(request.device)
    images, data = open_images(request)
    recipe = Recipe(epochs=request.epochs)
    evaluator(request.evaluator, EvaluationContext(data, recipe, device))
    space = space.for_data(data.image_channels, len(data.class_names))
    rng = random.Random(request.seed)
    require_feasible(space, goals, rng)
    networks = list(spread_by_macs(space, goals, request.networks, rng))
    if len(networks) < MIN_NETWORKS:
        raise SpaceError(
            f"space {space.name} has {pluralize(len(networks), 'network')} within the limits; "
            f"to tell noise takes {MIN_NETWORKS}: relax the limits or widen the space"
        )
    settings = SeedVarianceSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space.name,
        limits=", ".join(str(limit) for limit in goals.constraints) or "none",
        networks=tuple(networks),
        seeds=request.seeds,
        evaluator=request.evaluator,
        data=images,
        recipe=recipe,
        n_trials=request.n_trials,
        torch_device=device,
        host=host(),
        versions=package_versions(),
    )
    return SeedStudy.create(out, settings)


def resume(folder: Path, seeds: int | None, n_trials: int | None) -> SeedStudy:
    """Open a study again.

    Args:
        seeds: more than before; None keeps them.
        n_trials: of the search it is made for; None keeps them.
    Raises:
        BneckError: it is none, or its images are others now.
    """
    study = SeedStudy.open(folder)
    data = study.settings.data
    if data.of(load_run_data(data)) != data:
        raise GoalError(f"{folder}: the classes or pixels of {data.name} are no longer those it began with")
    if n_trials is not None:
        study = study.with_settings(n_trials=n_trials)
    return study.with_more_seeds(seeds or study.settings.seeds)


def train_and_report(
    study: SeedStudy, *, workers: int | None, timeout_minutes: float | None, as_json: bool
) -> None:
    """Train, within the minutes, and tell what came out.

    Raises:
        BneckError: it cannot go on, or there is too little to tell from; what was trained is kept.
    """
    settings = study.settings
    workers = workers or (1 if settings.torch_device == "cuda" else usable_cores())
    before, start_time = len(study.trainings()), time.monotonic()
    display = progress(Console(stderr=as_json))
    display.print_line(_start_message(study, timeout_minutes))
    try:
        with run_lock(study.folder, "training"), display:
            train_all(study, workers, timeout_minutes, display)
        finished = True
    except TimeoutReachedError:
        finished = False
        display.print_line(
            f"the {timeout_minutes:g} minutes are gone; go on with: "
            f"bneck seed-variance {study.folder} --resume"
        )
    except KeyboardInterrupt:
        total = len(settings.networks) * settings.seeds
        done = f"{len(study.trainings())} of {total} trainings"
        typer.echo(f"stopped with {done}; go on with: bneck seed-variance {study.folder} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    trainings = study.trainings()
    report = analyze_seed_variance(trainings, settings.n_trials)
    if report is None:
        took = (time.monotonic() - start_time) / 60
        raise RunError(_too_few_trainings(study, finished, len(trainings), len(trainings) - before, took))
    result = write_seed_study_results(study, report)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        _print(report, study)


def _too_few_trainings(study: SeedStudy, finished: bool, known: int, new: int, took_minutes: float) -> str:
    """What is missing, and how many minutes it takes."""
    least = f"{MIN_NETWORKS} networks with {MIN_SEEDS} seeds"
    if finished:
        return f"{study.folder}: too many trainings failed: there is no number for {least}; train more calmly"
    are = "is" if known == 1 else "are"
    text = f"{study.folder}: {pluralize(known, 'training')} {are} too few to tell noise; {least} take"
    command = f"bneck seed-variance {study.folder} --resume"
    missing = (MIN_SEEDS - 1) * len(study.settings.networks) + MIN_NETWORKS - known
    if not new:
        return f"{text} more than {math.ceil(took_minutes * missing)} minutes: {command}"
    minutes = math.ceil(took_minutes / new * missing)
    return f"{text} about {minutes} more: {command} --timeout {minutes}"


def _start_message(study: SeedStudy, timeout_minutes: float | None) -> str:
    settings = study.settings
    limit = f", {timeout_minutes:g} minutes at most" if timeout_minutes else ""
    return (
        f"{study.folder}: {len(settings.networks)} networks of space {settings.space} x {settings.seeds} "
        f"seeds on {settings.data.name} by {settings.evaluator}{limit}"
    )


def _print(report: SeedVarianceReport, study: SeedStudy) -> None:
    console = wide_console()
    columns, rows = table_rows(report)
    table = plain_table(*columns, left=(columns[0],))
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(f"{counts_text(report)}", highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    for line in (*summary_lines(report), f"page:    {study.report_file}", f"data:    {study.result_file}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
