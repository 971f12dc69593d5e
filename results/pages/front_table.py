"""The table of a report: the front and the published networks, each with its blocks on demand."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...evaluate import Accuracy, Goals, Latency, format_count, wilson_half_width
from ..analysis.front_posterior import FrontPosterior
from ..plots.history import KERNEL_COLOURS, architecture_strip
from ..store.search_run import Baseline, Verification
from ..store.trial import Record
from ..text.formatting import (
    accuracy_text,
    listed,
    milliseconds,
    network_lines,
    pluralize,
    ratio_text,
    with_overlapping_interval,
)
from ..text.front_posterior import percent
from .html import Html, joined, plot, table_row, tag

_NOTHING = "–"
_MOST_LISTED = 8


def export_command(folder: Path, trial: int | str, weights: bool = True) -> str:
    """The line that writes a network's config, and its ONNX model where there are weights."""
    formats = "config,onnx" if weights else "config"
    return f"bneck export {shlex.quote(str(folder))} --trial {trial} --format {formats} -o exported"


@dataclass(frozen=True)
class FrontTable:
    """A row a network, and one to open below it.

    Attributes:
        alternatives: the networks that a row's accuracy is held against where the noise is not known.
        front_posterior: None where the noise is not known.
        weights: whether those of the networks were kept.
    """

    front: Sequence[Record]
    alternatives: Sequence[Record]
    baselines: Sequence[Baseline]
    verifications: Mapping[str, Verification]
    goals: Goals
    folder: Path
    front_posterior: FrontPosterior | None = None
    weights: bool = True

    def html(self) -> Html:
        """The table in a box of its own that scrolls sideways; columns without any value are left out."""
        parts = [
            tag("thead", table_row(self._columns, "th")),
            tag("tbody", *map(self._front_rows, self.front)),
        ]
        if self.baselines:
            title = "published, trained and measured the same way"
            group = tag("tr", tag("th", title, colspan=str(len(self._columns)), class_="group"))
            parts.append(tag("tbody", group, *map(self._baseline_rows, self.baselines)))
        table = tag("table", *parts, class_="wide")
        return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="networks")

    @property
    def _columns(self) -> list[str]:
        return [
            "trial, key",
            *(["reward"] if self.goals.reward else []),
            "validation accuracy",
            *(["P(Pareto)", "possible replacements"] if self.front_posterior else []),
            *([] if self.front_posterior else ["indistinguishable from trials"]),
            *(["test accuracy"] if self._has_test_accuracy else []),
            "latency",
            *(["latency, verified"] if self.verifications else []),
            "MACs",
            "parameters",
            "blocks",
        ]

    @property
    def _has_test_accuracy(self) -> bool:
        return bool(self.baselines) or any(
            verification.test_images for verification in self.verifications.values()
        )

    def _front_rows(self, record: Record) -> Html:
        verification = self.verifications.get(record.key)
        source = f", {record.source}" if record.source != "sampler" else ""
        name = joined([tag("strong", record.trial), source])
        test = _accuracy_text(verification.test_top1, verification.test_images) if verification else _NOTHING
        remeasured = _latency(verification.latency) if verification else _NOTHING
        command = tag("pre", tag("code", export_command(self.folder, record.trial, self.weights)))
        return self._rows(record, name, test, remeasured, f"trial-{record.trial}", command)

    def _baseline_rows(self, baseline: Baseline) -> Html:
        violations = self.goals.violations(baseline.cost, baseline.latency)
        broken = ", ".join(quantity for quantity, violation in violations.items() if violation > 0)
        name = joined(
            [baseline.name, tag("small", f"over the limit: {broken}", class_="warn") if broken else ""]
        )
        return self._rows(
            baseline,
            name,
            _accuracy_text(baseline.test_top1, baseline.test_images),
            _NOTHING,
            baseline.name,
            "",
        )

    def _rows(
        self,
        known: Record | Baseline,
        name: Html,
        test: str,
        remeasured: object,
        ident: str,
        details_content: object,
    ) -> Html:
        cells = [
            joined([name, tag("small", tag("code", known.architecture.key))]),
            *([self._reward(known)] if self.goals.reward else []),
            *self._accuracy(known),
            *([test] if self._has_test_accuracy else []),
            _latency(known.latency),
            *([remeasured] if self.verifications else []),
            format_count(known.cost.macs),
            format_count(known.cost.params),
            len(known.architecture.blocks),
        ]
        stem, *_, head = network_lines(known.architecture)
        strip = plot(architecture_strip(known.architecture), f"{ident}-blocks", 190)
        details = tag("details", tag("summary", f"{stem}; {head}"), strip, details_content, id=ident)
        more = tag("tr", tag("td", details, colspan=str(len(cells))), class_="more")
        return joined([table_row(cells), more])

    def _reward(self, known: Record | Baseline) -> str:
        trained = known if isinstance(known, Record) else known.accuracy
        accuracy_factor = self.goals.ranking_objective.accuracy_factor(known.cost, known.latency)
        return _NOTHING if accuracy_factor is None else f"{trained.top1 * accuracy_factor:.4f}"

    def _accuracy(self, known: Record | Baseline) -> list[object]:
        """The cells that tell accuracy and how sure it is."""
        trained = known if isinstance(known, Record) else known.accuracy
        if isinstance(trained, Record) and not trained.trainings:
            return [_NOTHING] * (3 if self.front_posterior else 2)
        if self.front_posterior is None:
            return [accuracy_text(trained), _listed(with_overlapping_interval(trained, self.alternatives))]
        accuracy_cell = accuracy_text(trained, self.front_posterior.noise)
        if isinstance(trained, Accuracy) or trained not in self.front_posterior:
            return [accuracy_cell, _NOTHING, _NOTHING]
        low, high = self.front_posterior.interval(trained)
        interval = tag("small", f"likely {100 * low:.1f} to {100 * high:.1f}%")
        probability = percent(self.front_posterior.pareto_probability(trained))
        return [
            joined([accuracy_cell, interval]),
            probability,
            _listed(self.front_posterior.replacements(trained)),
        ]


def strip_legend() -> Html:
    """What the bars of a strip mean."""
    swatches = [
        joined([tag("span", class_="swatch", style=f"background: {colour}"), f"{kernel} × {kernel}"])
        for kernel, colour in KERNEL_COLOURS.items()
    ]
    return tag(
        "p",
        "Open a row for the network's blocks, from the image to the classes. Height is output channels; "
        "colour is the kernel:",
        *swatches,
        ". Hatched is squeeze-and-excitation (se), dotted is eca. Above a bar stands the expansion ratio; "
        "s2 below it means stride 2.",
        class_="note",
    )


def _listed(records: Sequence[Record]) -> Html:
    trials = [record.trial for record in records]
    words = pluralize(len(trials), "trial") if len(trials) > _MOST_LISTED else listed(trials) or _NOTHING
    return tag("div", words, class_="list")


def _accuracy_text(top1: float | None, images: int) -> str:
    if top1 is None:
        return _NOTHING
    return f"{100 * top1:.1f} ± {100 * wilson_half_width(top1, images):.1f}%"


def _latency(latency: Latency | None) -> object:
    if latency is None:
        return _NOTHING
    return joined([milliseconds(latency.latency_ms), tag("small", ratio_text(latency))])
