"""Ablation and importances as sentences and table cells."""

from collections.abc import Iterable, Sequence

from ...evaluate import Quantity
from ...search_space.choices import Choice
from ..analysis.ablation import Effect, EffectEstimate, GeneChange
from ..analysis.gene_model import MIN_NETWORKS, GeneModel
from ..analysis.importance import MAX_TRIALS, Importance, Importances
from .formatting import pluralize

MAX_STATEMENTS = 6
TOO_FEW_NETWORKS = f"Ablation needs at least {MIN_NETWORKS} trained networks"
EFFECT_COLUMNS = (
    "location",
    "change",
    "accuracy, pp",
    "latency",
    "MACs",
    "params",
    "delta vs front",
    "above front",
)
_VALUES = {"se": "SE", "eca": "ECA", "relu": "ReLU", "relu6": "ReLU6", "hardswish": "h-swish", "silu": "SiLU"}
_GENE_TYPE_NAMES = {"out": "channels", "hidden": "hidden layer"}
_COSTS: dict[Quantity, str] = {"latency": "latency", "macs": "MACs", "params": "parameters"}
_NAMED = ("kernel", "attention", "activation")  # their values are clear without the gene type
_ABOVE_FRONT_TEXT = {True: "yes", False: "no", None: "undecided"}
_VERDICTS = {True: "above the front", False: "below the front", None: "undecided"}


def value_name(gene_type: str, value: Choice) -> str:
    """`5×5`, `SE`, `h-swish`, `24`."""
    return f"{value}×{value}" if gene_type == "kernel" else _VALUES.get(str(value), str(value))


def gene_type_name(gene_type: str) -> str:
    return _GENE_TYPE_NAMES.get(gene_type, gene_type)


def location_name(location: str) -> str:
    """`stage2` is `stage 2`."""
    return location.replace("stage", "stage ") if location.startswith("stage") else location


def choice_text(gene_change: GeneChange) -> str:
    """`kernel 3×3 → 5×5`."""
    baseline, alternative = (
        value_name(gene_change.gene_type, value) for value in (gene_change.baseline, gene_change.alternative)
    )
    return f"{gene_type_name(gene_change.gene_type)} {baseline} → {alternative}"


def gene_change_text(gene_change: GeneChange) -> str:
    """`SE in stage 3`, `5×5 for 3×3 in the stem`, `expansion 2 → 6 in all stages`."""
    baseline, alternative = (
        value_name(gene_change.gene_type, value) for value in (gene_change.baseline, gene_change.alternative)
    )
    if gene_change.gene_type in _NAMED:
        text = alternative if gene_change.baseline == "none" else f"{alternative} for {baseline}"
    else:
        text = choice_text(gene_change)
    is_whole = gene_change.location in ("images", "weights")
    return text if is_whole else f"{text} in {_with_article(gene_change.location)}"


def percentage_points_text(change: EffectEstimate, unit: str = "") -> str:
    """`+0.8 (0.3 to 1.3)`, in percentage points; two decimals for narrow intervals."""
    decimals = 2 if change.high - change.low < 0.01 else 1
    value, low, high = (100 * each for each in (change.value, change.low, change.high))
    return f"{value:+.{decimals}f}{unit} ({low:.{decimals}f} to {high:.{decimals}f})"


def percents(change: EffectEstimate) -> str:
    """`+4%`, with its interval unless the change is exact."""
    low, high = 100 * change.low, 100 * change.high
    if high - low < 1e-6:
        return signed_percent(change.value)
    return f"{signed_percent(change.value)} ({low:.0f} to {high:.0f})"


def signed_percent(fraction: float) -> str:
    """`+4%`; `0%` without a sign."""
    return f"{100 * fraction:+.0f}%" if round(100 * fraction) else "0%"


def effect_cells(effect: Effect) -> list[str]:
    """A row under `EFFECT_COLUMNS`."""
    costs = [percents(effect.changes[cost]) if cost in effect.changes else "" for cost in _COSTS]
    return [
        location_name(effect.gene_change.location),
        choice_text(effect.gene_change),
        percentage_points_text(effect.changes["accuracy"]),
        *costs,
        percentage_points_text(effect.delta_vs_front) if effect.delta_vs_front else "",
        _ABOVE_FRONT_TEXT[effect.above_front],
    ]


def statements(effects: Iterable[Effect], cost_quantity: Quantity) -> list[str]:
    """Significant changes by decreasing effect relative to the front, one per location and gene type."""
    significant = [
        (effect, effect.delta_vs_front)
        for effect in effects
        if effect.delta_vs_front and effect.delta_vs_front.is_significant
    ]
    significant.sort(key=lambda pair: -pair[1].min_magnitude)
    first: dict[tuple[str, str], tuple[Effect, EffectEstimate]] = {}
    for effect, delta_vs_front in significant:
        first.setdefault(
            (effect.gene_change.location, effect.gene_change.gene_type), (effect, delta_vs_front)
        )
    return [
        _statement(effect, delta_vs_front, cost_quantity)
        for effect, delta_vs_front in list(first.values())[:MAX_STATEMENTS]
    ]


