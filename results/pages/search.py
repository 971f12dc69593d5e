"""The report of a search: one self-contained HTML page."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from plotly.graph_objects import Figure

from ...evaluate import Quantity
from ...evaluate.objectives import x_quantity
from ..analysis.front_posterior import FrontPosterior, front_posterior_of
from ..analysis.hypervolume import hypervolume_box
from ..analysis.macs_baseline import MacsBaseline, macs_baseline
from ..plots.history import best_value_figure, hypervolume_figure
from ..plots.netadapt import netadapt_traces
from ..plots.pareto import pareto_figure
from ..store.search_run import SearchRun, Verification
from ..store.trial import Record, State
from ..text.fidelities import epochs_spent_text, rungs_text
from ..text.findings import accuracy_warnings
from ..text.formatting import (
    key_value_text,
    limits_text,
    outcome_text,
    pluralize,
    reward_text,
    value_text,
)
from ..text.front_posterior import front_posterior_lines
from ..text.latency import calibration_text, sources_text, times_spent, times_text, verification_text
from ..text.macs_baseline import macs_advantage_text, macs_baseline_text
from ..text.pretrained_baseline import pretrained_text
from ..text.surrogate_quality import surrogate_quality_text
from .ablation import ablation_values
from .front_table import FrontTable, export_command
from .html import render
from .recommendation import recommended_cards

_OTHER_STATES: dict[State, str] = {
    "stopped": "stopped early",
    "duplicate": "duplicates",
    "failed": "failed",
    "interrupted": "interrupted",
    "running": "running",
    "enqueued": "enqueued",
}


_MAX_ERRORS = 50
COST_QUANTITIES: tuple[Quantity, ...] = ("latency", "macs", "params")


def _bounded(errors: list[str]) -> list[str]:
    more = len(errors) - _MAX_ERRORS
    return [*errors[:_MAX_ERRORS], f"and {more:,} other errors"] if more > 0 else errors


def _run_text(run: SearchRun) -> str:
    """What a run contributes to a front over several."""
    settings = run.settings
    text = f"{pluralize(len(run.completed_records()), 'network')} of space {settings.space.name}; "
    text += f"limits: {limits_text(settings.goals, settings.latency.reference_ms)}"
    return f"{text}; teacher {settings.teacher}" if settings.teacher else text


def report_html(run: SearchRun) -> str:
    """The page as one self-contained HTML file."""
    return report_page(run)[0]


def report_page(run: SearchRun) -> tuple[str, dict[str, Figure]]:
    """The page as one self-contained HTML file, and its Pareto plots by file name."""
    values = _ReportData(run).values()
    return render("search" if len(run.runs) == 1 else "joined_runs", **values), values["figures"]


@dataclass(frozen=True)
class _ReportData:
    """Values of the page, read from the study once."""

    run: SearchRun

    @cached_property
    def records(self) -> list[Record]:
        return self.run.records()

    @cached_property
    def valid(self) -> list[Record]:
        """Without networks whose latency failed verification."""
        failed_verification = self.run.failed_verification()
        return [record for record in self.records if record.key not in failed_verification]

    @cached_property
    def completed(self) -> list[Record]:
        return [record for record in self.valid if record.state == "complete"]

    @cached_property
    def front(self) -> list[Record]:
        return self.run.front()

    @property
    def alternatives(self) -> list[Record]:
        """The front, or all completed networks with a single objective."""
        return self.front if len(self.run.settings.goals.objectives) > 1 else self.completed

    @cached_property
    def front_posterior(self) -> FrontPosterior | None:
        return front_posterior_of(self.completed, self.run.settings.goals)

    @cached_property
    def verifications(self) -> dict[str, Verification]:
        return self.run.verifications()

    def values(self) -> dict[str, Any]:
        run, settings, goals = self.run, self.run.settings, self.run.settings.goals
        table = FrontTable(
            self.front,
            self.alternatives,
            run.baselines(),
            self.verifications,
            goals,
            run.folder,
            self.front_posterior,
            settings.saves_weights,
        )
        return {
            "title": f"{' and '.join(each.settings.space.name for each in run.runs)} on {settings.data.name}",
            "lead": outcome_text(self.records, self.front, goals),
            "warnings": accuracy_warnings(run),
            "findings": self._findings(),
            "settings": settings,
            "limits": limits_text(goals, settings.latency.reference_ms),
            "reward_text": reward_text(goals.reward) if goals.reward else "",
            "multi_objective": len(goals.objectives) > 1,
            "x_quantity": x_quantity(goals),
            "figures": self._pareto_figures(),
            "single": len(run.runs) == 1,
            "export": export_command(run.folder, "TRIAL", settings.saves_weights),
            "has_posterior": self.front_posterior is not None,
            "has_stopped": any(record.state == "stopped" for record in self.valid),
            "history": self._history(),
            "times_spent": times_spent(run, self.records) if len(run.runs) == 1 else {},
            "table": table,
            "cards": recommended_cards(table, self._best_comparisons()),
            "verified": bool(self.verifications),
            "verification": verification_text(run),
            "verification_tested": any(each.test_images for each in self.verifications.values()),
            "ablation": None if len(run.runs) > 1 else ablation_values(run, self.completed),
            **self._provenance(),
        }

    def _pareto_figures(self) -> dict[str, Figure]:
        """By name: against the cost of the goals, and against each other cost that is known."""
        goals, posterior = self.run.settings.goals, self.front_posterior
        reference_ms = self.run.settings.latency.reference_ms
        arguments = (self.valid, self.front, self.run.baselines(), self.verifications, goals, reference_ms)
        first, measured = x_quantity(goals), any(record.latency for record in self.valid)
        others = [each for each in COST_QUANTITIES if each != first and (each != "latency" or measured)]
        names = {"pareto": first} | {f"pareto-{each}": each for each in others}
        return {
            name: pareto_figure(*arguments, x, posterior).add_traces(
                [trace for run in self.run.runs for trace in netadapt_traces(run.folder, x)]
            )
            for name, x in names.items()
        }

    @cached_property
    def macs_baseline(self) -> MacsBaseline | None:
        return macs_baseline(self.completed, self.front, self.front_posterior, self.run.settings.goals)

    def _best_comparisons(self) -> list[str]:
        """The most accurate network against pretrained ones, and against the largest of the search."""
        pretrained = pretrained_text(self.run, self.completed, self.front, self.front_posterior)
        baseline = self.macs_baseline
        return [pretrained, macs_advantage_text(baseline) if baseline else ""]

    def _findings(self) -> list[str]:
        goals, posterior = self.run.settings.goals, self.front_posterior
        baseline, epochs_spent = self.macs_baseline, self.run.epochs_spent()
        findings = [
            *front_posterior_lines(self.alternatives, goals, posterior),
            macs_baseline_text(baseline) if baseline else "",
            surrogate_quality_text(self.completed, posterior),
            epochs_spent_text(epochs_spent) if epochs_spent else "",
        ]
        return [each for each in findings if each]

    def _history(self) -> dict[str, Any] | None:
        """The best value or the hypervolume by trial; None for fewer than two networks, or several runs."""
        if len(self.completed) < 2 or len(self.run.runs) > 1:
            return None
        settings, last = self.run.settings, self.records[-1].trial
        objectives = settings.goals.objectives
        minutes = self.run.minutes_at_completion()
        if len(objectives) == 1:
            arguments = (self.completed, objectives[0], last)
            figures = [best_value_figure(*arguments, each) for each in (None, minutes)]
            return {"figures": figures, "reference": None}
        box = hypervolume_box(self.completed, settings.goals, settings.latency.reference_ms)
        ideal, reference = (
            ", ".join(value_text(each.quantity, value) for each, value in zip(objectives, point, strict=True))
            for point in (box.ideal_point, box.reference_point)
        )
        figures = [hypervolume_figure(self.completed, box, last, each) for each in (None, minutes)]
        return {"figures": figures, "ideal": ideal, "reference": reference}

    def _provenance(self) -> dict[str, Any]:
        run, settings = self.run, self.run.settings
        if len(run.runs) > 1:
            return {"provenance": [(str(each.folder), _run_text(each)) for each in run.runs]}
        states = {state: sum(each.state == state for each in self.records) for state in _OTHER_STATES}
        return {
            "recipe": key_value_text(asdict(settings.recipe).items()),
            "rungs": rungs_text(settings.rungs) if settings.rungs else "",
            "n_replicates": sum(len(each.replicates) for each in self.records),
            "n_failed_replicates": len(run.failed_replicates()),
            "n_trials": len(self.records),
            "other_states": [(count, _OTHER_STATES[state]) for state, count in states.items() if count],
            "calibration": calibration_text(settings.latency),
            "latency_sources": sources_text(self.records),
            "times": times_text(run, self.records),
            "resume": run.resume_command,
            "host": key_value_text(settings.host.items()),
            "versions": key_value_text(settings.versions.items()),
            "errors": _bounded(sorted({record.error for record in self.records if record.error})),
        }
