"""The command line of what the choices do: `bneck effects`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...search_space import RunError
from .options import JsonOption

if TYPE_CHECKING:
    from ...results.analysis.ablation import Effect
    from ...results.analysis.gene_model import ChoiceModel
    from ...results.analysis.importance import Importances


def effects(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a folder that `bneck search` made")],
    as_json: JsonOption = False,
) -> None:
    """Tell what each choice does in each place, whether it pays, and which genes matter.

    bneck effects runs/tiny-digits-1 --json
    """
    from ...results import Run
    from ...results.analysis.ablation import effects_of
    from ...results.analysis.gene_model import ChoiceModel
    from ...results.analysis.importance import importances_of
    from ...results.export.ablation import choices_dict
    from ...results.text.ablation import TOO_FEW

    opened = Run.open(run)
    judged = opened.kept()
    model = ChoiceModel.of(opened, judged)
    if model is None:
        trained = sum(bool(record.trainings) for record in judged)
        raise RunError(
            f"{run}: {TOO_FEW[0].lower()}{TOO_FEW[1:]}, got {trained}; bneck search {run} --resume"
        )
    found, importances = effects_of(model), importances_of(model)
    if as_json:
        typer.echo(json.dumps(choices_dict(model, found, importances), indent=2))
    else:
        _print(model, found, importances)


def _print(model: "ChoiceModel", found: "list[Effect]", importances: "Importances") -> None:
    """What is told, the tables of effects and of importance, and how they were found."""
    from ...results.text import ablation as told
    from .front import plain_table, wide_console

    console = wide_console()

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def table(columns: list[str], rows: list[list[str]], left: tuple[str, ...]) -> None:
        drawn = plain_table(*columns, left=left)
        for row in rows:
            drawn.add_row(*row)
        console.print(drawn, markup=False)

    columns = list(told.EFFECT_COLUMNS)
    table(columns, [told.effect_cells(effect) for effect in found], tuple(columns[:2]))
    table(told.importance_columns(importances), told.importance_rows(importances), ("gene",))
    for line in told.statements(found, model.price):
        say(line)
    for name, where in told.answers(found):
        say(f"{name} {where}.")
    say(told.untold_text(found))
    say(told.method_text(model, max((effect.networks for effect in found), default=0)))
    say(told.importance_note(importances))
