"""The report of a run: one HTML page that opens offline."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from plotly.graph_objects import Figure

from ...evaluate import Goals
from ...evaluate.objectives import x_quantity
from ...search_space.serialization.atomic_write import write_atomic
from ..analysis.front_posterior import FrontPosterior, best_by, front_posterior_of
from ..analysis.hypervolume import hypervolume_box
from ..analysis.macs_baseline import macs_baseline
from ..plots.history import best_value_figure, hypervolume_figure
from ..plots.netadapt import netadapt_traces
from ..plots.pareto import pareto_figure
from ..store.fidelities import rungs_text
from ..store.search_run import Baseline, Run, Verification
from ..store.trial import Record, State
from ..text.formatting import (
    best_label,
    key_value_text,
    limits_text,
    milliseconds,
    outcome_text,
    pluralize,
    reward_text,
    value_text,
)
from ..text.front_posterior import front_posterior_lines
from ..text.latency import calibration_text, sources_text, times_text, verification_text
from ..text.surrogate_quality import surrogate_quality_text
from .ablation import ablation_section
from .front_table import FrontTable, export_command, strip_legend
from .html import Html, facts, joined, page, plot, tag

_OTHER_STATES: dict[State, str] = {
    "stopped": "stopped early",
    "duplicate": "duplicates",
    "failed": "failed",
    "interrupted": "interrupted",
    "running": "running",
    "enqueued": "enqueued",
}


def write_report(run: Run, path: Path) -> None:
    """Write the page.

    Raises:
        RunError: it cannot be written there.
    """
    write_atomic(path, report_html(run))


def report_html(run: Run) -> str:
    """The page, with nothing outside it; the same run gives the same bytes."""
    data = _ReportData(run)
    title = f"{run.settings.space.name} on {run.settings.data.name}"
    choices = ablation_section(run, data.completed)
    sections = (_head(title, data), _trade_off(data), _progress(data), _networks(data))
    return page(title, joined([*sections, choices, _provenance(data)]))


def report_figures(run: Run) -> dict[str, Figure]:
    """The page's Pareto plots by file name."""
    return _pareto_figures(_ReportData(run))


@dataclass(frozen=True)
class _ReportData:
    """What the sections tell of, read from the study once."""

    run: Run

    @cached_property
    def records(self) -> list[Record]:
        return self.run.records()

    @cached_property
    def remaining(self) -> list[Record]:
        """Without those that left the front when they were measured again."""
        failed_verification = self.run.failed_verification()
        return [record for record in self.records if record.key not in failed_verification]

    @cached_property
    def completed(self) -> list[Record]:
        return [record for record in self.remaining if record.state == "complete"]

    @cached_property
    def front(self) -> list[Record]:
        return self.run.front()

    @property
    def alternatives(self) -> list[Record]:
        """Among which a reader chooses: the front, or with a single objective all that were judged."""
        return self.front if len(self.run.settings.goals.objectives) > 1 else self.completed

    @cached_property
    def front_posterior(self) -> FrontPosterior | None:
        """None where the noise is not known."""
        return front_posterior_of(self.completed, self.run.settings.goals)

    @cached_property
    def baselines(self) -> list[Baseline]:
        return self.run.baselines()

    @cached_property
    def verifications(self) -> dict[str, Verification]:
        return self.run.verifications()


def _head(title: str, data: _ReportData) -> Html:
    goals = data.run.settings.goals
    baseline = macs_baseline(data.completed, data.front, data.front_posterior, goals)
    surrogate_quality = surrogate_quality_text(data.completed, data.front_posterior)
    return joined(
        [
            tag("h1", title),
            tag("p", outcome_text(data.records, data.front, goals), class_="lead"),
            tag("p", " ".join(front_posterior_lines(data.alternatives, goals, data.front_posterior))),
            *([tag("p", baseline.sentences)] if baseline else []),
            *([tag("p", surrogate_quality)] if surrogate_quality else []),
            *([tag("p", f"{epochs_spent}.")] if (epochs_spent := data.run.epochs_spent()) else []),
        ]
    )


