"""`bneck front`."""

from pathlib import Path
from typing import Annotated

import typer

from ...search_space import GoalError
from .options import JsonOption


def front(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of `bneck search`")],
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
) -> None:
    """List the Pareto front of a run, or one front over several runs.

    bneck front runs/tiny-digits-1 --json
    bneck front runs/pretrained-photos-1 runs/mobile-32-photos-1
    """
    from ...results import JoinedRuns, Run
    from ...results.analysis.front_posterior import front_posterior_of
    from ...results.analysis.macs_baseline import macs_baseline
    from ...results.export.front_table import front_csv, front_json
    from ...results.text.findings import accuracy_warnings
    from ..console.front_table import print_front

    if as_json and as_csv:
        raise GoalError("--json and --csv exclude each other; choose one")
    opened = JoinedRuns.of(runs) if len(runs) > 1 else Run.open(runs[0])
    if not (as_json or as_csv):
        print_front(opened)
        return
    records, completed, goals = opened.front(), opened.completed_records(), opened.settings.goals
    posterior = front_posterior_of(completed, goals)
    if as_json:
        baseline = macs_baseline(completed, records, posterior, goals)
        warnings = accuracy_warnings(opened)
        typer.echo(front_json(records, posterior, baseline, opened.epochs_spent(), goals.reward, warnings))
    else:
        typer.echo(front_csv(records, posterior, goals.reward), nl=False)
