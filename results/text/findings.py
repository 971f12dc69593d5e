"""The findings of a search: the lines printed below the table of its front."""

from ..analysis.front_posterior import FrontPosterior, front_posterior_of
from ..analysis.macs_baseline import macs_baseline
from ..store.search_run import SearchRun
from .front_posterior import decision_lines, noise_text
from .latency import sources_text, verification_text
from .macs_baseline import macs_baseline_text

MAX_FINDINGS = 4


def findings(run: SearchRun, front_posterior: FrontPosterior | None = None) -> list[str]:
    """The most decision-relevant findings, at most `MAX_FINDINGS` lines; empty without a front.

    In this order: best network and those indistinguishable from it; Pareto membership; MACs baseline;
    dropped networks, or else the sources of the latencies. The report and `--json` have the statistics.

    Args:
        front_posterior: that of the completed networks of the run; computed if None.
    """
    front, completed, goals = run.front(), run.completed_records(), run.settings.goals
    if not front:
        return []
    front_posterior = front_posterior or front_posterior_of(completed, goals)
    alternatives = front if len(goals.objectives) > 1 else completed
    lines = decision_lines(alternatives, goals, front_posterior)
    if front_posterior is None and any(record.trainings for record in alternatives):
        lines.append(noise_text(None))
    if baseline := macs_baseline(completed, front, front_posterior, goals):
        lines.append(macs_baseline_text(baseline))
    if latency_line := verification_text(run) or _sources_line(run):
        lines.append(latency_line)
    return lines[:MAX_FINDINGS]


def _sources_line(run: SearchRun) -> str:
    records = run.records()
    if not any(record.latency for record in records):
        return ""
    return f"Latencies: {sources_text(records)}."
