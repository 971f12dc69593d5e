"""The part of a report that tells what the choices do and which genes matter."""

from collections.abc import Sequence

from plotly.graph_objects import Figure

from ..analysis.ablation import effects_of
from ..analysis.gene_model import ChoiceModel
from ..analysis.importance import importances_of
from ..plots.ablation import effects_figure, importance_figure
from ..store.search_run import Run
from ..store.trial import Record
from ..text.ablation import (
    EFFECT_COLUMNS,
    TOO_FEW,
    answers,
    effect_cells,
    importance_columns,
    importance_note,
    importance_rows,
    method_text,
    statements,
    untold_text,
)
from ..text.formatting import count_of
from .html import Html, facts, joined, plot, table_row, tag

_LEFT_PX, _COLUMN_PX = 200, 52
_MAP = (
    "Points of accuracy that a choice brings in a place, bold and coloured where the 90% interval does not "
    "hold 0; below, what it costs (? is not told); ✓ pays, ✗ does not. Point at a cell for the intervals."
)


def choices_section(run: Run, judged: Sequence[Record]) -> Html:
    """Effects and importance; a line where too few networks were judged."""
    heading = tag("h2", "What the choices do")
    model = ChoiceModel.of(run, judged)
    if model is None:
        trained = sum(bool(record.trainings) for record in judged)
        return (
            joined([heading, tag("p", f"{TOO_FEW}; here are {trained}.", class_="note")])
            if judged
            else Html("")
        )
    effects, found = effects_of(model), importances_of(model)
    most = max((effect.networks for effect in effects), default=0)
    map_of_effects, bars = effects_figure(effects, model.price), importance_figure(found, "accuracy")
    said = statements(effects, model.price)
    return joined(
        [
            heading,
            *([tag("ul", *(tag("li", each) for each in said))] if said else []),
            tag("p", untold_text(effects)),
            facts(answers(effects)),
            tag("p", method_text(model, most), class_="note"),
            tag("p", _MAP, class_="note"),
            _map(map_of_effects),
            _table(
                "all changes with their intervals", EFFECT_COLUMNS, [effect_cells(each) for each in effects]
            ),
            tag("h2", "Which genes matter"),
            tag("p", f"{importance_note(found)} The numbers are ranks.", class_="note"),
            plot(bars, "importance", bars.layout.height),
            _table("all genes", importance_columns(found), importance_rows(found)),
        ]
    )


def _map(figure: Figure) -> Html:
    """As wide as its columns need, to be scrolled where the window is narrower."""
    drawn = plot(figure, "effects", figure.layout.height)
    wide = tag("div", drawn, style=f"min-width: {_LEFT_PX + _COLUMN_PX * len(figure.data[0].x)}px")
    return tag("div", wide, class_="scroll", tabindex="0", role="region", aria_label="effects")


def _table(summary: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    head, body = tag("thead", table_row(columns, "th")), tag("tbody", *(table_row(row) for row in rows))
    table = tag("table", head, body, class_="wide")
    region = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=summary)
    return tag("details", tag("summary", f"{summary} ({count_of(len(rows), 'row')})"), region)
