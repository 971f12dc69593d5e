"""`bneck compare`: networks, or augmentations, trained alike with several seeds."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from ...evaluate import Latency, usable_cores
from ...results.analysis.comparison import Comparison, Contestant, Result
from ...results.export.training import judge_on, write_result
from ...results.pages.comparison import comparison_html, figures
from ...results.plots.png import kaleido, write_pngs
from ...results.store.directories import is_training, refuse_existing
from ...results.store.training_run import TrainingFolder, TrainingSettings
from ...results.text.comparison import comparison_dict, results_csv, table_rows, to_csv
from ...results.text.formatting import pairs
from ...search_space import GoalError, RunError, cost
from ...search_space.errors import DivergedError
from ...search_space.serialization.atomic_write import write_whole
from ..commands.front import plain_table, wide_console
from ..commands.inspect import NamedArchitecture
from ..commands.options import INTERRUPTED
from ..console.progress import Progress, Status, progress
from ..console.training_progress import TrainingProgress
from ..parallel.pool import Pool, result_of
from ..runner import worker
from ..runner.create import free_folder, torch_device
from .latency import measure_all, meter_for
from .training_loop import run_epochs
from .training_request import TrainingRequest, begin, plan, reopen

THREADS = 1  # of each training: as many trainings at once as there are cores
_TRAININGS = "trainings"


@dataclass(frozen=True)
class ComparisonRequest:
    """What a person asked for, in words; see `bneck compare --help`.

    Attributes:
        one: how each is trained; its network, augmentation and seed are replaced.
        augments: compared on the one network of `archs`; empty to compare the networks.
    """

    one: TrainingRequest
    archs: tuple[str, ...]
    augments: tuple[str, ...]
    seeds: int
    out: Path | None
    backend: str
    reference: str

    @property
    def names(self) -> tuple[str, ...]:
        return self.augments or self.archs

    def training(self, name: str, seed: int, out: Path) -> TrainingRequest:
        """One training of it all."""
        folder = out / _TRAININGS / f"{_file_name(name)}-seed{seed}"
        request = replace(self.one, seed=seed, out=folder)
        if self.augments:
            return replace(request, changes=(*self.one.changes, ("augment", name)))
        return replace(request, arch=name)


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
    out = request.out or free_folder("compare", request.one.data)
    if resume and not (out / _TRAININGS).is_dir():
        raise RunError(f"{out} is no comparison to go on with; leave --resume out to begin one")
    if not resume:
        refuse_existing(out, f"--out {out} --resume")
    settings = {name: plan(request.training(name, 0, out))[0] for name in request.names}
    latencies = {} if request.augments else _latencies(request, settings)
    trainings = {
        (name, seed): request.training(name, seed, out)
        for seed in range(request.seeds)
        for name in request.names
    }
    device = torch_device(request.one.device)
    workers = workers or (1 if device == "cuda" else min(usable_cores(), len(trainings)))
    epochs = sum(settings[name].recipe.epochs for name, _ in trainings)
    try:
        with progress(Console(stderr=as_json)) as shown:
            results = _train_all(trainings, epochs, workers, shown)
    except KeyboardInterrupt:
        typer.echo(f"stopped; go on with the same words and --out {out} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    comparison = _comparison(request, settings, latencies, results)
    curves = {key: _folder(trainings[key]).checkpoint().curve for key in results}
    write_whole(out / "comparison.csv", to_csv(comparison))
    write_whole(out / "trainings.csv", results_csv(comparison))
    write_whole(out / "comparison.html", comparison_html(comparison, curves, _facts(settings, out)))
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
        folder, data = reopen(request, same_words=True)
    else:
        settings, data = plan(request)
        folder = begin(request, settings, data)
    if folder.result_file.is_file():
        known: dict[str, Any] = json.loads(folder.result_file.read_text(encoding="utf-8"))
        return known
    epochs = folder.settings.recipe.epochs
    run_epochs(folder, data, TrainingProgress(Console(), epochs=epochs, images=0, quiet=True))
    return write_result(folder, judge_on(folder.model(), data, "test", folder.settings.conditions.device))


def _train_all(
    trainings: Mapping[tuple[str, int], TrainingRequest], epochs: int, workers: int, shown: Progress
) -> dict[tuple[str, int], dict[str, Any]]:
    """Train in worker processes; the progress counts epochs."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with Pool(THREADS, workers, worker.alone) as pool:
        pending = {pool.submit(train_one, training): key for key, training in trainings.items()}
        while pending:
            done = sum(_epochs_done(training) for training in trainings.values())
            shown.show(Status("epochs", done, epochs))
            for future in pool.wait(pending):
                key = pending.pop(future)
                try:
                    found[key] = result_of(future)
                except DivergedError as error:
                    shown.say(f"left out: {error}")
                    continue
                top1 = 100 * found[key]["test"]["top1"]
                shown.say(f"{key[0]}, seed {key[1]}: {top1:.2f}% on the test images")
        shown.show(Status("epochs", epochs, epochs))
    return found


