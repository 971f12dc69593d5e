"""Values of the report's sections on ablation and gene importance."""

from collections.abc import Sequence
from typing import Any

from ..analysis.ablation import ablation_effects
from ..analysis.gene_model import GeneModel
from ..analysis.importance import gene_importances
from ..plots.ablation import effects_figure, importance_figure
from ..store.search_run import SearchRun
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

_LEFT_PX, _COLUMN_PX = 200, 52


def ablation_values(run: SearchRun, completed: Sequence[Record]) -> dict[str, Any] | None:
    """Effects and importance; with too few networks a note alone, without networks None."""
    if not completed:
        return None
    model = GeneModel.of(run, completed)
    if model is None:
        trained = sum(bool(record.trainings) for record in completed)
        return {"too_few": TOO_FEW_NETWORKS, "trained": trained}
    effects, importances = ablation_effects(model), gene_importances(model)
    effects_map = effects_figure(effects, model.cost_quantity)
    return {
        "statements": statements(effects, model.cost_quantity),
        "undecided": undecided_text(effects),
        "verdicts": verdicts_by_choice(effects),
        "method": method_text(model, max((effect.networks for effect in effects), default=0)),
        "effects_map": effects_map,
        "map_px": _LEFT_PX + _COLUMN_PX * len(effects_map.data[0].x),
        "effect_columns": EFFECT_COLUMNS,
        "effect_rows": [effect_cells(effect) for effect in effects],
        "importance": importance_figure(importances, "accuracy"),
        "importance_note": importance_note(importances),
        "importance_columns": importance_columns(importances),
        "importance_rows": importance_rows(importances),
    }
