"""`bneck seed-variance`: train networks with several seeds and estimate the variance between seeds."""

import math
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from ...evaluate import host, package_versions, parse_goals
from ...evaluate.scorers import EvaluationContext, evaluator
from ...results.analysis.seed_noise import MIN_NETWORKS, MIN_SEEDS, SeedVarianceReport, analyze_seed_variance
from ...results.outputs import write_seed_study_results
from ...results.store.recorded_data import reopen_data
from ...results.store.seed_study import SeedStudy, SeedVarianceSettings
from ...results.text.formatting import pluralize
from ...results.text.seed_noise import counts_text, summary_lines, table_rows
from ...search_space import RunError, SpaceError, load_space
from ..console.progress import progress
from ..console.tables import print_lines, print_table, wide_console
from ..console.terminal import Console
from ..parallel.deadline import Deadline
from ..parallel.lock import run_lock
from ..resolve.confirmed import require_same
from ..resolve.datasets import open_images
from ..resolve.environment import numbered_run_directory, torch_device
from ..resolve.evaluators import with_absolute_files
from ..resolve.recipes import choose_recipe
from ..resolve.requests import SeedStudyRequest
from ..runner.budget import report_seconds
from ..samplers.feasibility import require_feasible
from ..samplers.initial_design import spread_by_macs
from .job import print_result, resumable, worker_count
from .seed_study_training import TimeoutReachedError, train_all


def create(request: SeedStudyRequest, on_note: Callable[[str], None] = lambda note: None) -> SeedStudy:
    """Check the request and create the study's folder.

    Args:
        on_note: called with a line on the recipe.
    Raises:
        BneckError: the request is invalid; nothing has been created.
    """
    space = load_space(request.space)
    goals = parse_goals("accuracy", {"macs": request.max_macs, "params": request.max_params})
    out = request.out or numbered_run_directory(f"seed-variance-{space.name}", request.data)
    SeedStudy.require_absent(out)
    device = torch_device(request.device)
    images, data = open_images(request)
    chosen = choose_recipe(request.recipe, request.recipe_overrides, data.count("train"))
    evaluator(request.evaluator, EvaluationContext(data, chosen.recipe, device))
    space = space.for_data(data.image_channels, len(data.class_names))
    rng = random.Random(request.seed)
    require_feasible(space, goals, rng)
    networks = list(spread_by_macs(space, goals, request.networks, rng))
    if len(networks) < MIN_NETWORKS:
        raise SpaceError(
            f"space {space.name} has {pluralize(len(networks), 'network')} within the limits; "
            f"{MIN_NETWORKS} are needed: relax the limits or enlarge the space"
        )
    settings = SeedVarianceSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space.name,
        limits=", ".join(str(limit) for limit in goals.constraints) or "none",
        networks=tuple(networks),
        seeds=request.seeds,
        evaluator=with_absolute_files(request.evaluator),
        data=images,
        recipe=chosen.recipe,
        n_trials=request.n_trials,
        torch_device=device,
        host=host(),
        versions=package_versions(),
    )
    study = SeedStudy.create(out, settings, lambda study: study.save_manifest(data))
    if request.evaluator == "train":
        on_note(chosen.text)
    return study


def resume(
    folder: Path, seeds: int | None, n_trials: int | None, confirmed: Mapping[str, str] = MappingProxyType({})
) -> SeedStudy:
    """Open a study to continue it.

    Args:
        seeds: new number of seeds, not lower than before; None for no change.
        n_trials: new number of trials of the planned search; None for no change.
        confirmed: settings that the study has too, by parameter.
    Raises:
        BneckError: the folder holds no study, or its data set has changed.
    """
    study = SeedStudy.open(folder)
    require_same(study, confirmed)
    study.require_trusted()
    study, _ = reopen_data(study, moved_to=confirmed.get("data"))
    if n_trials is not None:
        study = study.with_settings(n_trials=n_trials)
    return study.with_more_seeds(seeds or study.settings.seeds)


def train_and_report(study: SeedStudy, *, workers: int | None, deadline: Deadline, as_json: bool) -> None:
    """Train until finished or until the deadline, then analyse, save and print the results.

    Raises:
        BneckError: the study cannot proceed, or has too few training runs; finished runs are saved.
    """
    settings = study.settings
    n_before, start_time = len(study.trainings()), time.monotonic()
    command = study.resume_command
    display = progress(Console(stderr=as_json))
    display.print_line(_start_message(study, deadline.minutes))
    timed_out = False
    if limit_minutes := deadline.minutes:
        deadline.reserve = lambda: report_seconds(60 * limit_minutes)

    def finished() -> str:
        total = len(settings.networks) * settings.seeds
        return f"{len(study.trainings())} of {total} training runs"

    try:
        with resumable(command, finished, study.folder), run_lock(study, "training"), display:
            train_all(study, worker_count(workers, settings.torch_device), deadline, display)
    except TimeoutReachedError:
        timed_out = True
        display.print_line(f"timeout of {deadline.minutes:g} min reached; resume with: {command}")
    trainings = study.trainings()
    report = analyze_seed_variance(trainings, settings.n_trials)
    if report is None:
        n_new, minutes = len(trainings) - n_before, (time.monotonic() - start_time) / 60
        raise RunError(_too_few_trainings(study, command, timed_out, len(trainings), n_new, minutes))
    with resumable(command, finished, study.folder):
        result = write_seed_study_results(study, report)
    if as_json:
        print_result(result, (), as_json=True)
    else:
        _print(report, study)


def _too_few_trainings(
    study: SeedStudy, command: str, timed_out: bool, n_finished: int, n_new: int, minutes: float
) -> str:
    """What is missing, with an estimate of the minutes it takes."""
    required = f"{MIN_NETWORKS} networks with {MIN_SEEDS} seeds"
    if not timed_out:
        return (
            f"{study.folder}: too many training runs failed; {required} are needed: lower the learning rate"
        )
    text = f"{study.folder}: {pluralize(n_finished, 'training run')} finished; {required} are needed"
    missing = (MIN_SEEDS - 1) * len(study.settings.networks) + MIN_NETWORKS - n_finished
    if not n_new:
        return f"{text}, more than {math.ceil(minutes * missing)} minutes: {command}"
    left = math.ceil(minutes / n_new * missing)
    return f"{text}, about {left} more minutes: {command} --timeout {left}"


def _start_message(study: SeedStudy, timeout_minutes: float | None) -> str:
    settings = study.settings
    limit = f", timeout {timeout_minutes:g} min" if timeout_minutes else ""
    return (
        f"{study.folder}: {len(settings.networks)} networks of space {settings.space} x {settings.seeds} "
        f"seeds on {settings.data.name}, evaluator {settings.evaluator}{limit}"
    )


def _print(report: SeedVarianceReport, study: SeedStudy) -> None:
    console = wide_console()
    print_lines(console, counts_text(report))
    print_table(console, *table_rows(report))
    print_lines(
        console,
        *summary_lines(report),
        f"report:  {study.report_file}",
        f"data:    {study.result_file}",
    )
