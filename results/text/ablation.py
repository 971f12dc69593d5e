"""What the choices do and which genes matter, in words and cells."""

from collections.abc import Iterable, Sequence

from ...evaluate import Quantity
from ...search_space.space import Choice
from ..analysis.ablation import Change, Effect, Switch
from ..analysis.gene_model import LEAST_NETWORKS, MOST_NETWORKS, ChoiceModel
from ..analysis.importance import MOST_TRIALS, Importance, Importances
from .formatting import count_of

MOST_STATEMENTS = 6
TOO_FEW = f"To tell what the choices do takes {LEAST_NETWORKS} judged networks that were trained"
EFFECT_COLUMNS = (
    "where",
    "choice",
    "accuracy, points",
    "latency",
    "MACs",
    "params",
    "beyond the front",
    "pays",
)
_VALUES = {"se": "SE", "eca": "ECA", "relu": "ReLU", "relu6": "ReLU6", "hardswish": "h-swish", "silu": "SiLU"}
_KINDS = {"out": "channels", "hidden": "hidden layer"}
_COSTS: dict[Quantity, str] = {"latency": "latency", "macs": "MACs", "params": "parameters"}
_NAMED = ("kernel", "attention", "activation")  # whose values tell of what kind they are
_PAYS = {True: "yes", False: "no", None: "not told"}


def value_name(kind: str, value: Choice) -> str:
    """`5×5`, `SE`, `h-swish`, `24`."""
    return f"{value}×{value}" if kind == "kernel" else _VALUES.get(str(value), str(value))


def kind_name(kind: str) -> str:
    return _KINDS.get(kind, kind)


def place_name(place: str) -> str:
    """`stage2` is `stage 2`."""
    return place.replace("stage", "stage ") if place.startswith("stage") else place


def choice_text(switch: Switch) -> str:
    """`kernel 3×3 → 5×5`."""
    usual, other = (value_name(switch.kind, value) for value in (switch.usual, switch.other))
    return f"{kind_name(switch.kind)} {usual} → {other}"


def switch_text(switch: Switch) -> str:
    """`SE in stage 3`, `5×5 for 3×3 in the stem`, `expansion 2 → 6 in all stages`."""
    usual, other = (value_name(switch.kind, value) for value in (switch.usual, switch.other))
    if switch.kind in _NAMED:
        told = other if switch.usual == "none" else f"{other} for {usual}"
    else:
        told = choice_text(switch)
    return told if switch.place == "images" else f"{told} in {_with_article(switch.place)}"


def points(change: Change, unit: str = "") -> str:
    """`+0.8 (0.3 to 1.3)`, in points of accuracy; two decimals where the interval is narrow."""
    decimals = 2 if change.high - change.low < 0.01 else 1
    value, low, high = (100 * each for each in (change.value, change.low, change.high))
    return f"{value:+.{decimals}f}{unit} ({low:.{decimals}f} to {high:.{decimals}f})"


def percents(change: Change) -> str:
    """`+4%`, with its interval where it has one."""
    low, high = 100 * change.low, 100 * change.high
    if high - low < 1e-6:
        return signed_percent(change.value)
    return f"{signed_percent(change.value)} ({low:.0f} to {high:.0f})"


def signed_percent(share: float) -> str:
    """`+4%`; `0%` without a sign."""
    return f"{100 * share:+.0f}%" if round(100 * share) else "0%"


def effect_cells(effect: Effect) -> list[str]:
    """A row under `EFFECT_COLUMNS`."""
    costs = [percents(effect.changes[cost]) if cost in effect.changes else "" for cost in _COSTS]
    return [
        place_name(effect.switch.place),
        choice_text(effect.switch),
        points(effect.changes["accuracy"]),
        *costs,
        points(effect.beyond) if effect.beyond else "",
        _PAYS[effect.pays],
    ]


def statements(effects: Iterable[Effect], price: Quantity) -> list[str]:
    """What surely pays, or surely does not, by the most; one for a kind and place."""
    told = [(effect, effect.beyond) for effect in effects if effect.beyond and effect.beyond.told]
    told.sort(key=lambda pair: -pair[1].at_least)
    first: dict[tuple[str, str], tuple[Effect, Change]] = {}
    for effect, beyond in told:
        first.setdefault((effect.switch.place, effect.switch.kind), (effect, beyond))
    return [_statement(effect, beyond, price) for effect, beyond in list(first.values())[:MOST_STATEMENTS]]


