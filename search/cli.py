"""The command line; the commands on latency are in `commands.latency`."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..search_space import BneckError, GoalError, RunError
from .commands.ablation import ablation
from .commands.expand import Given, expand
from .commands.latency import latency, model_app
from .commands.netadapt import netadapt
from .commands.options import (
    LATENCY_NAMES,
    PREDICTOR_REASON,
    JsonOption,
    ResumeOption,
    TimeoutOption,
    WorkersOption,
)
from .commands.proxy import proxy
from .commands.seed_variance import seed_variance
from .commands.supernet import supernet_app
from .commands.train import compare, data, evaluate, recipe, train
from .console.exit_codes import INTERRUPTED
from .resolve.requests import SearchRequest

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


@app.command()
@expand
def search(
    request: SearchRequest,
    given: Given,
    timeout_minutes: TimeoutOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
) -> None:
    """Search a space for the best networks within limits.

    bneck search mobile --data folder:photos --max-macs 60M --max-latency 0.5x

    Without SPACE, search an example: space tiny on the digits that come with scikit-learn, with at most
    500K MACs and a quarter of the latency of MobileNetV3-Small.
    """
    from rich.console import Console

    from ..results.pages.front_table import export_command
    from .commands.front import enqueued_message, print_front, start_message, timeout_message
    from .console.progress import progress
    from .parallel.deadline import Deadline
    from .runner.create import create_run
    from .runner.session import default_workers, run_session
    from .runner.session import resume as resume_run

    deadline = Deadline(timeout_minutes)
    if resume:
        if "space" not in given:
            raise GoalError("--resume needs the run's folder: bneck search RUN --resume")
        given.require_resumable(*RESUMABLE)
        n_trials = request.n_trials if "n_trials" in given else None
        run = resume_run(Path(request.space), n_trials, request.replicates)
    else:
        if "space" not in given and set(request.limits.values()) == {None}:
            request = replace(request, max_macs=EXAMPLE_MAX_MACS, max_latency=EXAMPLE_MAX_LATENCY)
        if request.latency_predictor:
            given.exclude(
                "--latency-predictor", *LATENCY_NAMES, "no_latency_predictor", reason=PREDICTOR_REASON
            )
        if (Path(request.space) / "run.yaml").is_file():
            raise RunError(f"{request.space} is a run; resume it: bneck search {request.space} --resume")
        run = create_run(request)
    display = progress(Console())
    display.print_line(start_message(run))
    if request.enqueue_published:
        display.print_line(enqueued_message(run))
    try:
        run_session(run, workers or default_workers(run), display, deadline)
    except KeyboardInterrupt:
        evaluated = sum(record.is_evaluated for record in run.records())
        typer.echo(
            f"interrupted after {evaluated} of {run.settings.n_trials} networks; resume with:", err=True
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
