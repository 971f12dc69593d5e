"""What a choice does with all else equal: to accuracy, to latency, to MACs and to parameters.

The networks of the best non-dominated ranks by accuracy and cost are taken as they are, but for one
choice in one place: once with the usual value, once with another one. The mean difference is linear in
what the model believes: with weights w and covariance C its variance is w'Cw (see `evaluate.contrast`).

Whether a change pays is told against the front itself. A straight line through the same best networks says
what accuracy a larger network of the usual kind brings for its cost:

    beyond = change of accuracy - slope of accuracy in log cost * change of log cost

That is linear too, so the interval of `beyond` knows how uncertain the slope is. A change that makes a
network dearer and more accurate pays only where it brings more than taking a larger network would.

Intervals are of 90%, as the model sees it: of many changes that do nothing, up to one in ten is told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...evaluate import Objective, Quantity
from ...evaluate.statistics.reliability import Array
from ...search_space import Genes, SearchSpace
from ...search_space.space import BLOCK_GENES, Choice
from ..store.pareto import pareto_front
from ..store.trial import Record
from .gene_model import ChoiceModel

LEAST_BEST, MOST_BEST = 12, 32
ALL_STAGES = "all stages"
_DEVIATIONS = 1.6448536269514722  # of a normal distribution, to either side of 90%
_LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class Change:
    """A difference with its 90% interval, of no width where it is exact."""

    value: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        """Whether its sign is told."""
        return self.low > 0 or self.high < 0

    @property
    def at_least(self) -> float:
        """How far from 0 it surely is; 0 where its sign is not told."""
        return max(0.0, self.low, -self.high)


@dataclass(frozen=True)
class Switch:
    """One choice in one place, from the usual value to another.

    Attributes:
        place: `images`, `stem`, `stage2`, `head` or `all stages`.
        kind: `kernel`, `expansion`, `attention`, ...
        step: the number of the other value among those of the place, from 1.
        genes: that are set, all blocks of a stage together.
    """

    place: str
    kind: str
    usual: Choice
    other: Choice
    step: int
    genes: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What a switch does on the mean.

    Attributes:
        networks: of how many.
        changes: by quantity; accuracy in shares of 1, costs relative to the cost before (0.04 is 4% more).
        beyond: accuracy beyond what the same cost brings along the front; None where that has no slope.
    """

    switch: Switch
    networks: int
    changes: Mapping[Quantity, Change]
    beyond: Change | None

    @property
    def pays(self) -> bool | None:
        """None where that is not told."""
        return self.beyond.value > 0 if self.beyond and self.beyond.told else None


def place_and_kind(gene: str) -> tuple[str, str]:
    """`stage2.block1.kernel` is of `stage2` and `kernel`."""
    place, *_, kind = gene.split(".") if "." in gene else ("images", "resolution")
    return place, kind


def switches(space: SearchSpace) -> list[Switch]:
    """All there are, in the order of the network; then those of block choices in all stages at once."""
    groups: dict[tuple[str, str], list[str]] = {}
    for gene in space.genes:
        groups.setdefault(place_and_kind(gene.name), []).append(gene.name)
    found = [
        Switch(place, kind, usual, other, step, tuple(genes))
        for (place, kind), genes in groups.items()
        for usual, *others in [ordered(space.all_choices[genes[0]])]
        for step, other in enumerate(others, 1)
    ]
    alike: dict[tuple[str, Choice, Choice], list[Switch]] = {}
    for each in found:
        if each.place.startswith("stage") and each.kind in BLOCK_GENES:
            alike.setdefault((each.kind, each.usual, each.other), []).append(each)
    together = [
        Switch(ALL_STAGES, kind, usual, other, same[0].step, tuple(g for each in same for g in each.genes))
        for (kind, usual, other), same in alike.items()
        if len(same) > 1
    ]
    return [*found, *together]


def ordered(choices: Sequence[Choice]) -> list[Choice]:
    """The usual one first: the smallest number; `none`, or the space's first word."""
    if isinstance(choices[0], str):
        return sorted(choices, key=lambda choice: choice != "none")
    return sorted(choices)


