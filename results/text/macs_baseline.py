"""The MACs baseline in one sentence."""

from ...evaluate import format_count
from ..analysis.macs_baseline import MacsBaseline
from .baselines import difference_text
from .seed_noise import estimate_text


def macs_baseline_text(baseline: MacsBaseline) -> str:
    """Rank correlation of MACs and accuracy, and the difference between the largest and the best network."""
    smallest = min(record.cost.macs for record in baseline.largest)
    trials = ", ".join(str(record.label) for record in baseline.largest)
    text = (
        f'Baseline "largest feasible networks": Spearman(MACs, accuracy) = '
        f"{estimate_text(baseline.spearman_estimate)} over {baseline.networks} networks; the "
        f"{len(baseline.largest)} largest (trials {trials}; {format_count(smallest)} MACs or more) have "
        f"{100 * baseline.largest_top1:.1f}% on average, the most accurate, trial {baseline.best.label}, "
        f"{100 * baseline.best.estimated_accuracy.value:.1f}%"
    )
    advantage = baseline.accuracy_advantage
    if advantage is None:
        return f"{text}; seed noise unknown, significance not tested."
    value, low, high = (f"{100 * each:.1f}" for each in (advantage.value, advantage.low, advantage.high))
    significance = "significant" if advantage.low > 0 else "not significant"
    return f"{text}; difference {value} pp ({low} to {high}), {significance} (95%)."


def macs_advantage_text(baseline: MacsBaseline) -> str:
    """The best network against the largest ones, in short; empty while the seed noise is unknown."""
    if baseline.accuracy_advantage is None:
        return ""
    difference = difference_text(baseline.accuracy_advantage)
    return f"{difference} against the largest networks within the limits, validation accuracy (95% interval)."
