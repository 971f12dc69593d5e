"""The command line: core commands, and more of them in a second panel of the help."""

import logging
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from ..search_space import BneckError, GoalError
from ..search_space.faults import explained_faults
from ..search_space.printable import utf8_problem
from .commands import describe, latency, report
from .commands.ablation import ablation
from .commands.compare import compare
from .commands.evaluate import evaluate, predict
from .commands.expand import expand
from .commands.front import diff, front
from .commands.inspect import inspect
from .commands.netadapt import netadapt
from .commands.proxy import proxy
from .commands.search import search
from .commands.seed_variance import seed_variance
from .commands.supernet import supernet
from .commands.train import train
from .console.interrupts import handle_termination
from .console.streams import closed_streams_explained, prepare_streams

Commands = tuple[Callable[..., None], ...]
CORE: Commands = (
    search,
    front,
    diff,
    report.report,
    report.watch,
    report.export,
    predict,
    inspect,
    train,
    evaluate,
    compare,
    latency.latency,
)
MORE: Commands = (ablation, report.dashboard, netadapt, supernet, proxy, seed_variance)
DESCRIBED: Commands = (
    describe.space,
    describe.data,
    describe.recipe,
    describe.pretrained,
    describe.latency_predictor,
    describe.supernet,
)
MORE_PANEL = "More commands"
REPORT_REQUEST = (
    "this is a defect of bneck, or of an evaluator, data set or backend of your own; please report the first "
    "kind to the maintainers with this traceback and the command"
)


def _group(name: str | None, help: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _add(app: typer.Typer, commands: Commands, panel: str | None = None, *, opens_files: bool = True) -> None:
    for command in commands:
        app.command(rich_help_panel=panel)(expand(command, opens_files=opens_files))


app = _group("bneck", "Find the best MobileNet-style networks for your images and your device.")
_add(app, CORE, "Core commands")
describe_app = _group(
    "describe", "Describe a space, data set, recipe, model file or the pretrained networks."
)
_add(describe_app, DESCRIBED, opens_files=False)
describe_app.command("latency-model", hidden=True)(expand(describe.latency_predictor, opens_files=False))
app.add_typer(describe_app, rich_help_panel=MORE_PANEL)
_add(app, MORE, MORE_PANEL)
predictor_app = _group("latency-predictor", "Predict the latency of all networks of a space.")
_add(predictor_app, (latency.build,), opens_files=False)
app.add_typer(predictor_app, rich_help_panel=MORE_PANEL)


def _print_version(given: bool) -> None:
    if given:
        typer.echo(f"bneck {version('bneck')}")
        raise typer.Exit


@app.callback()
def _main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="show the version")
    ] = False,
) -> None: ...


@predictor_app.callback()
def _predictor() -> None:
    """Keep `build` a command of its own."""


def main() -> None:
    """Run the command line; warnings, and an error that the user can resolve, are printed in one line."""
    prepare_streams()
    with closed_streams_explained():
        _run()


def _run() -> None:
    handle_termination()
    if logging.lastResort:
        logging.getLogger("bneck").addHandler(logging.lastResort)  # warnings to stderr
    try:
        for problem in filter(None, map(utf8_problem, sys.argv[1:])):
            raise GoalError(problem)
        with explained_faults():
            app()
    except BneckError as error:
        typer.echo(f"bneck: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        error.add_note(REPORT_REQUEST)
        raise