def _trade_off(data: _ReportData) -> Html:
    settings = data.run.settings
    reference_ms = settings.latency.reference_ms
    quantities = [objective.quantity for objective in settings.goals.objectives]
    x, drawn = x_quantity(settings.goals), _pareto_figures(data)
    notes = [f"Limits: {limits_text(settings.goals, reference_ms)}."]
    if len(quantities) > 1 and set(quantities) != {"accuracy", x}:
        notes.append(
            f"The front is that of {', '.join(quantities)} together, so some of it may look beaten here."
        )
    if settings.goals.reward:
        notes.append(
            f"The reward is {reward_text(settings.goals.reward)}; on the dotted curve it is that of the best."
        )
    if data.front:
        bars = (
            "95% intervals of the mean of a network's trainings" if data.front_posterior else "95% intervals"
        )
        notes.append(f"Bars are {bars}. Click a diamond for its row in the table.")
    if any(record.state == "stopped" for record in data.remaining):
        notes.append(
            "Networks that were stopped early have accuracies of fewer epochs and are left out: a click on "
            "the legend shows them."
        )
    parts = [
        tag("h2", "Trade-off"),
        tag("p", " ".join(notes), class_="note"),
        plot(drawn["pareto"], "pareto", 540),
    ]
    if "pareto-macs" in drawn:
        text = "The same by MACs, which are known of networks too that were refused before a measurement."
        parts += [tag("p", text, class_="note"), plot(drawn["pareto-macs"], "pareto-macs", 420)]
    return joined(parts)


def _pareto_figures(data: _ReportData) -> dict[str, Figure]:
    """By name: against the cost that counts, and where that is latency against MACs too."""
    settings = data.run.settings
    reference_ms = settings.latency.reference_ms
    arguments = (data.remaining, data.front, data.baselines, data.verifications, settings.goals, reference_ms)
    drawn = {"pareto": pareto_figure(*arguments, front_posterior=data.front_posterior)}
    if x_quantity(settings.goals) == "latency":
        drawn["pareto-macs"] = pareto_figure(*arguments, x="macs", front_posterior=data.front_posterior)
    for x, figure in zip((x_quantity(settings.goals), "macs"), drawn.values(), strict=False):
        figure.add_traces(netadapt_traces(data.run.folder, x))
    return drawn


def _progress(data: _ReportData) -> Html:
    settings = data.run.settings
    if len(data.completed) < 2:
        return Html("")
    objectives, last = settings.goals.objectives, data.records[-1].trial
    if len(objectives) == 1:
        figure = best_value_figure(data.completed, objectives[0], last)
        text = "The best value so far, from trial to trial."
    else:
        box = hypervolume_box(data.completed, settings.goals, settings.latency.reference_ms)
        figure = hypervolume_figure(data.completed, box, last)
        objective_values = zip(objectives, box.reference_point, strict=True)
        reference_point = ", ".join(value_text(each.quantity, value) for each, value in objective_values)
        text = (
            "The part of the box between perfection at no cost and the reference point that the front takes, "
            f"from trial to trial. Reference point: {reference_point}. A line that has been flat for long "
            "says that more trials of the same kind will bring little."
        )
    return joined([tag("h2", "Progress"), tag("p", text, class_="note"), plot(figure, "progress", 320)])


