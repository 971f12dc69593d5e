"""The baseline of a search over pretrained networks, in one sentence."""

from collections.abc import Sequence

from ...evaluate import Goals
from ...search_space.pretrained_space import candidate_text
from ..analysis.front_posterior import FrontPosterior, most_accurate
from ..store.search_run import Baseline, SearchRun
from ..store.trial import BASELINE_SOURCE, Record


def pretrained_text(
    run: SearchRun,
    completed: Sequence[Record],
    front: Sequence[Record],
    front_posterior: FrontPosterior | None,
) -> str:
    """The search against its baseline of pretrained networks, whichever it has; empty without one."""
    goals = run.settings.goals
    own = pretrained_baseline_text(completed, front, front_posterior)
    return own or fine_tuned_baseline_text(run.baselines(), front, goals)


def pretrained_baseline(completed: Sequence[Record]) -> Record | None:
    """The most accurate pretrained network at the highest resolution within the limits; None without any."""
    return most_accurate([record for record in completed if record.source == BASELINE_SOURCE])


def pretrained_baseline_text(
    completed: Sequence[Record], front: Sequence[Record], front_posterior: FrontPosterior | None
) -> str:
    """The most accurate network against pretrained ones at the highest resolution within the limits.

    Empty if none of those was trained, as in a search from scratch.

    Args:
        front_posterior: None where the seed variance is unknown.
    """
    baseline = pretrained_baseline(completed)
    best = most_accurate(front)
    if baseline is None or best is None:
        return ""
    text = f'Baseline "highest resolution within the limits, all tuned": {_network_text(baseline)}; '
    if best.estimated_accuracy.value <= baseline.estimated_accuracy.value:
        return f"{text}the search found no network that is more accurate."
    text += f"the most accurate: {_network_text(best)}"
    if front_posterior is None or not (best in front_posterior and baseline in front_posterior):
        return f"{text}; seed noise unknown, significance not tested."
    advantage = front_posterior.accuracy_advantage(best, baseline)
    significance = "significant" if advantage.low > 0 else "not significant"
    value, low, high = (f"{100 * each:.1f}" for each in (advantage.value, advantage.low, advantage.high))
    return f"{text}; difference {value} pp ({low} to {high}), {significance} (95%)."


def fine_tuned_baseline_text(baselines: Sequence[Baseline], front: Sequence[Record], goals: Goals) -> str:
    """The most accurate network of a search from scratch against a fine-tuned pretrained network.

    Empty without such a baseline, or if it violates a limit.
    """
    best = most_accurate(front)
    tuned = [
        each
        for each in baselines
        if each.architecture.fine_tuning
        and max(goals.violations(each.cost, each.latency).values(), default=0.0) <= 0
    ]
    if not tuned or best is None:
        return ""
    top1, own = tuned[0].accuracy.top1, best.estimated_accuracy.value
    name = candidate_text(tuned[0].architecture)
    text = f"Baseline {name}, from pretrained weights: {100 * top1:.1f}%; "
    own_text = f"trial {best.trial}, {100 * own:.1f}%"
    if own <= top1:
        return f"{text}the search from scratch does not beat it ({own_text}): try --pretrained."
    return f"{text}the most accurate of the search: {own_text} (validation images)."


def _network_text(record: Record) -> str:
    accuracy = 100 * record.estimated_accuracy.value
    return f"trial {record.label} ({candidate_text(record.architecture)}), {accuracy:.1f}%"
