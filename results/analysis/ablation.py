"""What a choice does with all else equal: to accuracy, to latency, to MACs and to parameters.

The networks of the best non-dominated ranks by accuracy and cost are taken as they are, but for one
choice in one place: once with the usual value, once with another one. The mean difference is linear in
what the model believes: with weights w and covariance C its variance is w'Cw (see
`evaluate.surrogate.linear_contrasts`).

Whether a change pays is told against the front itself. A straight line through the same best networks says
what accuracy a larger network of the usual kind brings for its cost:

    delta_vs_front = change of accuracy - slope of accuracy in log cost * change of log cost

That is linear too, so the interval of `delta_vs_front` knows how uncertain the slope is. A change that
makes a network dearer and more accurate pays only where it brings more than taking a larger network would.

Intervals are of 90%, as the model sees it: of many changes that do nothing, up to one in ten is told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...evaluate import Objective, Quantity
from ...evaluate.statistics.arrays import Array
from ...search_space import Genes, SearchSpace
from ...search_space.choices import BLOCK_GENES, Choice
from ..store.pareto import pareto_front
from ..store.trial import Record
from .gene_model import GeneModel

MIN_BEST_NETWORKS, MAX_BEST_NETWORKS = 12, 32
ALL_STAGES = "all stages"
_Z90 = 1.6448536269514722  # of a normal distribution, to either side of 90%
_MIN_SPREAD = 1e-9


@dataclass(frozen=True)
class EffectEstimate:
    """A difference with its 90% interval, of no width where it is exact."""

    value: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether its sign is told."""
        return self.low > 0 or self.high < 0

    @property
    def min_magnitude(self) -> float:
        """How far from 0 it surely is; 0 where its sign is not told."""
        return max(0.0, self.low, -self.high)


@dataclass(frozen=True)
class GeneChange:
    """One choice in one place, from the usual value to another.

    Attributes:
        location: `images`, `stem`, `stage2`, `head` or `all stages`.
        gene_type: `kernel`, `expansion`, `attention`, ...
        step: the number of the other value among those of the place, from 1.
        genes: that are set, all blocks of a stage together.
    """

    location: str
    gene_type: str
    baseline: Choice
    alternative: Choice
    step: int
    genes: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What a switch does on the mean.

    Attributes:
        networks: of how many.
        changes: by quantity; accuracy in shares of 1, costs relative to the cost before (0.04 is 4% more).
        delta_vs_front: accuracy beyond what the same cost brings along the front; None where that has no
            slope.
    """

    gene_change: GeneChange
    networks: int
    changes: Mapping[Quantity, EffectEstimate]
    delta_vs_front: EffectEstimate | None

    @property
    def above_front(self) -> bool | None:
        """None where that is not told."""
        return (
            self.delta_vs_front.value > 0
            if self.delta_vs_front and self.delta_vs_front.is_significant
            else None
        )


def location_and_gene_type(gene: str) -> tuple[str, str]:
    """`stage2.block1.kernel` is of `stage2` and `kernel`."""
    location, *_, gene_type = gene.split(".") if "." in gene else ("images", "resolution")
    return location, gene_type


def gene_changes(space: SearchSpace) -> list[GeneChange]:
    """All there are, in the order of the network; then those of block choices in all stages at once."""
    groups: dict[tuple[str, str], list[str]] = {}
    for gene in space.genes:
        groups.setdefault(location_and_gene_type(gene.name), []).append(gene.name)
    per_place = [
        GeneChange(location, gene_type, baseline, alternative, step, tuple(genes))
        for (location, gene_type), genes in groups.items()
        for baseline, *others in [baseline_first(space.all_choices[genes[0]])]
        for step, alternative in enumerate(others, 1)
    ]
    by_choice: dict[tuple[str, Choice, Choice], list[GeneChange]] = {}
    for each in per_place:
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
    return [*per_place, *all_stages_changes]


def baseline_first(choices: Sequence[Choice]) -> list[Choice]:
    """The usual one first: the smallest number; `none`, or the space's first word."""
    if isinstance(choices[0], str):
        return sorted(choices, key=lambda choice: choice != "none")
    return sorted(choices)


def ablation_effects(model: GeneModel) -> list[Effect]:
    """Of every switch that changes any of the best networks."""
    best = [fill_inactive_genes(model.space, genes) for genes in best_networks(model)]
    effects = (_ablation_effect(model, gene_change, best) for gene_change in gene_changes(model.space))
    return [effect for effect in effects if effect is not None]


def best_networks(model: GeneModel) -> list[Genes]:
    """Whole non-dominated ranks by accuracy and `cost_quantity`, until a dozen; of many, some evenly."""
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


def fill_inactive_genes(space: SearchSpace, genes: Genes) -> Genes:
    """The same network, whose stages would go on as they end if they were deeper."""
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
    networks, share = [*before, *after, *best], 1 / len(pairs)
    weights = np.repeat([-share, share, 0.0], [len(pairs), len(pairs), len(best)])

    def estimate(quantity: Quantity, *rows: Array) -> list[EffectEstimate]:
        contrasts = model.contrast_posterior(
            quantity, np.array(rows), networks, partial(alternative_fraction, model.space, gene_change)
        )
        relative = quantity != "accuracy"
        moments = zip(contrasts.mean, contrasts.std, strict=True)
        return [_change(float(mean), float(std), relative) for mean, std in moments]

    changes: dict[Quantity, EffectEstimate] = {
        quantity: estimate(quantity, weights)[0] for quantity in model.quantities if quantity != "accuracy"
    }
    slope, rows = _slope_weights(model.predict_means(model.cost_quantity, best)), [weights]
    if slope is not None:
        along = slope * math.log1p(changes[model.cost_quantity].value)
        rows.append(weights - np.concatenate([np.zeros(2 * len(pairs)), along]))
    changes["accuracy"], *delta_vs_front = estimate("accuracy", *rows)
    return Effect(gene_change, len(pairs), changes, delta_vs_front[0] if delta_vs_front else None)


def alternative_fraction(space: SearchSpace, gene_change: GeneChange, genes: Genes) -> float:
    """The share of the switch's blocks that are there that have the other value; 0 where none is."""
    has_alternative = [
        genes[gene] == gene_change.alternative for gene in gene_change.genes if space.is_active(gene, genes)
    ]
    return sum(has_alternative) / len(has_alternative) if has_alternative else 0.0


def _with_choice(genes: Genes, gene_change: GeneChange, value: Choice) -> Genes:
    return {**genes, **dict.fromkeys(gene_change.genes, value)}


def _slope_weights(places: Array) -> Array | None:
    """What makes a weighted sum of heights the slope of their least-squares line; None at one place."""
    centered = places - places.mean()
    squares = float(centered @ centered)
    return centered / squares if squares > _MIN_SPREAD else None


def _change(mean: float, std: float, relative: bool) -> EffectEstimate:
    """Of a normal distribution; relative if it is of logarithms."""
    bounds = (mean, mean - _Z90 * std, mean + _Z90 * std)
    return EffectEstimate(*(math.expm1(each) if relative else each for each in bounds))
