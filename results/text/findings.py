"""The findings of a search: the lines printed below the table of its front."""

from ...evaluate.training.trivial_accuracy import TrivialAccuracy, few_images_text
from ..analysis.front_posterior import FrontPosterior, front_posterior_of
from ..analysis.macs_baseline import macs_baseline
from ..store.search_run import SearchRun
from .front_posterior import decision_lines, noise_text
from .latency import sources_text, verification_text
from .macs_baseline import macs_baseline_text
from .pretrained_baseline import pretrained_text

MAX_FINDINGS = 4


def findings(run: SearchRun, front_posterior: FrontPosterior | None = None) -> list[str]:
    """At most `MAX_FINDINGS` findings, with warnings about the accuracies; empty without a front.

    In this order: baseline of pretrained networks; best network and those indistinguishable from it; Pareto
    membership; MACs baseline; dropped networks, or else the sources of the latencies. The report and
    `--json` have the statistics.

    Args:
        front_posterior: that of the completed networks of the run; computed if None.
    """
    front, completed, goals = run.front(), run.completed_records(), run.settings.goals
    if not front:
        return []
    warnings = accuracy_warnings(run)
    front_posterior = front_posterior or front_posterior_of(completed, goals)
    alternatives = front if len(goals.objectives) > 1 else completed
    baseline_line = pretrained_text(run, completed, front, front_posterior)
    first = [baseline_line] if baseline_line else []
    lines = decision_lines(alternatives, goals, front_posterior)
    if front_posterior is None and any(record.trainings for record in alternatives):
        lines.append(noise_text(None))
    if baseline := macs_baseline(completed, front, front_posterior, goals):
        lines.append(macs_baseline_text(baseline))
    if latency_line := verification_text(run) or _sources_line(run):
        lines.append(latency_line)
    return [*first, *warnings, *lines[: MAX_FINDINGS - len(first)]]


def accuracy_warnings(run: SearchRun) -> list[str]:
    """Warnings if no network of the front is better than a constant answer, or if images are few."""
    settings, front = run.settings, [record for record in run.front() if record.trainings]
    counts = settings.data.validation_counts
    if not front or not counts or not settings.saves_weights:
        return []
    trivial, warnings = TrivialAccuracy.of(counts, settings.data.class_names), []
    if not any(trivial.is_beaten_by(record.top1) for record in front):
        warnings.append(
            f"No network of the front is better (95%) than the constant answer '{trivial.majority_class}' "
            f"({100 * trivial.majority_share:.1f}% of the validation images): their order by accuracy means "
            "nothing."
        )
    if few := few_images_text(trivial.images, "validation"):
        warnings.append(f"{few[0].upper()}{few[1:]}.")
    return warnings


def _sources_line(run: SearchRun) -> str:
    records = run.records()
    if not any(record.latency for record in records):
        return ""
    return f"Latencies: {sources_text(records)}."
