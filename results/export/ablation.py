"""What the choices do and which genes matter, for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ..analysis.ablation import Effect
from ..analysis.gene_model import GeneModel
from ..analysis.importance import Importance, Importances


def ablation_dict(model: GeneModel, effects: Sequence[Effect], importances: Importances) -> dict[str, Any]:
    """For programs. Accuracies in shares of 1, costs relative (0.04 is 4% more), intervals of 90%:

    networks, cost_quantity     judged networks that the model is of; the cost that accuracy is traded for
    ablation: [{location, gene_type, baseline, alternative, networks,
                changes: {quantity: {value, low, high}}, delta_vs_front, above_front}]
                                delta_vs_front: accuracy beyond what the same cost brings along the front
                                (null: no slope); above_front: true, false, or null where that is not told
    importance: {networks, trials, genes, locations, gene_types}
                                genes, locations and gene_types are lists of {name, total_effect, fanova},
                                shares of variance by quantity
    """

    def as_rows(many: Iterable[Importance]) -> list[dict[str, Any]]:
        return [
            {"name": each.name, "total_effect": dict(each.total_effect), "fanova": dict(each.fanova)}
            for each in many
        ]

    return {
        "networks": len(model.records),
        "cost_quantity": model.cost_quantity,
        "ablation": [_effect_dict(effect) for effect in effects],
        "importance": {
            "networks": importances.networks,
            "trials": importances.trials,
            "genes": as_rows(importances.genes),
            "locations": as_rows(importances.locations),
            "gene_types": as_rows(importances.gene_types),
        },
    }


def _effect_dict(effect: Effect) -> dict[str, Any]:
    gene_change = effect.gene_change
    return {
        "location": gene_change.location,
        "gene_type": gene_change.gene_type,
        "baseline": gene_change.baseline,
        "alternative": gene_change.alternative,
        "networks": effect.networks,
        "changes": {quantity: asdict(change) for quantity, change in effect.changes.items()},
        "delta_vs_front": asdict(effect.delta_vs_front) if effect.delta_vs_front else None,
        "above_front": effect.above_front,
    }
