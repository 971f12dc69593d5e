"""What the choices do and which genes matter, for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ..analysis.ablation import Effect
from ..analysis.gene_model import ChoiceModel
from ..analysis.importance import Importance, Importances


def choices_dict(model: ChoiceModel, effects: Sequence[Effect], found: Importances) -> dict[str, Any]:
    """For programs. Accuracies in shares of 1, costs relative (0.04 is 4% more), intervals of 90%:

    networks, price             judged networks that the model is of; the cost that accuracy is traded for
    effects: [{place, kind, usual, other, networks, changes: {quantity: {value, low, high}}, beyond, pays}]
                                beyond: accuracy beyond what the same price brings along the front (null: no
                                slope); pays: true, false, or null where that is not told
    importance: {networks, trials, genes, places, kinds}
                                each of these a list of {name, model, fanova}, shares of variance by quantity
    """

    def told(many: Iterable[Importance]) -> list[dict[str, Any]]:
        return [{"name": each.name, "model": dict(each.model), "fanova": dict(each.fanova)} for each in many]

    return {
        "networks": len(model.records),
        "price": model.price,
        "effects": [_effect_dict(effect) for effect in effects],
        "importance": {
            "networks": found.networks,
            "trials": found.trials,
            "genes": told(found.genes),
            "places": told(found.places),
            "kinds": told(found.kinds),
        },
    }


def _effect_dict(effect: Effect) -> dict[str, Any]:
    switch = effect.switch
    return {
        "place": switch.place,
        "kind": switch.kind,
        "usual": switch.usual,
        "other": switch.other,
        "networks": effect.networks,
        "changes": {quantity: asdict(change) for quantity, change in effect.changes.items()},
        "beyond": asdict(effect.beyond) if effect.beyond else None,
        "pays": effect.pays,
    }
