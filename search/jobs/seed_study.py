"""`bneck noise`: networks trained with several seeds, until it is told how noisy a training is."""

import json
import math
import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from ...evaluate import Recipe, host, package_versions, parse_goals, usable_cores
from ...evaluate.scorers import Means, scorer
from ...results.analysis.seed_noise import LEAST_NETWORKS, LEAST_SEEDS, NoiseReport, analyse
from ...results.export.seed_noise import report_dict
from ...results.pages.seed_noise import noise_html
from ...results.store.directories import refuse_existing
from ...results.store.seed_study import NoiseSettings, NoiseStudy
from ...results.text.formatting import count_of, duration, pairs
from ...results.text.seed_noise import counted, lines, table_rows
from ...search_space import GoalError, RunError, SpaceError, load_space
from ...search_space.serialization.atomic_write import write_whole
from ..commands.front import plain_table, wide_console
from ..commands.options import INTERRUPTED
from ..console.progress import progress
from ..runner.create import free_folder, torch_device
from ..runner.session import locked
from ..runner.worker import load_run_data, open_images
from ..samplers.feasibility import require_feasible
from ..samplers.initial_design import spread_by_macs
from .seed_study_training import TimeIsUpError, train_all


@dataclass(frozen=True)
class NoiseRequest:
    """What a person asked for, in words; see `bneck noise --help`."""

    space: str
    data: str
    out: Path | None
    networks: int
    seeds: int
    scorer: str
    epochs: int
    seed: int
    max_macs: str | None
    max_params: str | None
    train_images: int | None
    validation_images: int | None
    data_root: Path | None
    download: bool
    device: str
    trials: int


def begin(request: NoiseRequest) -> NoiseStudy:
    """Check everything, then make the study's folder.

    Raises:
        BneckError: whatever cannot be met; then nothing has been made.
    """
    space = load_space(request.space)
    goals = parse_goals("accuracy", {"macs": request.max_macs, "params": request.max_params})
    out = request.out or free_folder(f"noise-{space.name}", request.data)
    refuse_existing(out, f"bneck noise {out} --resume")
    device = torch_device(request.device)
    images, data = open_images(request)
    recipe = Recipe(epochs=request.epochs)
    scorer(request.scorer, Means(data, recipe, device))
    space = space.for_data(data.image_channels, len(data.class_names))
    rng = random.Random(request.seed)
    require_feasible(space, goals, rng)
    networks = list(spread_by_macs(space, goals, request.networks, rng))
    if len(networks) < LEAST_NETWORKS:
        raise SpaceError(
            f"space {space.name} has {count_of(len(networks), 'network')} within the limits; "
            f"to tell noise takes {LEAST_NETWORKS}: relax the limits or widen the space"
        )
    settings = NoiseSettings(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space.name,
        limits=", ".join(str(limit) for limit in goals.constraints) or "none",
        networks=tuple(networks),
        seeds=request.seeds,
        scorer=request.scorer,
        data=images,
        recipe=recipe,
        trials=request.trials,
        torch_device=device,
        host=host(),
        versions=package_versions(),
    )
    return NoiseStudy.create(out, settings)


def resume(folder: Path, seeds: int | None, trials: int | None) -> NoiseStudy:
    """Open a study again.

    Args:
        seeds: more than before; None keeps them.
        trials: of the search it is made for; None keeps them.
    Raises:
        BneckError: it is none, or its images are others now.
    """
    study = NoiseStudy.open(folder)
    data = study.settings.data
    if data.of(load_run_data(data)) != data:
        raise GoalError(f"{folder}: the classes or pixels of {data.name} are no longer those it began with")
    if trials is not None:
        study = replace(study, settings=replace(study.settings, trials=trials))
    return study.with_seeds(seeds or study.settings.seeds)


