"""Ablation: effect of a single choice on accuracy, latency, MACs and parameters, all else equal.

The networks of the best non-dominated ranks by accuracy and cost are compared in pairs: one choice in one
location has its baseline value or an alternative, all other genes are unchanged. The mean difference is a
linear contrast of the model's predictions: with weights w and posterior covariance C its variance is w'Cw
(see `evaluate.surrogate.linear_contrasts`).

The reference for a change is the front. A least-squares line through the same best networks gives the
accuracy that additional cost buys:

    delta_vs_front = change of accuracy - slope of accuracy in log cost * change of log cost

This is linear too, so the interval of `delta_vs_front` includes the uncertainty of the slope. A change that
increases both cost and accuracy is above the front only if it gains more than a larger network would.

Intervals are 90% posterior intervals, not corrected for multiple comparisons: expect about 10% false
positives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...evaluate import Objective, Quantity
from ...evaluate.statistics.arrays import Array
from ...search_space import CandidateSpace, Genes
from ...search_space.choices import BLOCK_GENES, Choice
from ..store.pareto import pareto_front
from ..store.trial import Record
from .gene_model import GeneModel

MIN_BEST_NETWORKS, MAX_BEST_NETWORKS = 12, 32
ALL_STAGES = "all stages"
_Z90 = 1.6448536269514722  # two-sided 90% quantile of the standard normal distribution
_MIN_SPREAD = 1e-9


@dataclass(frozen=True)
class EffectEstimate:
    """A difference with its 90% interval; the interval of an exact difference has zero width."""

    value: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    @property
    def min_magnitude(self) -> float:
        """Smallest magnitude in the interval; 0 if it includes 0."""
        return max(0.0, self.low, -self.high)


@dataclass(frozen=True)
class GeneChange:
    """A switch of one choice in one location from its baseline to an alternative.

    Attributes:
        location: `images`, `weights`, `stem`, `stage2`, `head` or `all stages`.
        gene_type: `kernel`, `expansion`, `attention`, ...
        step: index of the alternative among those of the location, from 1.
        genes: names of the genes that are set; all blocks of a stage together.
    """

    location: str
    gene_type: str
    baseline: Choice
    alternative: Choice
    step: int
    genes: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """Mean effect of a gene change.

    Attributes:
        networks: number of network pairs.
        changes: by quantity; accuracy as a fraction, costs relative to the baseline (0.04 is 4% more).
        delta_vs_front: accuracy gain minus the gain of the same cost along the front, as a fraction; None if
            the front has no slope.
    """

    gene_change: GeneChange
    networks: int
    changes: Mapping[Quantity, EffectEstimate]
    delta_vs_front: EffectEstimate | None

    @property
    def above_front(self) -> bool | None:
        """Whether the change is above the front; None if undecided."""
        return (
            self.delta_vs_front.value > 0
            if self.delta_vs_front and self.delta_vs_front.is_significant
            else None
        )


_WHOLE_NETWORK_GENES = {
    "resolution_px": ("images", "resolution"),
    "parent": ("weights", "pretrained network"),
    "tuned": ("weights", "tuned part"),
    "dropped_blocks": ("weights", "dropped blocks"),
    "dropped_stages": ("weights", "dropped stages"),
}


def location_and_gene_type(gene: str) -> tuple[str, str]:
    """Location and gene type of a gene: `stage2` and `kernel` for `stage2.block1.kernel`."""
    if gene in _WHOLE_NETWORK_GENES:
        return _WHOLE_NETWORK_GENES[gene]
    location, *_, gene_type = gene.split(".")
    return location, gene_type


def gene_changes(space: CandidateSpace) -> list[GeneChange]:
    """All gene changes of a space in network order, then block choices in all stages together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for gene in space.genes:
        groups.setdefault(location_and_gene_type(gene.name), []).append(gene.name)
    per_location = [
        GeneChange(location, gene_type, baseline, alternative, step, tuple(genes))
        for (location, gene_type), genes in groups.items()
        for baseline, *others in [baseline_first(space.all_choices[genes[0]])]
        for step, alternative in enumerate(others, 1)
    ]
    by_choice: dict[tuple[str, Choice, Choice], list[GeneChange]] = {}
    for each in per_location:
        if each.location.startswith("stage") and each.gene_type in BLOCK_GENES:
            by_choice.setdefault((each.gene_type, each.baseline, each.alternative), []).append(each)
    all_stages_changes = [
        GeneChange(
            ALL_STAGES,
            gene_type,
            baseline,
            alternative,
            same[0].step,
            tuple(g for each in same for g in each.genes),
        )
        for (gene_type, baseline, alternative), same in by_choice.items()
        if len(same) > 1
    ]
    return [*per_location, *all_stages_changes]


def baseline_first(choices: Sequence[Choice]) -> list[Choice]:
    """Choices with the baseline first: the smallest number, `none`, or the first name of the space."""
    if isinstance(choices[0], str):
        return sorted(choices, key=lambda choice: choice != "none")
    return sorted(choices)


