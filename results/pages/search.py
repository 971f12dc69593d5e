"""The report of a run: one HTML page that opens offline."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from plotly.graph_objects import Figure

from ...evaluate import Goals
from ...search_space.serialization.atomic_write import write_whole
from ..analysis.front_posterior import Certainty, best_by, certainty_of
from ..analysis.hypervolume import box_of
from ..analysis.macs_baseline import macs_rule
from ..plots.history import best_figure, hypervolume_figure
from ..plots.pareto import pareto_figure, x_quantity
from ..store.fidelities import rungs_text
from ..store.netadapt_run import path_traces
from ..store.search_run import Baseline, Check, Run
from ..store.trial import Record, State
from ..text.formatting import (
    count_of,
    limits_text,
    milliseconds,
    outcome,
    pairs,
    reward_text,
    superlative,
    value_text,
)
from ..text.front_posterior import certainty_lines
from ..text.latency import calibration_text, dropped_text, sources_text, times_text
from ..text.surrogate_quality import foretold_text
from .ablation import choices_section
from .front_table import FrontTable, export_command, strip_legend
from .html import Html, facts, joined, page, plot, tag

_OTHER_STATES: dict[State, str] = {
    "stopped": "stopped early",
    "repeat": "repeated an earlier network",
    "failed": "failed",
    "interrupted": "interrupted",
    "running": "running",
    "waiting": "waiting",
}


def write_report(run: Run, path: Path) -> None:
    """Write the page.

    Raises:
        RunError: it cannot be written there.
    """
    write_whole(path, report_html(run))


def report_html(run: Run) -> str:
    """The page, with nothing outside it; the same run gives the same bytes."""
    found = _Found(run)
    title = f"{run.settings.space.name} on {run.settings.data.name}"
    choices = choices_section(run, found.judged)
    sections = (_head(title, found), _trade(found), _progress(found), _networks(found))
    return page(title, joined([*sections, choices, _making(found)]))


def report_figures(run: Run) -> dict[str, Figure]:
    """The page's Pareto plots by file name."""
    return _pareto_figures(_Found(run))


@dataclass(frozen=True)
class _Found:
    """What the sections tell of, read from the study once."""

    run: Run

    @cached_property
    def records(self) -> list[Record]:
        return self.run.records()

    @cached_property
    def kept(self) -> list[Record]:
        """Without those that left the front when they were measured again."""
        dropped = self.run.dropped()
        return [record for record in self.records if record.key not in dropped]

    @cached_property
    def judged(self) -> list[Record]:
        return [record for record in self.kept if record.state == "judged"]

    @cached_property
    def front(self) -> list[Record]:
        return self.run.front()

    @property
    def rivals(self) -> list[Record]:
        """Among which a reader chooses: the front, or with a single objective all that were judged."""
        return self.front if len(self.run.settings.goals.objectives) > 1 else self.judged

    @cached_property
    def certainty(self) -> Certainty | None:
        """None where the noise is not known."""
        return certainty_of(self.judged, self.run.settings.goals)

    @cached_property
    def baselines(self) -> list[Baseline]:
        return self.run.baselines()

    @cached_property
    def checks(self) -> dict[str, Check]:
        return self.run.checks()


def _head(title: str, found: _Found) -> Html:
    goals = found.run.settings.goals
    rule = macs_rule(found.judged, found.front, found.certainty, goals)
    foretold = foretold_text(found.judged, found.certainty)
    return joined(
        [
            tag("h1", title),
            tag("p", outcome(found.records, found.front, goals), class_="lead"),
            tag("p", " ".join(certainty_lines(found.rivals, goals, found.certainty))),
            *([tag("p", rule.sentences)] if rule else []),
            *([tag("p", foretold)] if foretold else []),
            *([tag("p", f"{spent}.")] if (spent := found.run.spent()) else []),
        ]
    )


def _trade(found: _Found) -> Html:
    settings = found.run.settings
    reference_ms = settings.latency.reference_ms
    quantities = [objective.quantity for objective in settings.goals.objectives]
    x, drawn = x_quantity(settings.goals), _pareto_figures(found)
    notes = [f"Limits: {limits_text(settings.goals, reference_ms)}."]
    if len(quantities) > 1 and set(quantities) != {"accuracy", x}:
        notes.append(
            f"The front is that of {', '.join(quantities)} together, so some of it may look beaten here."
        )
    if settings.goals.reward:
        notes.append(
            f"The reward is {reward_text(settings.goals.reward)}; on the dotted curve it is that of the best."
        )
    if found.front:
        bars = "95% intervals of the mean of a network's trainings" if found.certainty else "95% intervals"
        notes.append(f"Bars are {bars}. Click a diamond for its row in the table.")
    if any(record.state == "stopped" for record in found.kept):
        notes.append(
            "Networks that were stopped early have accuracies of fewer epochs and are left out: a click on "
            "the legend shows them."
        )
    parts = [
        tag("h2", "The trade"),
        tag("p", " ".join(notes), class_="note"),
        plot(drawn["pareto"], "pareto", 540),
    ]
    if "pareto-macs" in drawn:
        text = "The same by MACs, which are known of networks too that were refused before a measurement."
        parts += [tag("p", text, class_="note"), plot(drawn["pareto-macs"], "pareto-macs", 420)]
    return joined(parts)