def _epochs_done(training: TrainingRequest) -> int:
    assert training.out
    curve = training.out / "curve.csv"
    return curve.read_bytes().count(b"\n") - 1 if curve.is_file() else 0


def _folder(training: TrainingRequest) -> TrainingFolder:
    assert training.out
    return TrainingFolder.open(training.out)


def _latencies(request: ComparisonRequest, settings: Mapping[str, TrainingSettings]) -> dict[str, Latency]:
    """Of the networks by name, measured before anything else keeps the machine busy."""
    if request.backend == "none":
        return {}
    networks = [NamedArchitecture(name, each.architecture) for name, each in settings.items()]
    meter = meter_for(networks[0].architecture, request.backend, 1, 1, request.reference)
    return {each.name: each.latency for each in measure_all(meter, networks, fresh=False)}


def _comparison(
    request: ComparisonRequest,
    settings: Mapping[str, TrainingSettings],
    latencies: Mapping[str, Latency],
    results: Mapping[tuple[str, int], dict[str, Any]],
) -> Comparison:
    contestants = []
    for name, each in settings.items():
        network_cost = cost(each.architecture)
        own = [_result(*key, result) for key, result in sorted(results.items()) if key[0] == name]
        if not own:
            continue
        contestants.append(
            Contestant(
                name,
                each.architecture.key,
                network_cost.macs,
                network_cost.params,
                latencies.get(name),
                tuple(own),
            )
        )
    if not contestants:
        raise RunError("no training came to its end, so there is nothing to compare")
    first = next(iter(settings.values()))
    recipe = asdict(first.recipe)
    if request.augments:
        del recipe["augment"]
    return Comparison(
        tuple(contestants),
        data=first.data.name,
        recipe=pairs(recipe.items()),
        reference=request.reference if latencies else "",
        what="augmentations" if request.augments else "networks",
    )


def _result(name: str, seed: int, found: Mapping[str, Any]) -> Result:
    test = found["test"]
    return Result(
        name,
        seed,
        test["top1"],
        test["loss"],
        found["validation_top1"],
        test["images"],
        found["seconds"],
        found["epochs"],
    )


def _facts(settings: Mapping[str, TrainingSettings], out: Path) -> list[tuple[str, object]]:
    first = next(iter(settings.values()))
    return [
        ("images", f"{first.architecture.resolution_px} px, {first.architecture.classes} classes"),
        ("began from", first.begins_from),
        ("trainings", str(out / _TRAININGS)),
        ("machine", pairs(first.host.items())),
        ("versions", pairs(first.versions.items())),
    ]


def _print(comparison: Comparison, out: Path) -> None:
    console = wide_console()
    columns, rows = table_rows(comparison)
    table = plain_table(*columns, left=(columns[0],))
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for line in (
        comparison.verdict(),
        f"page:    {out / 'comparison.html'}",
        f"tables:  {out / 'comparison.csv'}, {out / 'trainings.csv'}",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _file_name(name: str) -> str:
    """A name that a folder can have."""
    return re.sub(r"[^\w.@+-]+", "-", name)
