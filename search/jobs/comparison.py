"""`bneck compare`: train networks, or one network with several augmentations, with several seeds each."""

import os
import re
import shlex
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...evaluate import Latency, build_reference_panel
from ...evaluate.data.dataset import Data
from ...evaluate.training.trivial_accuracy import TrivialAccuracy
from ...results.analysis.comparison import Comparison, Result, Variant
from ...results.export.training import metrics_on_split, training_result
from ...results.pages.comparison import comparison_html
from ...results.plots.comparison import figures
from ...results.plots.png import kaleido, write_pngs
from ...results.store.experiment import existing_folder_error, is_training
from ...results.store.new_folder import Place, make_folder
from ...results.store.recorded_data import require_same_images
from ...results.store.training_run import TrainingRun, TrainingSettings
from ...results.text.comparison import (
    comparison_dict,
    comparison_text,
    comparison_warnings,
    results_csv,
    table_rows,
    to_csv,
)
from ...results.text.formatting import key_value_text
from ...search_space import GoalError, RunError, cost
from ...search_space.errors import DivergedError, WorkerFailedError
from ...search_space.serialization.atomic_write import write_atomic
from ..console.progress import Progress, Status, progress
from ..console.tables import print_lines, print_table, wide_console
from ..console.terminal import Console
from ..console.training_progress import TrainingProgress
from ..parallel.lock import folder_lock, run_lock
from ..parallel.pool import Pool
from ..parallel.worker_process import init_worker_process
from ..resolve.environment import numbered_run_directory, torch_device
from ..resolve.networks import NamedArchitecture
from ..resolve.training_requests import ComparisonRequest, TrainingRequest
from .job import print_result, resumable, worker_count
from .latency import make_meter, measure_all
from .training_loop import run_epochs
from .training_request import create_training_run, plan, resume_training_run

THREADS_PER_TRAINING = 1  # one training per core at a time
_TRAININGS = "trainings"


def compare_and_report(
    request: ComparisonRequest, *, workers: int | None, resume: bool, png: bool, as_json: bool
) -> None:
    """Train all, compare, write tables and report, and print the result.

    Raises:
        BneckError: the request is invalid; finished training runs remain.
    """
    if len({_file_name(name) for name in request.names}) < len(request.names):
        raise GoalError(f"names must be distinct, got {', '.join(request.names)}")
    if png:
        kaleido()
    place = request.out or numbered_run_directory("compare", request.data)
    if isinstance(place, Path):
        if resume and not (place / _TRAININGS).is_dir():
            raise RunError(f"{place} is not a comparison; omit --resume to start one")
        if not resume and os.path.lexists(place):
            raise _existing_error(place)
    notes: list[str] = []
    plans = {name: plan(request.training(name, 0, None), notes.append) for name in request.names}
    settings = {name: each for name, (each, _) in plans.items()}
    if resume and isinstance(place, Path):
        _require_same_images(place, next(data for _, data in plans.values()))
    latencies = {} if request.augments else _latencies(request, settings)
    out = place if resume and isinstance(place, Path) else create_comparison(place)
    folders = {
        (name, seed): out / _TRAININGS / f"{_file_name(name)}-seed{seed}"
        for seed in range(request.seeds)
        for name in request.names
    }
    trainings = {(name, seed): request.training(name, seed, path) for (name, seed), path in folders.items()}
    workers = worker_count(workers, torch_device(request.device), len(trainings))
    epochs = sum(settings[name].recipe.epochs for name, _ in trainings)

    def finished() -> str:
        return f"{len(list(out.glob(f'{_TRAININGS}/*/result.json')))} of {len(trainings)} training runs"

    command = f"bneck compare (same arguments) --out {shlex.quote(str(out))} --resume"
    with resumable(command, finished, out), folder_lock(out, "comparing networks"):
        with progress(Console(stderr=as_json)) as display:
            for note in dict.fromkeys(notes):
                display.print_line(note)
            results = _train_all(trainings, epochs, workers, display)
        comparison = _comparison(request, settings, latencies, results)
        curves = {key: TrainingRun.open(folders[key]).checkpoint().curve for key in results}
        write_atomic(out / "comparison.csv", to_csv(comparison))
        write_atomic(out / "trainings.csv", results_csv(comparison))
        write_atomic(out / "comparison.html", comparison_html(comparison, curves, _provenance(settings, out)))
        if png:
            write_pngs(figures(comparison, curves), out / "pictures")
    if as_json:
        print_result(comparison_dict(comparison), (), as_json=True)
    else:
        _print(comparison, out)


def create_comparison(place: Place) -> Path:
    """Create the folder of a comparison, in which each training has its own.

    Raises:
        RunError: it exists or cannot be created.
    """
    return make_folder(place, lambda folder: (folder / _TRAININGS).mkdir(), _existing_error)


