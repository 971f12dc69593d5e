"""The MACs baseline in one sentence."""

from ...evaluate import format_count
from ..analysis.macs_baseline import MacsBaseline
from ..store.trial import Record
from .seed_noise import estimate_text


def macs_baseline_text(baseline: MacsBaseline) -> str:
    """Rank correlation of MACs and accuracy, and the difference between the largest and the best network."""
    text = (
        f'Baseline "largest feasible network": Spearman(MACs, accuracy) = '
        f"{estimate_text(baseline.spearman_estimate)} over {baseline.networks} networks"
    )
    largest = f"trial {baseline.largest.trial} ({format_count(baseline.largest.cost.macs)} MACs)"
    if baseline.largest.key == baseline.best.key:
        return f"{text}; the largest, {largest}, is also the most accurate."
    text += (
        f"; the largest, {largest}, has {_percent(baseline.largest)}, the most accurate, "
        f"trial {baseline.best.trial}, {_percent(baseline.best)}"
    )
    advantage = baseline.accuracy_advantage
    if advantage is None:
        return f"{text}; seed noise unknown, significance not tested."
    value, low, high = (f"{100 * each:.1f}" for each in (advantage.value, advantage.low, advantage.high))
    significance = "significant" if advantage.low > 0 else "not significant"
    return f"{text}; difference {value} pp ({low} to {high}), {significance} (95%)."


def _percent(record: Record) -> str:
    return f"{100 * record.estimated_accuracy.value:.1f}%"
