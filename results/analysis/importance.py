"""Importance of genes for each quantity: total effects by the surrogate, and Optuna's fANOVA.

Total effect: among random feasible networks, one gene (or all genes of a location or type) is resampled with
the others fixed and the constraints satisfied. Half the mean squared change over the variance is the
total-effect index (Jansen's estimator). Interactions count for each gene involved, so indices may add up to
more than 1; with genes made dependent by constraints, also to less.

fANOVA (random forest on the evaluated networks): main effects without interactions. Costs are logarithms.

Sources: Jansen 1999, doi:10.1016/S0010-4655(98)00154-4; Hutter et al. 2014, "An Efficient Approach for
Assessing Hyperparameter Importance", ICML.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...evaluate import Quantity
from ...evaluate.statistics.arrays import Array
from ...search_space import CandidateSpace, Genes
from ...search_space.choices import Choice
from .ablation import location_and_gene_type
from .gene_model import GeneModel

N_NETWORKS = 4000  # approximate number of predictions
N_TREES, MAX_TRIALS = 32, 300
_MIN_SAMPLES, _MAX_SAMPLES = 32, 256
_ATTEMPTS = 8
_SWEEPS = 2
_MIN_VARIANCE = 1e-24


@dataclass(frozen=True)
class Importance:
    """Fractions of variance.

    Attributes:
        name: name of a gene, a location or a gene type.
        total_effect: by quantity.
        fanova: by quantity, for genes only.
    """

    name: str
    total_effect: Mapping[Quantity, float]
    fanova: Mapping[Quantity, float]


@dataclass(frozen=True)
class Importances:
    """Importances of a run, in network order.

    Attributes:
        networks: number of random networks behind the total effects.
        trials: number of evaluated networks given to fANOVA.
    """

    genes: tuple[Importance, ...]
    locations: tuple[Importance, ...]
    gene_types: tuple[Importance, ...]
    networks: int
    trials: int


def gene_importances(model: GeneModel, seed: int = 0) -> Importances:
    """Importances for accuracy, its cost and the other objectives; deterministic for a seed."""
    relevant = {"accuracy", model.cost_quantity, *(each.quantity for each in model.goals.objectives)}
    quantities = [each for each in model.quantities if each in relevant]
    genes = {gene.name: (gene.name,) for gene in model.space.genes}
    locations, gene_types = _groups(model.space)
    groups = {**genes, **locations, **gene_types}
    count = min(_MAX_SAMPLES, max(_MIN_SAMPLES, N_NETWORKS // len(groups)))
    rng = random.Random(seed)
    samples = sample_feasible_networks(model, count, rng)
    effects_by_quantity = total_effects(
        samples,
        groups,
        lambda own, names: resample_genes(model, own, names, rng),
        lambda many: {quantity: model.predict_means(quantity, many) for quantity in quantities},
    )
    fanova_by_quantity = {
        quantity: fanova(model.space, *model.observations(quantity), seed) for quantity in quantities
    }

    def importances(names: Mapping[str, tuple[str, ...]]) -> tuple[Importance, ...]:
        return tuple(
            Importance(
                name,
                {quantity: value_by_name[name] for quantity, value_by_name in effects_by_quantity.items()},
                {
                    quantity: value_by_name[name]
                    for quantity, value_by_name in fanova_by_quantity.items()
                    if name in value_by_name
                },
            )
            for name in names
        )

    trials = min(len(model.records), MAX_TRIALS)
    return Importances(
        importances(genes), importances(locations), importances(gene_types), len(samples), trials
    )


def total_effects(
    networks: Sequence[Genes],
    groups: Mapping[str, tuple[str, ...]],
    resample: Callable[[Genes, tuple[str, ...]], Genes],
    values: Callable[[Sequence[Genes]], Mapping[Quantity, Array]],
) -> dict[Quantity, dict[str, float]]:
    """Total-effect index of each group of genes (Jansen's estimator).

    Args:
        groups: genes by group name.
        resample: resamples some genes of a network.
        values: predicts the quantities of networks.
    Returns:
        Index by quantity and group; 0 for a constant quantity.
    """
    all_networks = [*networks, *(resample(own, names) for names in groups.values() for own in networks)]
    numbers: dict[tuple[Choice, ...], int] = {}
    rows = np.array([numbers.setdefault(tuple(own.values()), len(numbers)) for own in all_networks])
    unique_networks = [dict(zip(networks[0], choices, strict=True)) for choices in numbers]
    indices: dict[Quantity, dict[str, float]] = {}
    for quantity, each in values(unique_networks).items():
        table = each[rows].reshape(1 + len(groups), len(networks))
        variance = float(table.var())
        squares = ((table[1:] - table[0]) ** 2).mean(1) / 2
        fractions = squares / variance if variance > _MIN_VARIANCE else np.zeros(len(groups))
        indices[quantity] = dict(zip(groups, fractions.tolist(), strict=True))
    return indices


def sample_feasible_networks(model: GeneModel, count: int, rng: random.Random) -> list[Genes]:
    """Random feasible networks: independent without constraints, else by Gibbs sampling.

    The chains start at evaluated networks and sweep over all genes `_SWEEPS` times.
    """
    if not model.goals.constraints:
        return [model.space.sample(rng) for _ in range(count)]
    names = [gene.name for gene in model.space.genes]
    networks = []
    for number in range(count):
        own = model.genes[number * len(model.genes) // count]
        for _ in range(_SWEEPS):
            rng.shuffle(names)
            for name in names:
                own = resample_genes(model, own, (name,), rng)
        networks.append(own)
    return networks


def resample_genes(model: GeneModel, genes: Genes, names: tuple[str, ...], rng: random.Random) -> Genes:
    """Resample some genes, subject to the constraints; unchanged after `_ATTEMPTS` infeasible draws."""
    space = model.space
    choices = {name: space.all_choices[name] for name in names}
    for _ in range(_ATTEMPTS):
        candidate = {**genes, **{name: rng.choice(each) for name, each in choices.items()}}
        if not any(space.is_active(name, candidate) for name in names):
            return genes
        if model.is_feasible(candidate):
            return candidate
    return genes


def fanova(space: CandidateSpace, genes: Sequence[Genes], values: Array, seed: int = 0) -> dict[str, float]:
    """Main effect of each gene by Optuna's fANOVA; empty for constant values."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.importance import FanovaImportanceEvaluator

    indices = np.linspace(0, len(genes) - 1, min(len(genes), MAX_TRIALS)).round().astype(int)
    if len(indices) < 2 or np.ptp(values[indices]) == 0:
        return {}
    study = optuna.create_study()
    distributions: dict[str, BaseDistribution] = {
        gene.name: CategoricalDistribution(gene.choices) for gene in space.genes
    }
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=genes[index], distributions=distributions, value=float(values[index])
            )
            for index in indices
        ]
    )
    importances = FanovaImportanceEvaluator(n_trees=N_TREES, seed=seed).evaluate(study)
    return {gene.name: float(importances.get(gene.name, 0.0)) for gene in space.genes}


def _groups(space: CandidateSpace) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Genes by location and by gene type."""
    locations: dict[str, tuple[str, ...]] = {}
    gene_types: dict[str, tuple[str, ...]] = {}
    for gene in space.genes:
        location, gene_type = location_and_gene_type(gene.name)
        locations[location] = (*locations.get(location, ()), gene.name)
        gene_types[gene_type] = (*gene_types.get(gene_type, ()), gene.name)
    return locations, gene_types