def effects_of(model: ChoiceModel) -> list[Effect]:
    """Of every switch that changes any of the best networks."""
    best = [filled(model.space, genes) for genes in best_networks(model)]
    found = (_effect(model, switch, best) for switch in switches(model.space))
    return [effect for effect in found if effect is not None]


def best_networks(model: ChoiceModel) -> list[Genes]:
    """Whole non-dominated ranks by accuracy and `price`, until they are a dozen; of many, some evenly."""
    objectives = (Objective("accuracy"), Objective(model.price))
    own = dict(zip((record.trial for record in model.records), model.genes, strict=True))
    left = [record for record in model.records if model.price != "latency" or record.latency]
    best: list[Record] = []
    while left and len(best) < LEAST_BEST:
        rank = pareto_front(left, objectives)
        best += rank
        taken = {record.trial for record in rank}
        left = [record for record in left if record.trial not in taken]
    best.sort(key=lambda record: (record.value(objectives[1]), record.trial))
    places = np.linspace(0, len(best) - 1, min(len(best), MOST_BEST)).round().astype(int)
    return [own[best[place].trial] for place in places]


def filled(space: SearchSpace, genes: Genes) -> Genes:
    """The same network, whose stages would go on as they end if they were deeper."""
    found = dict(genes)
    for name in genes:
        place, *rest = name.split(".")
        if len(rest) < 2 or space.has_effect(name, genes):
            continue
        depth = int(genes.get(f"{place}.depth", space.all_choices[f"{place}.depth"][0]))
        found[name] = genes.get(f"{place}.block{depth}.{rest[1]}", genes[name])
    return found


def _effect(model: ChoiceModel, switch: Switch, best: Sequence[Genes]) -> Effect | None:
    pairs = [(_with(genes, switch, switch.usual), _with(genes, switch, switch.other)) for genes in best]
    pairs = [pair for pair in pairs if model.network(pair[0]) != model.network(pair[1])]
    if not pairs:
        return None
    before, after = zip(*pairs, strict=True)
    many, share = [*before, *after, *best], 1 / len(pairs)
    weights = np.repeat([-share, share, 0.0], [len(pairs), len(pairs), len(best)])

    def told(quantity: Quantity, *rows: Array) -> list[Change]:
        sums = model.sums(quantity, np.array(rows), many, partial(share_chosen, model.space, switch))
        relative = quantity != "accuracy"
        found = zip(sums.mean, sums.deviation, strict=True)
        return [_change(float(mean), float(deviation), relative) for mean, deviation in found]

    changes: dict[Quantity, Change] = {
        quantity: told(quantity, weights)[0] for quantity in model.quantities if quantity != "accuracy"
    }
    slope, rows = _slope_weights(model.means(model.price, best)), [weights]
    if slope is not None:
        along = slope * math.log1p(changes[model.price].value)
        rows.append(weights - np.concatenate([np.zeros(2 * len(pairs)), along]))
    changes["accuracy"], *beyond = told("accuracy", *rows)
    return Effect(switch, len(pairs), changes, beyond[0] if beyond else None)


def share_chosen(space: SearchSpace, switch: Switch, genes: Genes) -> float:
    """The share of the switch's blocks that are there that have the other value; 0 where none is."""
    there = [genes[gene] == switch.other for gene in switch.genes if space.has_effect(gene, genes)]
    return sum(there) / len(there) if there else 0.0


def _with(genes: Genes, switch: Switch, value: Choice) -> Genes:
    return {**genes, **dict.fromkeys(switch.genes, value)}


def _slope_weights(places: Array) -> Array | None:
    """What makes a weighted sum of heights the slope of their least-squares line; None at one place."""
    apart = places - places.mean()
    squares = float(apart @ apart)
    return apart / squares if squares > _LEAST_SPREAD else None


def _change(mean: float, deviation: float, relative: bool) -> Change:
    """Of a normal distribution; relative if it is of logarithms."""
    found = (mean, mean - _DEVIATIONS * deviation, mean + _DEVIATIONS * deviation)
    return Change(*(math.expm1(each) if relative else each for each in found))