def answers(effects: Iterable[Effect]) -> list[tuple[str, str]]:
    """Where each kernel, attention and activation pays: `("SE", "pays in stage 3; not told in stage 1")`."""
    rows: dict[str, dict[bool | None, list[str]]] = {}
    for effect in effects:
        switch = effect.switch
        if switch.kind not in _NAMED or effect.beyond is None:
            continue
        usual = "" if switch.usual == "none" else f" for {value_name(switch.kind, switch.usual)}"
        name = value_name(switch.kind, switch.other) + usual
        rows.setdefault(name, {}).setdefault(effect.pays, []).append(switch.place)
    words = {True: "pays in", False: "does not pay in", None: "cannot be told in"}
    return [
        (name, "; ".join(f"{said} {_places(found[pays])}" for pays, said in words.items() if pays in found))
        for name, found in rows.items()
    ]


def untold_text(effects: Sequence[Effect]) -> str:
    """How much is told of all that was asked."""
    told = sum(effect.pays is not None for effect in effects)
    return (
        f"Of {count_of(len(effects), 'change')}, {told or 'none'} can be told to pay or not to; of the "
        "others the 90% interval holds 0. Of changes that do nothing, up to one in ten is told by chance."
    )


def method_text(model: ChoiceModel, networks: int) -> str:
    """How it was found, in a sentence or two."""
    source = {
        "latency": "the run's latency model" if model.latency_model else "what was measured",
    }.get(model.price, "")
    by = f" Latency is told by {source}." if source else ""
    many = f", evenly chosen of more than {MOST_NETWORKS}" if len(model.records) == MOST_NETWORKS else ""
    return (
        f"A model of size, shape and genes, fitted to {len(model.records)} judged networks{many}, compares "
        f"the {networks} best by accuracy and {_COSTS[model.price]} with one choice set to one value and to "
        f"another, all else equal; the mean difference, with 90% intervals.{by} A change pays if it brings "
        f"more accuracy than the same {_COSTS[model.price]} does along these networks."
    )


def importance_note(found: Importances) -> str:
    """What the shares are of."""
    trials = (
        f"{found.trials} of the judged networks" if found.trials == MOST_TRIALS else "the judged networks"
    )
    return (
        f"Model: the share of the variance between {found.networks} random networks within the limits that a "
        "gene leaves open where all others are known; what genes do together counts for each. fANOVA: "
        f"Optuna's, from {trials} alone, of what a gene does by itself."
    )


def importance_columns(found: Importances) -> list[str]:
    quantities = found.genes[0].model if found.genes else ()
    return ["gene", *(f"{quantity}, {how}" for quantity in quantities for how in ("model", "fANOVA"))]


def importance_rows(found: Importances) -> list[list[str]]:
    """Shares with their rank among the genes; then those of places and kinds together."""
    ranks = {
        (quantity, how): ranked(found.genes, quantity, how)
        for quantity in (found.genes[0].model if found.genes else ())
        for how in ("model", "fanova")
    }

    def cells(each: Importance) -> list[str]:
        told = []
        for (quantity, how), order in ranks.items():
            share = getattr(each, how).get(quantity)
            rank = f" ({order[each.name]})" if each.name in order else ""
            told.append("" if share is None else f"{100 * share:.0f}%{rank}")
        return told

    groups = [(f"all of {place_name(each.name)}", each) for each in found.places]
    groups += [(f"every {kind_name(each.name)}", each) for each in found.kinds]
    return [[name, *cells(each)] for name, each in [*((each.name, each) for each in found.genes), *groups]]


def ranked(genes: Iterable[Importance], quantity: Quantity, how: str) -> dict[str, int]:
    """The rank of each gene, the most important 1; empty where nothing is told."""
    shares = {each.name: getattr(each, how)[quantity] for each in genes if quantity in getattr(each, how)}
    order = sorted(shares, key=lambda name: -shares[name])
    return {name: rank for rank, name in enumerate(order, 1)}


def _statement(effect: Effect, beyond: Change, price: Quantity) -> str:
    more = beyond if effect.pays else Change(-beyond.value, -beyond.high, -beyond.low)
    how, than = ("pays", "more") if effect.pays else ("does not pay", "less")
    gain, cost = points(effect.changes["accuracy"], " points"), percents(effect.changes[price])
    text = switch_text(effect.switch)
    return (
        f"{text[0].upper()}{text[1:]}: {how}; {gain} for {cost} {_COSTS[price]}, "
        f"{points(more).removeprefix('+')} {than} than the front gives for it."
    )


def _with_article(place: str) -> str:
    return f"the {place}" if place in ("stem", "head") else place_name(place)


def _places(places: Sequence[str]) -> str:
    """`stages 1 and 3, the stem`."""
    numbers = [place.removeprefix("stage") for place in places if place.startswith("stage")]
    rest = [_with_article(place) for place in places if not place.startswith("stage")]
    *others, last = numbers or [""]
    stages = f"stages {', '.join(others)} and {last}" if others else f"stage {last}"
    return ", ".join([*([stages] if numbers else []), *rest])