def ablation_effects(model: GeneModel) -> list[Effect]:
    """Effect of every gene change that alters at least one of the best networks."""
    best = [fill_inactive_genes(model.space, genes) for genes in best_networks(model)]
    effects = (_ablation_effect(model, gene_change, best) for gene_change in gene_changes(model.space))
    return [effect for effect in effects if effect is not None]


def best_networks(model: GeneModel) -> list[Genes]:
    """Networks of the best non-dominated ranks by accuracy and `cost_quantity`.

    Whole ranks are added until there are `MIN_BEST_NETWORKS`; above `MAX_BEST_NETWORKS` an even subset.
    """
    objectives = (Objective("accuracy"), Objective(model.cost_quantity))
    genes_by_trial = dict(zip((record.trial for record in model.records), model.genes, strict=True))
    remaining = [record for record in model.records if model.cost_quantity != "latency" or record.latency]
    best: list[Record] = []
    while remaining and len(best) < MIN_BEST_NETWORKS:
        rank = pareto_front(remaining, objectives)
        best += rank
        taken = {record.trial for record in rank}
        remaining = [record for record in remaining if record.trial not in taken]
    best.sort(key=lambda record: (record.value(objectives[1]), record.trial))
    indices = np.linspace(0, len(best) - 1, min(len(best), MAX_BEST_NETWORKS)).round().astype(int)
    return [genes_by_trial[best[index].trial] for index in indices]


def fill_inactive_genes(space: CandidateSpace, genes: Genes) -> Genes:
    """The same network; inactive blocks copy the last active block of their stage."""
    completed = dict(genes)
    for name in genes:
        location, *rest = name.split(".")
        if len(rest) < 2 or space.is_active(name, genes):
            continue
        depth = int(genes.get(f"{location}.depth", space.all_choices[f"{location}.depth"][0]))
        completed[name] = genes.get(f"{location}.block{depth}.{rest[1]}", genes[name])
    return completed


def _ablation_effect(model: GeneModel, gene_change: GeneChange, best: Sequence[Genes]) -> Effect | None:
    pairs = [
        (
            _with_choice(genes, gene_change, gene_change.baseline),
            _with_choice(genes, gene_change, gene_change.alternative),
        )
        for genes in best
    ]
    pairs = [pair for pair in pairs if model.network(pair[0]) != model.network(pair[1])]
    if not pairs:
        return None
    before, after = zip(*pairs, strict=True)
    networks, weight = [*before, *after, *best], 1 / len(pairs)
    weights = np.repeat([-weight, weight, 0.0], [len(pairs), len(pairs), len(best)])

    def estimate(quantity: Quantity, *rows: Array) -> list[EffectEstimate]:
        contrasts = model.contrast_posterior(
            quantity, np.array(rows), networks, partial(alternative_fraction, model.space, gene_change)
        )
        relative = quantity != "accuracy"
        moments = zip(contrasts.mean, contrasts.std, strict=True)
        return [_interval90(float(mean), float(std), relative) for mean, std in moments]

    changes: dict[Quantity, EffectEstimate] = {
        quantity: estimate(quantity, weights)[0] for quantity in model.quantities if quantity != "accuracy"
    }
    slope, rows = _slope_weights(model.predict_means(model.cost_quantity, best)), [weights]
    if slope is not None:
        along = slope * math.log1p(changes[model.cost_quantity].value)
        rows.append(weights - np.concatenate([np.zeros(2 * len(pairs)), along]))
    changes["accuracy"], *delta_vs_front = estimate("accuracy", *rows)
    return Effect(gene_change, len(pairs), changes, delta_vs_front[0] if delta_vs_front else None)


def alternative_fraction(space: CandidateSpace, gene_change: GeneChange, genes: Genes) -> float:
    """Fraction of the active genes of a change that have the alternative; 0 if none is active."""
    has_alternative = [
        genes[gene] == gene_change.alternative for gene in gene_change.genes if space.is_active(gene, genes)
    ]
    return sum(has_alternative) / len(has_alternative) if has_alternative else 0.0


def _with_choice(genes: Genes, gene_change: GeneChange, value: Choice) -> Genes:
    return {**genes, **dict.fromkeys(gene_change.genes, value)}


def _slope_weights(x: Array) -> Array | None:
    """Weights `w` such that `w @ y` is the least-squares slope of `y` on `x`; None for a constant `x`."""
    centered = x - x.mean()
    squares = float(centered @ centered)
    return centered / squares if squares > _MIN_SPREAD else None


def _interval90(mean: float, std: float, relative: bool) -> EffectEstimate:
    """Mean and 90% interval of a normal distribution; `relative`: of a difference of logarithms."""
    bounds = (mean, mean - _Z90 * std, mean + _Z90 * std)
    return EffectEstimate(*(math.expm1(each) if relative else each for each in bounds))
