"""`bneck compare`: networks, or augmentations, trained alike with several seeds."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from ...evaluate import Latency, usable_cores
from ...results.analysis.comparison import Comparison, Result, Variant
from ...results.export.training import metrics_on_split, training_result
from ...results.pages.comparison import comparison_html
from ...results.plots.comparison import figures
from ...results.plots.png import kaleido, write_pngs
from ...results.store.experiment import is_training, require_absent
from ...results.store.training_run import TrainingRun, TrainingSettings
from ...results.text.comparison import comparison_dict, comparison_text, results_csv, table_rows, to_csv
from ...results.text.formatting import key_value_text
from ...search_space import GoalError, RunError, cost
from ...search_space.errors import DivergedError
from ...search_space.serialization.atomic_write import write_atomic
from ..console.exit_codes import INTERRUPTED
from ..console.progress import Progress, Status, progress
from ..console.tables import plain_table, wide_console
from ..console.training_progress import TrainingProgress
from ..parallel.pool import Pool, result_of
from ..parallel.worker_process import init_worker_process
from ..resolve.environment import torch_device, unused_run_directory
from ..resolve.networks import NamedArchitecture
from ..resolve.requests import ComparisonRequest, TrainingRequest
from .latency import make_meter, measure_all
from .training_loop import run_epochs
from .training_request import create_training_run, plan, resume_training_run

THREADS_PER_TRAINING = 1  # of each training: as many trainings at once as there are cores
_TRAININGS = "trainings"


def compare_and_report(
    request: ComparisonRequest, *, workers: int | None, resume: bool, png: bool, as_json: bool
) -> None:
    """Train all, compare, write tables and page, and print what came out.

    Raises:
        BneckError: it cannot begin; what was trained is kept.
    """
    if len({_file_name(name) for name in request.names}) < len(request.names):
        raise GoalError(f"each must have a name of its own, got {', '.join(request.names)}")
    if png:
        kaleido()
    out = request.out or unused_run_directory("compare", request.data)
    if resume and not (out / _TRAININGS).is_dir():
        raise RunError(f"{out} is no comparison to go on with; leave --resume out to begin one")
    if not resume:
        require_absent(out, f"--out {out} --resume")
    folders = {
        (name, seed): out / _TRAININGS / f"{_file_name(name)}-seed{seed}"
        for seed in range(request.seeds)
        for name in request.names
    }
    trainings = {(name, seed): request.training(name, seed, path) for (name, seed), path in folders.items()}
    settings = {name: plan(trainings[name, 0])[0] for name in request.names}
    latencies = {} if request.augments else _latencies(request, settings)
    device = torch_device(request.device)
    workers = workers or (1 if device == "cuda" else min(usable_cores(), len(trainings)))
    epochs = sum(settings[name].recipe.epochs for name, _ in trainings)
    try:
        with progress(Console(stderr=as_json)) as display:
            results = _train_all(trainings, epochs, workers, display)
    except KeyboardInterrupt:
        typer.echo(f"stopped; go on with the same words and --out {out} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    comparison = _comparison(request, settings, latencies, results)
    curves = {key: _folder(trainings[key]).checkpoint().curve for key in results}
    write_atomic(out / "comparison.csv", to_csv(comparison))
    write_atomic(out / "trainings.csv", results_csv(comparison))
    write_atomic(out / "comparison.html", comparison_html(comparison, curves, _provenance(settings, out)))
    if png:
        write_pngs(figures(comparison, curves), out / "pictures")
    if as_json:
        typer.echo(json.dumps(comparison_dict(comparison), indent=2))
    else:
        _print(comparison, out)


def train_one(request: TrainingRequest) -> dict[str, Any]:
    """In a worker: train to the end, from where it stopped, and judge on the test images."""
    assert request.out
    if is_training(request.out):
        folder, data = resume_training_run(request, same_request=True)
    else:
        settings, data = plan(request)
        folder = create_training_run(request, settings, data)
    if (known := folder.result()) is not None:
        return known
    epochs = folder.settings.recipe.epochs
    run_epochs(folder, data, TrainingProgress(Console(), epochs=epochs, images=0, quiet=True))
    metrics = metrics_on_split(folder.model(), data, "test", folder.settings.compute.device)
    result = training_result(folder, metrics)
    folder.save_result(result)
    return result


def _train_all(
    trainings: Mapping[tuple[str, int], TrainingRequest], epochs: int, workers: int, display: Progress
) -> dict[tuple[str, int], dict[str, Any]]:
    """Train in worker processes; the progress counts epochs."""
    outcomes: dict[tuple[str, int], dict[str, Any]] = {}
    with Pool(THREADS_PER_TRAINING, workers, init_worker_process) as pool:
        pending = {pool.submit(train_one, training): key for key, training in trainings.items()}
        while pending:
            done = sum(_epochs_done(training) for training in trainings.values())
            display.update_status(Status("epochs", done, epochs))
            for future in pool.wait(pending):
                key = pending.pop(future)
                try:
                    outcomes[key] = result_of(future)
                except DivergedError as error:
                    display.print_line(f"left out: {error}")
                    continue
                top1 = 100 * outcomes[key]["test"]["top1"]
                display.print_line(f"{key[0]}, seed {key[1]}: {top1:.2f}% on the test images")
        display.update_status(Status("epochs", epochs, epochs))
    return outcomes


def _epochs_done(training: TrainingRequest) -> int:
    assert training.out
    curve = training.out / "curve.csv"
    return curve.read_bytes().count(b"\n") - 1 if curve.is_file() else 0


def _folder(training: TrainingRequest) -> TrainingRun:
    assert training.out
    return TrainingRun.open(training.out)


def _latencies(request: ComparisonRequest, settings: Mapping[str, TrainingSettings]) -> dict[str, Latency]:
    """Of the networks by name, measured before anything else keeps the machine busy."""
    if request.latency_backend == "none":
        return {}
    networks = [NamedArchitecture(name, each.architecture) for name, each in settings.items()]
    meter = make_meter(
        networks[0].architecture, request.latency_backend, request.latency_threads, 1, request.reference_model
    )
    return {each.name: each.latency for each in measure_all(meter, networks, fresh=False)}


def _comparison(
    request: ComparisonRequest,
    settings: Mapping[str, TrainingSettings],
    latencies: Mapping[str, Latency],
    results: Mapping[tuple[str, int], dict[str, Any]],
) -> Comparison:
    variants = []
    for name, each in settings.items():
        network_cost = cost(each.architecture)
        own = [_seed_result(*key, result) for key, result in sorted(results.items()) if key[0] == name]
        if not own:
            continue
        variants.append(
            Variant(
                name,
                each.architecture.key,
                network_cost.macs,
                network_cost.params,
                latencies.get(name),
                tuple(own),
            )
        )
    if not variants:
        raise RunError("no training came to its end, so there is nothing to compare")
    first = next(iter(settings.values()))
    recipe = asdict(first.recipe)
    if request.augments:
        del recipe["augment"]
    return Comparison(
        tuple(variants),
        data=first.data.name,
        recipe=key_value_text(recipe.items()),
        reference=request.reference_model if latencies else "",
        factor="augmentations" if request.augments else "networks",
    )


def _seed_result(name: str, seed: int, outcomes: Mapping[str, Any]) -> Result:
    test = outcomes["test"]
    return Result(
        name,
        seed,
        test["top1"],
        test["loss"],
        outcomes["validation_top1"],
        test["images"],
        outcomes["seconds"],
        outcomes["epochs"],
    )


def _provenance(settings: Mapping[str, TrainingSettings], out: Path) -> list[tuple[str, object]]:
    first = next(iter(settings.values()))
    return [
        ("images", f"{first.architecture.resolution_px} px, {first.architecture.classes} classes"),
        ("began from", first.initial_weights),
        ("trainings", str(out / _TRAININGS)),
        ("machine", key_value_text(first.host.items())),
        ("versions", key_value_text(first.versions.items())),
    ]


def _print(comparison: Comparison, out: Path) -> None:
    console = wide_console()
    columns, rows = table_rows(comparison)
    table = plain_table(*columns, left=(columns[0],))
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for line in (
        comparison_text(comparison),
        f"page:    {out / 'comparison.html'}",
        f"tables:  {out / 'comparison.csv'}, {out / 'trainings.csv'}",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _file_name(name: str) -> str:
    """A name that a folder can have."""
    return re.sub(r"[^\w.@+-]+", "-", name)
