"""`bneck front`."""

from typing import Annotated

import typer

from ...search_space import GoalError
from .options import JsonOption, RunArgument


def front(
    run: RunArgument,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
) -> None:
    """List the Pareto front of a run.

    bneck front runs/tiny-digits-1 --json
    """
    from ...results import Run
    from ...results.export.front_table import front_csv, front_json
    from ..console.front_table import front_posterior_and_baseline, print_front

    if as_json and as_csv:
        raise GoalError("--json and --csv exclude each other; choose one")
    opened = Run.open(run)
    if not (as_json or as_csv):
        print_front(opened)
        return
    reward, (posterior, baseline) = opened.settings.goals.reward, front_posterior_and_baseline(opened)
    if as_json:
        typer.echo(front_json(opened.front(), posterior, baseline, opened.epochs_spent(), reward))
    else:
        typer.echo(front_csv(opened.front(), posterior, reward), nl=False)
