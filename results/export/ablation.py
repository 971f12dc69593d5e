"""Ablation and gene importance as plain values."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ..analysis.ablation import Effect
from ..analysis.gene_model import GeneModel
from ..analysis.importance import Importance, Importances


def ablation_dict(model: GeneModel, effects: Sequence[Effect], importances: Importances) -> dict[str, Any]:
    """The output of `bneck ablation --json`.

    Accuracies are fractions, costs are relative (0.04 is 4% more), intervals have 90% confidence:

    networks, cost_quantity     networks that the surrogate is fitted to; the cost traded for accuracy
    ablation: [{location, gene_type, baseline, alternative, networks,
                changes: {quantity: {value, low, high}}, delta_vs_front, above_front}]
                                delta_vs_front: accuracy change relative to the front at equal cost
                                (null without a slope); above_front: true, false, or null if not significant
    importance: {networks, trials, genes, locations, gene_types}
                                genes, locations and gene_types are lists of {name, total_effect, fanova},
                                fractions of the variance by quantity
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
