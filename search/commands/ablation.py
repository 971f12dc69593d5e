"""`bneck ablation`."""

from typing import TYPE_CHECKING

from ...search_space import RunError
from .options import JsonOption, RunArgument, print_json

if TYPE_CHECKING:
    from ...results.analysis.ablation import Effect
    from ...results.analysis.gene_model import GeneModel
    from ...results.analysis.importance import Importances


def ablation(
    run: RunArgument,
    as_json: JsonOption = False,
) -> None:
    """Estimate the effect of each choice and gene.

    bneck ablation runs/tiny-digits-1 --json
    """
    from ...results import Run
    from ...results.analysis.ablation import ablation_effects
    from ...results.analysis.gene_model import GeneModel
    from ...results.analysis.importance import gene_importances
    from ...results.export.ablation import ablation_dict
    from ...results.text.ablation import TOO_FEW_NETWORKS

    opened = Run.open(run)
    completed = opened.completed_records()
    model = GeneModel.of(opened, completed)
    if model is None:
        trained = sum(bool(record.trainings) for record in completed)
        raise RunError(
            f"{run}: {TOO_FEW_NETWORKS[0].lower()}{TOO_FEW_NETWORKS[1:]}, got {trained}; "
            f"{opened.resume_command}"
        )
    ablation, importances = ablation_effects(model), gene_importances(model)
    if as_json:
        print_json(ablation_dict(model, ablation, importances))
    else:
        _print(model, ablation, importances)


def _print(model: "GeneModel", ablation: "list[Effect]", importances: "Importances") -> None:
    """Print the tables of effects and importance, then the conclusions and the method."""
    from ...results.text import ablation as ablation_text
    from ..console.tables import plain_table, wide_console

    console = wide_console()

    def print_line(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def table(columns: list[str], rows: list[list[str]], left: tuple[str, ...]) -> None:
        rich_table = plain_table(*columns, left=left)
        for row in rows:
            rich_table.add_row(*row)
        console.print(rich_table, markup=False)

    columns = list(ablation_text.EFFECT_COLUMNS)
    table(columns, [ablation_text.effect_cells(effect) for effect in ablation], tuple(columns[:2]))
    table(
        ablation_text.importance_columns(importances), ablation_text.importance_rows(importances), ("gene",)
    )
    for line in ablation_text.statements(ablation, model.cost_quantity):
        print_line(line)
    for name, where in ablation_text.verdicts_by_choice(ablation):
        print_line(f"{name} {where}.")
    print_line(ablation_text.undecided_text(ablation))
    print_line(ablation_text.method_text(model, max((effect.networks for effect in ablation), default=0)))
    print_line(ablation_text.importance_note(importances))
