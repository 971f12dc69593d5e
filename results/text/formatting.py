"""Formatting of quantities, networks and runs as plain text."""

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from ...evaluate import Constraint, Goals, Latency, Objective, Quantity, format_count, wilson_interval
from ...evaluate.objectives import REWARD_EXPONENT, limit_on
from ...evaluate.statistics.estimate import Estimate
from ...search_space import Architecture, Block
from ...search_space.pretrained_space import candidate_text
from ..store.trial import Record

AXIS_TITLES: dict[Quantity, str] = {
    "accuracy": "validation accuracy, %",
    "latency": "latency, ms",
    "macs": "MACs",
    "params": "parameters",
    "reward": "reward",
}
_SHORT_NAMES = {"hardswish": "hswish", "none": ""}


def limits_text(goals: Goals, reference_ms: float) -> str:
    """All constraints: `macs <= 2M, latency <= 0.5x (1.23 ms)`."""

    def constraint_text(constraint: Constraint) -> str:
        limit_ms = limit_on("latency", goals, reference_ms)
        return (
            f"{constraint} ({milliseconds(limit_ms)})"
            if constraint.unit == "x" and limit_ms
            else str(constraint)
        )

    return ", ".join(constraint_text(constraint) for constraint in goals.constraints) or "none"


def best_label(goals: Goals) -> str:
    """Label of the best network: `most accurate` or `best by reward`."""
    return "best by reward" if goals.reward else "most accurate"


def reward_text(reward: Objective) -> str:
    """`accuracy × (latency / 0.5x)^-0.07`."""
    assert reward.target
    value = AXIS_TITLES[reward.target.quantity].partition(",")[0]
    return f"accuracy × ({value} / {reward.target.limit_text})^{REWARD_EXPONENT}"


def value_text(quantity: Quantity, value: float) -> str:
    """A value with its unit; accuracies are fractions."""
    if quantity == "accuracy":
        return f"{100 * value:.1f}%"
    if quantity == "latency":
        return milliseconds(value)
    if quantity == "reward":
        return f"reward {value:.4f}"
    return f"{format_count(value)} {AXIS_TITLES[quantity]}"


def milliseconds(value: float) -> str:
    """Three significant digits: `0.0412 ms`, `1.20 ms`, `215 ms`."""
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(0, decimals)}f} ms"


def accuracy_text(accuracy: Estimate) -> str:
    """`93.1% (90.2 to 95.1)`: an accuracy with its 95% interval."""
    return f"{100 * accuracy.value:.1f}% ({percent_range(accuracy.low, accuracy.high)})"


def top1_text(top1: float, images: int) -> str:
    """`98.61% (96.8 to 99.4)`: an accuracy with the 95% interval for the number of images."""
    return f"{100 * top1:.2f}% ({percent_range(*wilson_interval(top1, images))})"


def percent_range(low: float, high: float) -> str:
    """`90.2 to 95.1`, in percent."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def mean_text(record: Record) -> str:
    """`mean 93.4%, 3 trainings`."""
    return f"mean {100 * record.top1:.1f}%, {pluralize(len(record.trainings), 'training')}"


def ratio_text(latency: Latency) -> str:
    """Ratio to the reference with its 95% interval: `0.520x (0.514 to 0.531)`."""
    noisy = ", noisy" if latency.status == "noisy" else ""
    return f"{latency.ratio:.3f}x ({latency.ratio_low:.3f} to {latency.ratio_high:.3f}{noisy})"


def block_text(block: Block) -> str:
    """`k5 e72 c40 se hswish s2`: kernel, expanded and output channels, attention, activation, stride."""
    attention = _SHORT_NAMES.get(block.attention, block.attention)
    gate = "" if block.gate == "hardsigmoid" else block.gate
    activation = _SHORT_NAMES.get(block.activation, block.activation)
    words = [
        f"k{block.kernel}",
        f"e{block.expanded}",
        f"c{block.out}",
        attention,
        gate,
        activation,
        f"s{block.stride}",
    ]
    return " ".join(word for word in words if word)


def network_lines(architecture: Architecture) -> list[str]:
    """The network from input to classes; consecutive equal blocks share a line."""
    stem, head = architecture.stem, architecture.head
    stem_activation = _SHORT_NAMES.get(stem.activation, stem.activation)
    hidden = f", hidden {head.hidden}" if head.hidden else ""
    padding = "" if architecture.padding == "symmetric" else f", padding {architecture.padding}"
    start = candidate_text(architecture) or f"{architecture.resolution_px} px"
    rows = [
        (text, len(list(same))) for text, same in groupby(block_text(block) for block in architecture.blocks)
    ]
    return [
        f"{start}{padding}, stem k{stem.kernel} c{stem.out} {stem_activation} s{stem.stride}",
        *(f"{text} × {count}" if count > 1 else text for text, count in rows),
        f"features {head.features}{hidden}, {architecture.classes} classes",
    ]


def outcome_text(records: Sequence[Record], front: Sequence[Record], goals: Goals) -> str:
    """Number of evaluated and infeasible networks, and the front, in one to three sentences."""
    states = [record.state for record in records]
    completed, infeasible = states.count("complete"), states.count("infeasible")
    text = f"{pluralize(completed, 'network')} evaluated"
    if infeasible:
        trained = sum(each.state == "infeasible" and each.accuracy is not None for each in records)
        clause = f", {trained} of them only after training" if trained else " and were not trained"
        if infeasible == 1 and not trained:
            clause = " and was not trained"
        text += f"; {pluralize(infeasible, 'proposal')} violated a constraint{clause}"
    if not front:
        return f"{text}."
    if len(goals.objectives) == 1:
        trials = listed([record.label for record in front])
        return f"{text}. Best: trial {trials} ({_values(front[0], goals)})."
    if len(front) == 1:
        return f"{text}. 1 network is Pareto-optimal: trial {front[0].label} ({_values(front[0], goals)})."
    text += f". {len(front)} networks are Pareto-optimal"
    if len(goals.objectives) > 2:
        return f"{text}."
    ends = (f"trial {end.label} ({_values(end, goals)})" for end in (front[0], front[-1]))
    return f"{text}, from {' to '.join(ends)}."


def pluralize(number: int, noun: str) -> str:
    """`1 network`, `40 networks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`42 s`, `7 min`, `3 h 20 min`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percentage_points(fraction: float) -> str:
    """A fraction in percentage points: one decimal, two below 0.1 pp."""
    return f"{100 * fraction:.{1 if fraction >= 0.001 else 2}f}"


def joined_names(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def listed(trials: Collection[int | str]) -> str:
    """Trials in ascending order, by number or name: `3, 7, 12`."""
    names = ((run, int(number)) for run, _, number in (str(trial).rpartition("#") for trial in trials))
    return ", ".join(f"{run}#{number}" if run else str(number) for run, number in sorted(names))


def _values(record: Record, goals: Goals) -> str:
    return ", ".join(value_text(each.quantity, record.value(each)) for each in goals.objectives)


def key_value_text(items: Iterable[tuple[str, object]]) -> str:
    """`name value, name value`."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in items)


def truncate(name: str, max_length: int) -> str:
    """The name, shortened to `max_length` characters with an ellipsis."""
    return name if len(name) <= max_length else f"{name[: max_length - 1]}…"