def train_and_report(study: NoiseStudy, *, workers: int | None, minutes: float | None, as_json: bool) -> None:
    """Train, within the minutes, and tell what came out.

    Raises:
        BneckError: it cannot go on, or there is too little to tell from; what was trained is kept.
    """
    settings = study.settings
    workers = workers or (1 if settings.torch_device == "cuda" else usable_cores())
    before, began = len(study.trainings()), time.monotonic()
    shown = progress(Console(stderr=as_json))
    shown.say(_opening(study, minutes))
    try:
        with locked(study.folder, "training"), shown:
            train_all(study, workers, minutes, shown)
        over = True
    except TimeIsUpError:
        over = False
        shown.say(f"the {minutes:g} minutes are gone; go on with: bneck noise {study.folder} --resume")
    except KeyboardInterrupt:
        total = len(settings.networks) * settings.seeds
        done = f"{len(study.trainings())} of {total} trainings"
        typer.echo(f"stopped with {done}; go on with: bneck noise {study.folder} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    trainings = study.trainings()
    report = analyse(trainings, settings.trials)
    if report is None:
        took = (time.monotonic() - began) / 60
        raise RunError(_too_little(study, over, len(trainings), len(trainings) - before, took))
    found = report_dict(report, _about(settings))
    write_whole(study.result_file, json.dumps(found, indent=2) + "\n")
    write_whole(study.page_file, noise_html(report, _title(settings), _made(study)))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(report, study)


def _too_little(study: NoiseStudy, over: bool, known: int, new: int, took_minutes: float) -> str:
    """What is missing, and how many minutes it takes."""
    least = f"{LEAST_NETWORKS} networks with {LEAST_SEEDS} seeds"
    if over:
        return f"{study.folder}: too many trainings failed: there is no number for {least}; train more calmly"
    told = (
        f"{study.folder}: {count_of(known, 'training')} {'is' if known == 1 else 'are'} too few to tell noise"
    )
    missing = (LEAST_SEEDS - 1) * len(study.settings.networks) + LEAST_NETWORKS - known
    if not new:
        minutes = math.ceil(took_minutes * missing)
        return f"{told}; {least} take more than {minutes} minutes: bneck noise {study.folder} --resume"
    minutes = math.ceil(took_minutes / new * missing)
    return (
        f"{told}; {least} take about {minutes} more: bneck noise {study.folder} --resume --minutes {minutes}"
    )


def _opening(study: NoiseStudy, minutes: float | None) -> str:
    settings = study.settings
    limit = f", {minutes:g} minutes at most" if minutes else ""
    return (
        f"{study.folder}: {len(settings.networks)} networks of space {settings.space} x {settings.seeds} "
        f"seeds on {settings.data.name} by {settings.scorer}{limit}"
    )


def _title(settings: NoiseSettings) -> str:
    return f"Noise of space {settings.space} on {settings.data.name}"


def _about(settings: NoiseSettings) -> dict[str, str]:
    return {
        "space": settings.space,
        "limits": settings.limits,
        "data": settings.data.name,
        "scorer": settings.scorer,
    }


def _made(study: NoiseStudy) -> list[tuple[str, object]]:
    settings = study.settings
    spent = sum(each.cpu_seconds for each in study.trainings())
    images = [
        (name.replace("_", " "), getattr(settings.data, name))
        for name in ("train_images", "validation_images")
    ]
    return [
        *_about(settings).items(),
        *((name, f"{count:,} at most") for name, count in images if count),
        ("recipe", pairs(vars(settings.recipe).items())),
        ("time", f"{duration(spent)} of computing"),
        ("trainings", str(study.trainings_file)),
        ("machine", pairs(settings.host.items())),
        ("versions", pairs(settings.versions.items())),
    ]


def _print(report: NoiseReport, study: NoiseStudy) -> None:
    console = wide_console()
    columns, rows = table_rows(report)
    table = plain_table(*columns, left=(columns[0],))
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(f"{counted(report)}", highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    for line in (*lines(report), f"page:    {study.page_file}", f"data:    {study.result_file}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
