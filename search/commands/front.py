"""`bneck front` and `bneck diff`."""

from pathlib import Path
from typing import Annotated

import typer

from ...search_space import GoalError, RunError
from .options import JsonOption, RunArgument, print_json


def front(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of `bneck search`")],
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="draw accuracy against cost, too")] = False,
) -> None:
    """List the Pareto front of a run, or one front over several runs.

    bneck front runs/tiny-digits-1 --json
    bneck front runs/tiny-digits-1 --plot
    bneck front runs/pretrained-photos-1 runs/mobile-32-photos-1
    """
    from ...results import JoinedRuns, Run
    from ...results.analysis.front_posterior import front_posterior_of
    from ...results.analysis.macs_baseline import macs_baseline
    from ...results.export.front_table import front_csv, front_json
    from ...results.text.findings import accuracy_warnings
    from ...results.text.pretrained_baseline import pretrained_baseline
    from ..console.front_table import print_front, print_front_plot

    if as_json and as_csv:
        raise GoalError("--json and --csv exclude each other; choose one")
    if plot and (as_json or as_csv):
        raise GoalError("--plot is for terminals; leave out --json and --csv")
    opened = JoinedRuns.of(runs) if len(runs) > 1 else Run.open(runs[0])
    if not (as_json or as_csv):
        if plot:
            print_front_plot(opened)
        print_front(opened)
        return
    records, completed, goals = opened.front(), opened.completed_records(), opened.settings.goals
    posterior = front_posterior_of(completed, goals)
    if as_json:
        baseline = macs_baseline(completed, records, posterior, goals)
        warnings = accuracy_warnings(opened)
        epochs, pretrained = opened.epochs_spent(), pretrained_baseline(completed)
        typer.echo(front_json(records, posterior, baseline, epochs, goals.reward, warnings, pretrained))
    else:
        typer.echo(front_csv(records, posterior, goals.reward), nl=False)


def diff(
    run: RunArgument,
    other: Annotated[Path, typer.Argument(metavar="RUN2", help="another one")],
    as_json: JsonOption = False,
) -> None:
    """Compare two searches: settings that differ, and what each has on the front over both.

    bneck diff runs/tiny-digits-1 runs/tiny-digits-2
    """
    from ...results import JoinedRuns, Run
    from ...results.analysis.run_difference import differing_settings, run_difference
    from ..console.front_table import print_difference

    first, second = Run.open(run), Run.open(other)
    settings = differing_settings(first, second)
    try:
        difference, obstacle = run_difference(first, second, JoinedRuns.of([first, second])), ""
    except RunError as error:
        difference, obstacle = None, str(error)
    if as_json:
        print_json({"settings": settings, "results": difference and difference.as_dict, "obstacle": obstacle})
    else:
        print_difference(first, second, settings, difference or obstacle)
