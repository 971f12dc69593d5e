"""The part of a report that tells what the choices do and which genes matter."""

from collections.abc import Sequence

from plotly.graph_objects import Figure

from ..analysis.ablation import ablation_effects
from ..analysis.gene_model import GeneModel
from ..analysis.importance import gene_importances
from ..plots.ablation import effects_figure, importance_figure
from ..store.search_run import Run
from ..store.trial import Record
from ..text.ablation import (
    EFFECT_COLUMNS,
    TOO_FEW_NETWORKS,
    effect_cells,
    importance_columns,
    importance_note,
    importance_rows,
    method_text,
    statements,
    undecided_text,
    verdicts_by_choice,
)
from ..text.formatting import pluralize
from .html import Html, facts, joined, plot, table_row, tag

_LEFT_PX, _COLUMN_PX = 200, 52
_MAP = (
    "Points of accuracy that a choice brings in a place, bold and coloured where the 90% interval does not "
    "hold 0; below, what it costs (? is not told); ✓ pays, ✗ does not. Point at a cell for the intervals."
)


def ablation_section(run: Run, completed: Sequence[Record]) -> Html:
    """Effects and importance; a line where too few networks were judged."""
    heading = tag("h2", "Ablation")
    model = GeneModel.of(run, completed)
    if model is None:
        trained = sum(bool(record.trainings) for record in completed)
        return (
            joined([heading, tag("p", f"{TOO_FEW_NETWORKS}; here are {trained}.", class_="note")])
            if completed
            else Html("")
        )
    effects, importances = ablation_effects(model), gene_importances(model)
    n_networks = max((effect.networks for effect in effects), default=0)
    map_of_effects, bars = (
        effects_figure(effects, model.cost_quantity),
        importance_figure(importances, "accuracy"),
    )
    sentences = statements(effects, model.cost_quantity)
    return joined(
        [
            heading,
            *([tag("ul", *(tag("li", each) for each in sentences))] if sentences else []),
            tag("p", undecided_text(effects)),
            facts(verdicts_by_choice(effects)),
            tag("p", method_text(model, n_networks), class_="note"),
            tag("p", _MAP, class_="note"),
            _map(map_of_effects),
            _table(
                "all changes with their intervals", EFFECT_COLUMNS, [effect_cells(each) for each in effects]
            ),
            tag("h2", "Gene importance"),
            tag("p", f"{importance_note(importances)} The numbers are ranks.", class_="note"),
            plot(bars, "importance", bars.layout.height),
            _table("all genes", importance_columns(importances), importance_rows(importances)),
        ]
    )


def _map(figure: Figure) -> Html:
    """As wide as its columns need, to be scrolled where the window is narrower."""
    drawn = plot(figure, "ablation", figure.layout.height)
    wide = tag("div", drawn, style=f"min-width: {_LEFT_PX + _COLUMN_PX * len(figure.data[0].x)}px")
    return tag("div", wide, class_="scroll", tabindex="0", role="region", aria_label="ablation")


def _table(summary: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    head, body = tag("thead", table_row(columns, "th")), tag("tbody", *(table_row(row) for row in rows))
    table = tag("table", head, body, class_="wide")
    region = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=summary)
    return tag("details", tag("summary", f"{summary} ({pluralize(len(rows), 'row')})"), region)