def verdicts_by_choice(effects: Iterable[Effect]) -> list[tuple[str, str]]:
    """By kernel, attention and activation: `("SE", "above the front in stage 3; undecided in stage 1")`."""
    rows: dict[str, dict[bool | None, list[str]]] = {}
    for effect in effects:
        gene_change = effect.gene_change
        if gene_change.gene_type not in _NAMED or effect.delta_vs_front is None:
            continue
        baseline = (
            ""
            if gene_change.baseline == "none"
            else f" for {value_name(gene_change.gene_type, gene_change.baseline)}"
        )
        name = value_name(gene_change.gene_type, gene_change.alternative) + baseline
        rows.setdefault(name, {}).setdefault(effect.above_front, []).append(gene_change.location)
    return [
        (
            name,
            "; ".join(
                f"{verdict} in {_locations_text(places_by_verdict[above_front])}"
                for above_front, verdict in _VERDICTS.items()
                if above_front in places_by_verdict
            ),
        )
        for name, places_by_verdict in rows.items()
    ]


def undecided_text(effects: Sequence[Effect]) -> str:
    """Number of significant changes."""
    n_decided = sum(effect.above_front is not None for effect in effects)
    return (
        f"{n_decided} of {pluralize(len(effects), 'change')} significantly above or below the front "
        "(90% intervals, not corrected for multiple comparisons: expect about 10% false positives)."
    )


def method_text(model: GeneModel, networks: int) -> str:
    """How the effects are estimated."""
    source = "latency predictor" if model.latency_predictor else "surrogate of the measured latencies"
    latency_note = f" Latency: {source}." if model.cost_quantity == "latency" else ""
    subset_note = f" of {model.trained:,}" if model.trained > len(model.records) else ""
    cost_name = _COSTS[model.cost_quantity]
    return (
        f"Predictions of the sampler's surrogate, fitted to {len(model.records)}{subset_note} networks: mean "
        f"difference over the {networks} best networks by accuracy and {cost_name} when one choice is "
        f"switched, all else equal, with 90% intervals.{latency_note} A change is above the front if it "
        f"gains more accuracy than the same {cost_name} gains along these networks."
    )


def importance_note(importances: Importances) -> str:
    """Definition of total effect and fANOVA."""
    subset = f"{importances.trials} of the" if importances.trials == MAX_TRIALS else "the"
    return (
        f"Total effect: fraction of the variance among {importances.networks} random feasible networks that "
        "remains when all other genes are known; interactions count for every gene involved. "
        f"fANOVA (Optuna): main effects, from {subset} evaluated networks."
    )


def importance_columns(importances: Importances) -> list[str]:
    quantities = importances.genes[0].total_effect if importances.genes else ()
    methods = ("total effect", "fANOVA")
    return ["gene", *(f"{quantity}, {method}" for quantity in quantities for method in methods)]


def importance_rows(importances: Importances) -> list[list[str]]:
    """Fractions of variance with their ranks: genes, then locations and gene types."""
    ranks = {
        (quantity, method): ranked(importances.genes, quantity, method)
        for quantity in (importances.genes[0].total_effect if importances.genes else ())
        for method in ("total_effect", "fanova")
    }

    def cells(each: Importance) -> list[str]:
        texts = []
        for (quantity, method), order in ranks.items():
            fraction = getattr(each, method).get(quantity)
            rank = f" ({order[each.name]})" if each.name in order else ""
            texts.append("" if fraction is None else f"{100 * fraction:.0f}%{rank}")
        return texts

    groups = [(f"all of {location_name(each.name)}", each) for each in importances.locations]
    groups += [(f"every {gene_type_name(each.name)}", each) for each in importances.gene_types]
    return [
        [name, *cells(each)] for name, each in [*((each.name, each) for each in importances.genes), *groups]
    ]


def ranked(genes: Iterable[Importance], quantity: Quantity, method: str) -> dict[str, int]:
    """Rank of each gene, 1 is the most important; empty without values."""
    fractions = {
        each.name: getattr(each, method)[quantity] for each in genes if quantity in getattr(each, method)
    }
    order = sorted(fractions, key=lambda name: -fractions[name])
    return {name: rank for rank, name in enumerate(order, 1)}


def _statement(effect: Effect, delta_vs_front: EffectEstimate, cost_quantity: Quantity) -> str:
    advantage = (
        delta_vs_front
        if effect.above_front
        else EffectEstimate(-delta_vs_front.value, -delta_vs_front.high, -delta_vs_front.low)
    )
    gain = percentage_points_text(effect.changes["accuracy"], " pp")
    cost = f"{percents(effect.changes[cost_quantity])} {_COSTS[cost_quantity]}"
    text = gene_change_text(effect.gene_change)
    return (
        f"{text[0].upper()}{text[1:]}: {_VERDICTS[effect.above_front]} by "
        f"{percentage_points_text(advantage, ' pp').removeprefix('+')}; {gain} accuracy for {cost}."
    )


def _with_article(location: str) -> str:
    return f"the {location}" if location in ("stem", "head") else location_name(location)


def _locations_text(locations: Sequence[str]) -> str:
    """`stages 1 and 3, the stem`."""
    numbers = [location.removeprefix("stage") for location in locations if location.startswith("stage")]
    rest = [_with_article(location) for location in locations if not location.startswith("stage")]
    *others, last = numbers or [""]
    stages = f"stages {', '.join(others)} and {last}" if others else f"stage {last}"
    return ", ".join([*([stages] if numbers else []), *rest])
