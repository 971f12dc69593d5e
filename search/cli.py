"""The command line; the commands on latency are in `commands.latency`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..search_space import BneckError, GoalError, RunError
from .commands.ablation import ablation
from .commands.latency import latency, model_app
from .commands.netadapt import netadapt
from .commands.options import (
    BACKENDS_HELP,
    DATA_HELP,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    JsonOption,
    ReferenceOption,
    ThreadsOption,
    TrainImagesOption,
    ValidationImagesOption,
    was_given,
)
from .commands.proxy import proxy
from .commands.seed_variance import seed_variance
from .commands.supernet import supernet_app
from .commands.train import compare, data, evaluate, recipe, train
from .console.exit_codes import INTERRUPTED

app = typer.Typer(
    name="bneck",
    help="Find the networks of the MobileNet family that are best on your images and your device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXAMPLE_MAX_MACS = "500K"
EXAMPLE_MAX_LATENCY = "0.25x"
RESUMABLE = ("space", "resume", "n_trials", "workers", "replicates", "timeout_minutes")

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="a folder that `bneck search` made")]


def _limit(what: str) -> Any:
    return typer.Option(metavar="LIMIT", help=f"limit on {what}")


@app.command()
def search(
    context: typer.Context,
    space: Annotated[
        str | None,
        typer.Argument(metavar="SPACE", help="a preset, a YAML file, or with --resume a run folder"),
    ] = None,
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "digits",
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="the run's folder; by default runs/SPACE-DATA-N")
    ] = None,
    n_trials: Annotated[int, typer.Option("--n-trials", "--trials", min=1, help="networks to judge")] = 60,
    epochs: Annotated[
        str,
        typer.Option(
            metavar="N|A:B",
            help="times that a network sees the training images; A:B trains each A times, the best on to B",
        ),
    ] = "20",
    seed: Annotated[int, typer.Option(min=0, help="of the proposals and of every training")] = 0,
    replicates: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="trainings with other seeds where the front is unsure; by default a fifth of --n-trials",
        ),
    ] = None,
    timeout_minutes: Annotated[
        float | None,
        typer.Option("--timeout", metavar="MIN", min=0.01, help="begin nothing new to judge after so many"),
    ] = None,
    evaluator: Annotated[
        str, typer.Option(help="that judges: train, supernet:FILE, inherit:FILE or table:FILE")
    ] = "train",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; by default one a core, one on a GPU")
    ] = None,
    max_macs: Annotated[str | None, _limit("multiply-adds, like 60M")] = None,
    max_params: Annotated[str | None, _limit("parameters, like 3M")] = None,
    max_latency: Annotated[str | None, _limit("measured latency: 5ms, or 0.5x the reference's")] = None,
    objectives: Annotated[
        str,
        typer.Option(
            help="what to optimise: some of accuracy, latency, macs, params; or reward:0.5x (5ms, 60M), "
            "accuracy that counts 5% less at twice the target"
        ),
    ] = "accuracy,latency",
    sampler: Annotated[str, typer.Option(help="ehvi (bneck's own), random, tpe, nsga2 or gp")] = "ehvi",
    transfer_from: Annotated[
        Path | None,
        typer.Option(
            "--transfer-from", metavar="RUN", help="begin with what another run of this space has found"
        ),
    ] = None,
    enqueue_published: Annotated[
        bool, typer.Option("--enqueue-published", help="judge the published networks that fit first")
    ] = False,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="published network to train for comparison (repeat); `none` for none"),
    ] = None,
    reference_model: ReferenceOption = "mobilenet_v3_small",
    latency_backend: Annotated[str, typer.Option(metavar="BACKEND", help=BACKENDS_HELP)] = "onnxruntime",
    latency_threads: ThreadsOption = 1,
    latency_predictor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="predict latency by a file of `bneck latency-model build`"),
    ] = None,
    no_latency_predictor: Annotated[
        bool, typer.Option("--no-latency-predictor", help="measure every network, predict none")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=4, help="images a training step")] = 64,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="the highest of the cosine schedule")] = 0.08,
    train_images: TrainImagesOption = None,
    validation_images: ValidationImagesOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    storage: Annotated[
        str, typer.Option(metavar="URL", help="an Optuna storage; by default SQLite in the run's folder")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="go on with a run that was stopped")] = False,
) -> None:
    """Find the best networks of a space under limits.

    bneck search mobile --data folder:photos --max-macs 60M --max-latency 0.5x

    Without SPACE it is an example: space tiny on the digits that come with scikit-learn, under 500K MACs
    and a quarter of the latency of MobileNetV3-Small.
    """
    from rich.console import Console

    from ..results import Run
    from ..results.pages.front_table import export_command
    from .commands.front import enqueued_message, print_front, start_message, timeout_message
    from .console.progress import progress
    from .parallel.deadline import Deadline
    from .runner.create import SearchRequest, create_run
    from .runner.session import default_workers, run_session
    from .runner.session import resume as resume_run

    deadline = Deadline(timeout_minutes)
    if resume:
        if space is None:
            raise GoalError("--resume needs the run's folder: bneck search RUN --resume")
        given = [name for name in context.params if was_given(context, name) and name not in RESUMABLE]
        if given:
            names = ", ".join("--" + name.replace("_", "-") for name in given)
            raise GoalError(f"{names} cannot change with --resume; the run keeps what it began with")
        run: Run = resume_run(Path(space), n_trials if was_given(context, "n_trials") else None, replicates)
    else:
        if space is None:
            space = "tiny"
            if max_macs is None and max_params is None and max_latency is None:
                max_macs, max_latency = EXAMPLE_MAX_MACS, EXAMPLE_MAX_LATENCY
        if latency_predictor:
            fixed = ("latency_backend", "latency_threads", "reference_model", "no_latency_predictor")
            for name in (name for name in fixed if was_given(context, name)):
                option = "--" + name.replace("_", "-")
                raise GoalError(
                    f"{option} and --latency-predictor exclude each other; the file says where it is from"
                )
        if (Path(space) / "run.yaml").is_file():
            raise RunError(f"{space} is a run; go on with it: bneck search {space} --resume")
        usual = ("mobilenet_v3_small", "mobilenet_v2") if evaluator == "train" else ()
        baselines = usual if baseline is None else tuple(baseline)
        run = create_run(
            SearchRequest(
                space=space,
                data=data,
                out=out,
                n_trials=n_trials,
                epochs=epochs,
                seed=seed,
                objectives=objectives,
                max_macs=max_macs,
                max_params=max_params,
                max_latency=max_latency,
                sampler=sampler,
                enqueue_published=enqueue_published,
                transfer_from=transfer_from,
                baselines=() if baselines == ("none",) else baselines,
                latency_backend=latency_backend,
                latency_threads=latency_threads,
                latency_predictor=latency_predictor,
                no_latency_predictor=no_latency_predictor,
                reference_model=reference_model,
                batch_size=batch_size,
                learning_rate=learning_rate,
                train_images=train_images,
                validation_images=validation_images,
                data_root=data_root,
                download=download,
                device=device,
                storage=storage,
                evaluator=evaluator,
                replicates=replicates,
            )
        )
    display = progress(Console())
    display.print_line(start_message(run))
    if enqueue_published:
        display.print_line(enqueued_message(run))
    try:
        run_session(run, workers or default_workers(run), display, deadline)
    except KeyboardInterrupt:
        evaluated = sum(record.is_evaluated for record in run.records())
        typer.echo(
            f"stopped with {evaluated} of {run.settings.n_trials} networks judged; go on with:", err=True
        )
        typer.echo(f"  bneck search {run.folder} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    print_front(run)
    if timeout_minutes and deadline.work_was_skipped:
        typer.echo(timeout_message(run, timeout_minutes))
    typer.echo(f"\nreport:  {run.folder / 'report.html'}")
    typer.echo(f"export:  {export_command(run.folder, 'best', run.settings.saves_weights)}")


@app.command()
def front(
    run: RunArgument,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
) -> None:
    """List the Pareto front of a run.

    bneck front runs/tiny-digits-1 --json
    """
    from ..results import Run
    from ..results.export.front_table import front_csv, front_json
    from .commands.front import front_posterior_and_baseline, print_front

    if as_json and as_csv:
        raise GoalError("--json and --csv exclude each other; choose one")
    opened = Run.open(run)
    reward = opened.settings.goals.reward
    if as_json:
        typer.echo(
            front_json(opened.front(), *front_posterior_and_baseline(opened), opened.epochs_spent(), reward)
        )
    elif as_csv:
        typer.echo(front_csv(opened.front(), front_posterior_and_baseline(opened)[0], reward), nl=False)
    else:
        print_front(opened)


@app.command()
def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="a folder that `bneck search` or `bneck train` made")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="the page; by default RUN/report.html")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write the pictures as PNG into this folder too")
    ] = None,
) -> None:
    """Write the page of a search or a training.

    bneck report runs/tiny-digits-1
    """
    from .commands.report import write_page

    path = out or run / "report.html"
    write_page(run, path, png)
    typer.echo(f"report:  {path}")
    if png:
        typer.echo(f"png:     {png}")


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="a folder that `bneck search` or `bneck train` made")
    ],
    trial: Annotated[
        str | None,
        typer.Option(help="of a search: a trial's number, as `bneck front` lists it, or best"),
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="of config, onnx, weights")] = "config",
    out: Annotated[Path, typer.Option("-o", "--out", help="the folder to write to")] = Path("exported"),
) -> None:
    """Write a trained network as files.

    bneck export runs/tiny-digits-1 --trial best --format config,onnx -o exported
    """
    from .commands.report import write_exports

    for path in write_exports(run, trial, formats, out):
        typer.echo(path)


@app.command()
def inspect(
    arch: Annotated[str, typer.Argument(metavar="ARCH", help="a published name, a file, or RUN#TRIAL")],
    as_json: JsonOption = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="count with fvcore too, operator by operator")
    ] = False,
) -> None:
    """Show what a network costs, block by block.

    bneck inspect mobilenet_v3_large@0.75
    """
    from .commands import inspect as inspection
    from .resolve.networks import resolve_network

    named = resolve_network(arch)
    if as_json:
        typer.echo(json.dumps(inspection.as_dict(named), indent=2))
    elif audit:
        inspection.print_audit(named)
    else:
        inspection.print_cost(named)


@app.command()
def space(
    name: Annotated[str | None, typer.Argument(metavar="NAME|FILE", help="a preset or a file")] = None,
    as_json: JsonOption = False,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="print a preset's file, to start an own one")
    ] = False,
) -> None:
    """Describe a search space, or list the presets.

    bneck space tiny --yaml > mine.yaml
    """
    from ..search_space import PRESETS, UnknownNameError, load_space, preset_yaml
    from .commands import space as description

    if name is None:
        if as_json:
            typer.echo(json.dumps(list(PRESETS)))
        else:
            description.print_presets()
    elif as_yaml:
        if name not in PRESETS:
            raise UnknownNameError("preset", name, PRESETS)
        typer.echo(preset_yaml(name), nl=False)
    elif as_json:
        typer.echo(json.dumps(description.as_dict(load_space(name)), indent=2))
    else:
        description.print_space(load_space(name))


for command in (data, train, evaluate, compare, recipe, latency, proxy, seed_variance, ablation, netadapt):
    app.command()(command)
app.add_typer(model_app, name="latency-model")
app.add_typer(supernet_app, name="supernet")


def main() -> None:
    """Run the command line; what the caller can mend is told in one line."""
    try:
        app()
    except BneckError as error:
        typer.echo(f"bneck: {error}", err=True)
        sys.exit(2)