def _existing_error(folder: Path) -> RunError:
    return existing_folder_error(folder, f"--out {folder} --resume")


def _require_same_images(out: Path, data: Data) -> None:
    """Refuse other images than those of the trainings that a comparison has already."""
    started = next(filter(is_training, sorted((out / _TRAININGS).iterdir())), None)
    if started:
        require_same_images(TrainingRun.open(started), data)


def train_one(request: TrainingRequest) -> dict[str, Any]:
    """In a worker: create or resume a training, finish it, and evaluate it on the test images."""
    assert request.out
    if is_training(request.out):
        folder, data = resume_training_run(request, same_request=True)
    else:
        settings, data = plan(request)
        folder = create_training_run(request, settings, data)
    if (result := folder.result()) is not None:
        return result
    epochs = folder.settings.recipe.epochs
    with run_lock(folder, "training"):
        run_epochs(folder, data, TrainingProgress(Console(), epochs=epochs, images=0, quiet=True))
    metrics = metrics_on_split(folder.model(), data, "test", folder.settings.compute.device)
    result = training_result(folder, metrics)
    folder.save_result(result)
    return result


def _train_all(
    trainings: Mapping[tuple[str, int], TrainingRequest], epochs: int, workers: int, display: Progress
) -> dict[tuple[str, int], dict[str, Any]]:
    """Results by name and seed; failed training runs are left out."""
    outcomes: dict[tuple[str, int], dict[str, Any]] = {}
    with Pool(THREADS_PER_TRAINING, workers, init_worker_process) as pool:
        pending = {pool.submit(train_one, training): key for key, training in trainings.items()}
        while pending:
            done = sum(_epochs_done(training) for training in trainings.values())
            display.update_status(Status("epochs", done, epochs))
            for future in pool.wait(pending):
                key = pending.pop(future)
                try:
                    outcomes[key] = future.result()
                except (DivergedError, WorkerFailedError) as error:
                    display.print_line(f"skipped: {key[0]}, seed {key[1]}: {error}")
                    continue
                top1 = 100 * outcomes[key]["test"]["top1"]
                display.print_line(f"{key[0]}, seed {key[1]}: test top-1 {top1:.2f}%")
        display.update_status(Status("epochs", epochs, epochs))
    return outcomes


def _epochs_done(training: TrainingRequest) -> int:
    assert training.out
    curve = training.out / "curve.csv"
    return curve.read_bytes().count(b"\n") - 1 if curve.is_file() else 0


def _latencies(request: ComparisonRequest, settings: Mapping[str, TrainingSettings]) -> dict[str, Latency]:
    """Latencies by name, measured before training occupies the cores."""
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
        own = tuple(_seed_result(*key, result) for key, result in sorted(results.items()) if key[0] == name)
        if own:
            costs = network_cost.macs, network_cost.params
            variants.append(Variant(name, each.architecture.key, *costs, latencies.get(name), own))
    if not variants:
        raise RunError("every training run failed; lower --learning-rate, or use fewer --workers")
    first = next(iter(settings.values()))
    recipe = asdict(first.recipe)
    if request.augments:
        del recipe["augment"]
    return Comparison(
        tuple(variants),
        data=first.data.name,
        recipe=key_value_text(recipe.items()),
        reference=build_reference_panel(request.reference_model).reference if latencies else "",
        factor="augmentations" if request.augments else "networks",
        trivial=_trivial(next(iter(results.values()))["test"]),
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
        statistics.fmean(each["recall"] for each in test["classes"] if each["images"]),
        test.get("outcomes", ""),
    )


def _trivial(test: Mapping[str, Any]) -> TrivialAccuracy:
    """Of the test images, which all trainings share."""
    classes = test["classes"]
    return TrivialAccuracy.of([each["images"] for each in classes], [each["name"] for each in classes])


def _provenance(settings: Mapping[str, TrainingSettings], out: Path) -> list[tuple[str, object]]:
    first = next(iter(settings.values()))
    return [
        ("images", f"{first.architecture.resolution_px} px, {first.architecture.classes} classes"),
        ("initial weights", first.initial_weights),
        ("trainings", str(out / _TRAININGS)),
        ("machine", key_value_text(first.host.items())),
        ("versions", key_value_text(first.versions.items())),
    ]


def _print(comparison: Comparison, out: Path) -> None:
    console = wide_console()
    print_table(console, *table_rows(comparison))
    print_lines(
        console,
        comparison_text(comparison),
        *comparison_warnings(comparison),
        f"report:  {out / 'comparison.html'}",
        f"tables:  {out / 'comparison.csv'}, {out / 'trainings.csv'}",
    )


def _file_name(name: str) -> str:
    """A name as part of a folder name."""
    return re.sub(r"[^\w.@+-]+", "-", name)