def _networks(data: _ReportData) -> Html:
    settings = data.run.settings
    if not data.front and not data.baselines:
        return Html("")
    notes = []
    if data.front:
        notes.append(
            "The search chose these by validation accuracy and first measurement, which flatters them."
        )
    if data.front_posterior:
        notes.append(
            "± is the 95% interval of the mean of a network's trainings. What is likely (95%), and the "
            "probability to be truly on the front, take into account that the best of many was lucky too: an "
            "accuracy of few trainings is drawn towards what networks of its size have. A network may be "
            f"replaced by those that {_replacement_criterion(settings.goals)}."
        )
    if any(verification.test_images for verification in data.verifications.values()):
        notes.append("Test accuracy, of the first training, and the second measurement came afterwards.")
    if data.verifications:
        notes.append(verification_text(data.run))
    folder, goals = data.run.folder, settings.goals
    return joined(
        [
            tag("h2", "Networks"),
            tag("p", " ".join(notes), class_="note"),
            FrontTable(
                data.front,
                data.alternatives,
                data.baselines,
                data.verifications,
                goals,
                folder,
                data.front_posterior,
                settings.saves_weights,
            ).html(),
            strip_legend(),
        ]
    )


def _replacement_criterion(goals: Goals) -> str:
    if goals.reward:
        return "are not told to have less reward"
    costly = len(goals.objectives) > 1
    return f"{'cost no more and ' if costly else ''}are not told to be less accurate"


def _provenance(data: _ReportData) -> Html:
    settings = data.run.settings
    data_settings, latency, space = settings.data, settings.latency, settings.space
    limits = {"training": data_settings.train_images, "validation": data_settings.validation_images}
    images = [f"at most {limit:,} {part} images" for part, limit in limits.items() if limit]
    calibration = f"{milliseconds(latency.reference_ms)} when calibrated ({calibration_text(latency)})"
    rows: list[tuple[str, object]] = [
        ("space", f"{space.name}: {space.size:,} networks, {len(space.genes)} genes"),
        (
            "data",
            ", ".join([data_settings.name, *([data_settings.root] if data_settings.root else []), *images]),
        ),
        (
            "objectives",
            ", ".join(f"{each} ({each.direction})" for each in settings.goals.objectives),
        ),
        ("limits", limits_text(settings.goals, latency.reference_ms)),
        ("training", key_value_text(asdict(settings.recipe).items())),
        *([("early stopping", rungs_text(settings.rungs))] if settings.rungs else []),
        ("search", _search_text(data)),
        ("trials", _states_text(data.records)),
        ("latency", f"{latency.device}; 1x is {latency.reference}, {calibration}"),
        ("latency sources", sources_text(data.records)),
        ("time", times_text(data.run, data.records)),
        ("training device", settings.torch_device),
        ("search machine", key_value_text(settings.host.items())),
        ("versions", key_value_text(settings.versions.items())),
        ("created", settings.created),
    ]
    errors = sorted({record.error for record in data.records if record.error})
    if errors:
        rows.append(("errors", joined(tag("div", error) for error in errors)))
    parts = [tag("h2", "Provenance"), facts(rows)]
    if data.front:
        trial = (best_by(settings.goals.ranking_objective, data.front) or data.front[0]).trial
        line = export_command(data.run.folder, trial, settings.saves_weights)
        parts += [
            tag("p", f"To export trial {trial}, the {best_label(settings.goals)}:"),
            tag("pre", tag("code", line)),
        ]
    return joined(parts)


def _search_text(data: _ReportData) -> str:
    settings = data.run.settings
    enqueued_text = ", published networks first" if settings.enqueue_published else ""
    target = pluralize(settings.n_trials, "network")
    evaluator = "" if settings.evaluator == "train" else f" by {settings.evaluator}"
    text = (
        f"{settings.sampler}{enqueued_text}, seed {settings.seed}, until {target} have been judged{evaluator}"
    )
    n_replicates, n_failed = (
        sum(len(each.replicates) for each in data.records),
        len(data.run.failed_replicates()),
    )
    if not settings.replicates and not n_replicates:
        return text
    text += f"; {n_replicates} of {pluralize(settings.replicates, 'replicate')} trained"
    return f"{text}, {n_failed} failed" if n_failed else text


def _states_text(records: Sequence[Record]) -> str:
    count = {state: sum(record.state == state for record in records) for state in _OTHER_STATES}
    others = [f"{number:,} {_OTHER_STATES[state]}" for state, number in count.items() if number]
    return "; ".join([f"{len(records):,} in all", *others])