def _pareto_figures(found: _Found) -> dict[str, Figure]:
    """By name: against the cost that counts, and where that is latency against MACs too."""
    settings = found.run.settings
    reference_ms = settings.latency.reference_ms
    shown = (found.kept, found.front, found.baselines, found.checks, settings.goals, reference_ms)
    drawn = {"pareto": pareto_figure(*shown, certainty=found.certainty)}
    if x_quantity(settings.goals) == "latency":
        drawn["pareto-macs"] = pareto_figure(*shown, x="macs", certainty=found.certainty)
    for x, figure in zip((x_quantity(settings.goals), "macs"), drawn.values(), strict=False):
        figure.add_traces(path_traces(found.run.folder, x))
    return drawn


def _progress(found: _Found) -> Html:
    settings = found.run.settings
    if len(found.judged) < 2:
        return Html("")
    objectives, last = settings.goals.objectives, found.records[-1].trial
    if len(objectives) == 1:
        figure = best_figure(found.judged, objectives[0], last)
        text = "The best value so far, from trial to trial."
    else:
        box = box_of(found.judged, settings.goals, settings.latency.reference_ms)
        figure = hypervolume_figure(found.judged, box, last)
        pairs = zip(objectives, box.worst, strict=True)
        worst = ", ".join(value_text(each.quantity, value) for each, value in pairs)
        text = (
            "The part of the box between perfection at no cost and the reference point that the front takes, "
            f"from trial to trial. Reference point: {worst}. A line that has been flat for long says that "
            "more trials of the same kind will bring little."
        )
    return joined([tag("h2", "Progress"), tag("p", text, class_="note"), plot(figure, "progress", 320)])


def _networks(found: _Found) -> Html:
    settings = found.run.settings
    if not found.front and not found.baselines:
        return Html("")
    notes = []
    if found.front:
        notes.append(
            "The search chose these by validation accuracy and first measurement, which flatters them."
        )
    if found.certainty:
        notes.append(
            "± is the 95% interval of the mean of a network's trainings. What is likely (95%), and the "
            "probability to be truly on the front, take into account that the best of many was lucky too: an "
            "accuracy of few trainings is drawn towards what networks of its size have. A network may be "
            f"replaced by those that {_replacing(settings.goals)}."
        )
    if any(check.test_images for check in found.checks.values()):
        notes.append("Test accuracy, of the first training, and the second measurement came afterwards.")
    if found.checks:
        notes.append(dropped_text(found.run))
    folder, goals = found.run.folder, settings.goals
    return joined(
        [
            tag("h2", "The networks"),
            tag("p", " ".join(notes), class_="note"),
            FrontTable(
                found.front,
                found.rivals,
                found.baselines,
                found.checks,
                goals,
                folder,
                found.certainty,
                settings.keeps_weights,
            ).html(),
            strip_legend(),
        ]
    )


def _replacing(goals: Goals) -> str:
    if goals.reward:
        return "are not told to have less reward"
    costly = len(goals.objectives) > 1
    return f"{'cost no more and ' if costly else ''}are not told to be less accurate"


def _making(found: _Found) -> Html:
    settings = found.run.settings
    data, latency, space = settings.data, settings.latency, settings.space
    limits = {"training": data.train_images, "validation": data.validation_images}
    images = [f"at most {limit:,} {part} images" for part, limit in limits.items() if limit]
    calibration = f"{milliseconds(latency.reference_ms)} when calibrated ({calibration_text(latency)})"
    rows: list[tuple[str, object]] = [
        ("space", f"{space.name}: {space.size:,} networks, {len(space.genes)} genes"),
        ("data", ", ".join([data.name, *([data.root] if data.root else []), *images])),
        (
            "objectives",
            ", ".join(f"{each} ({each.direction})" for each in settings.goals.objectives),
        ),
        ("limits", limits_text(settings.goals, latency.reference_ms)),
        ("training", pairs(asdict(settings.recipe).items())),
        *([("early stopping", rungs_text(settings.rungs))] if settings.rungs else []),
        ("search", _search_text(found)),
        ("trials", _states_text(found.records)),
        ("latency", f"{latency.device}; 1x is {latency.reference}, {calibration}"),
        ("latencies", sources_text(found.records)),
        ("time", times_text(found.run, found.records)),
        ("trained on", settings.torch_device),
        ("searched on", pairs(settings.host.items())),
        ("versions", pairs(settings.versions.items())),
        ("begun", settings.created),
    ]
    errors = sorted({record.error for record in found.records if record.error})
    if errors:
        rows.append(("errors", joined(tag("div", error) for error in errors)))
    parts = [tag("h2", "How it was made"), facts(rows)]
    if found.front:
        trial = (best_by(settings.goals.merit, found.front) or found.front[0]).trial
        line = export_command(found.run.folder, trial, settings.keeps_weights)
        parts += [
            tag("p", f"To export trial {trial}, the {superlative(settings.goals)}:"),
            tag("pre", tag("code", line)),
        ]
    return joined(parts)


def _search_text(found: _Found) -> str:
    settings = found.run.settings
    warm = ", published networks first" if settings.warm_start else ""
    wanted = count_of(settings.trials, "network")
    scorer = "" if settings.scorer == "train" else f" by {settings.scorer}"
    told = f"{settings.sampler}{warm}, seed {settings.seed}, until {wanted} have been judged{scorer}"
    again, failed = sum(len(each.repeats) for each in found.records), len(found.run.failed_repeats())
    if not settings.repeats and not again:
        return told
    told += f"; {again} of {count_of(settings.repeats, 'repeat')} trained"
    return f"{told}, {failed} failed" if failed else told


def _states_text(records: Sequence[Record]) -> str:
    count = {state: sum(record.state == state for record in records) for state in _OTHER_STATES}
    others = [f"{number:,} {_OTHER_STATES[state]}" for state, number in count.items() if number]
    return "; ".join([f"{len(records):,} in all", *others])
