"""The baseline of a search over pretrained networks, in one sentence."""

from collections.abc import Sequence

from ...search_space.pretrained_space import candidate_text
from ..analysis.front_posterior import FrontPosterior, most_accurate
from ..store.trial import BASELINE_SOURCE, Record


def pretrained_baseline_text(
    completed: Sequence[Record], front: Sequence[Record], front_posterior: FrontPosterior | None
) -> str:
    """The most accurate network against pretrained ones at the highest resolution within the limits.

    Empty if none of those was trained, as in a search from scratch.

    Args:
        front_posterior: None where the seed variance is unknown.
    """
    baseline = most_accurate([record for record in completed if record.source == BASELINE_SOURCE])
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


def _network_text(record: Record) -> str:
    accuracy = 100 * record.estimated_accuracy.value
    return f"trial {record.label} ({candidate_text(record.architecture)}), {accuracy:.1f}%"
