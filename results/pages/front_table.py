"""The table of a report: the front and the published networks, each with its blocks on demand."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...evaluate import Accuracy, Goals, Latency, short_count, wilson_margin
from ..analysis.front_posterior import Certainty
from ..plots.history import KERNEL_COLOURS, architecture_strip
from ..store.search_run import Baseline, Check
from ..store.trial import Record
from ..text.formatting import (
    accuracy_text,
    count_of,
    listed,
    milliseconds,
    network_lines,
    ratio_text,
    same_accuracy,
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
        rivals: the networks that a row's accuracy is held against where the noise is not known.
        certainty: None where the noise is not known.
        weights: whether those of the networks were kept.
    """

    front: Sequence[Record]
    rivals: Sequence[Record]
    baselines: Sequence[Baseline]
    checks: Mapping[str, Check]
    goals: Goals
    folder: Path
    certainty: Certainty | None = None
    weights: bool = True

    def html(self) -> Html:
        """The table in a box of its own that scrolls sideways; columns without any value are left out."""
        parts = [tag("thead", table_row(self._columns, "th")), tag("tbody", *map(self._found, self.front))]
        if self.baselines:
            title = "published, trained and measured the same way"
            group = tag("tr", tag("th", title, colspan=str(len(self._columns)), class_="group"))
            parts.append(tag("tbody", group, *map(self._published, self.baselines)))
        table = tag("table", *parts, class_="wide")
        return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="networks")

    @property
    def _columns(self) -> list[str]:
        return [
            "trial, key",
            *(["reward"] if self.goals.reward else []),
            "validation accuracy",
            *(["truly on the front", "may be replaced by trials"] if self.certainty else []),
            *([] if self.certainty else ["not told apart from trials"]),
            *(["test accuracy"] if self._tested else []),
            "latency",
            *(["latency, measured again"] if self.checks else []),
            "MACs",
            "parameters",
            "blocks",
        ]

    @property
    def _tested(self) -> bool:
        return bool(self.baselines) or any(check.test_images for check in self.checks.values())

    def _found(self, record: Record) -> Html:
        check = self.checks.get(record.key)
        source = f", {record.source}" if record.source != "sampler" else ""
        name = joined([tag("strong", record.trial), source])
        test = _share(check.test_top1, check.test_images) if check else _NOTHING
        again = _latency(check.latency) if check else _NOTHING
        command = tag("pre", tag("code", export_command(self.folder, record.trial, self.weights)))
        return self._rows(record, name, test, again, f"trial-{record.trial}", command)

    def _published(self, baseline: Baseline) -> Html:
        found = self.goals.violations(baseline.cost, baseline.latency)
        broken = ", ".join(quantity for quantity, violation in found.items() if violation > 0)
        name = joined(
            [baseline.name, tag("small", f"over the limit: {broken}", class_="warn") if broken else ""]
        )
        return self._rows(
            baseline, name, _share(baseline.test_top1, baseline.test_images), _NOTHING, baseline.name, ""
        )

    def _rows(
        self, known: Record | Baseline, name: Html, test: str, again: object, ident: str, below: object
    ) -> Html:
        cells = [
            joined([name, tag("small", tag("code", known.architecture.key))]),
            *([self._reward(known)] if self.goals.reward else []),
            *self._accuracy(known),
            *([test] if self._tested else []),
            _latency(known.latency),
            *([again] if self.checks else []),
            short_count(known.cost.macs),
            short_count(known.cost.params),
            len(known.architecture.blocks),
        ]
        stem, *_, head = network_lines(known.architecture)
        strip = plot(architecture_strip(known.architecture), f"{ident}-blocks", 190)
        details = tag("details", tag("summary", f"{stem}; {head}"), strip, below, id=ident)
        more = tag("tr", tag("td", details, colspan=str(len(cells))), class_="more")
        return joined([table_row(cells), more])

    def _reward(self, known: Record | Baseline) -> str:
        trained = known if isinstance(known, Record) else known.accuracy
        factor = self.goals.merit.factor(known.cost, known.latency)
        return _NOTHING if factor is None else f"{trained.top1 * factor:.4f}"

    def _accuracy(self, known: Record | Baseline) -> list[object]:
        """The cells that tell accuracy and how sure it is."""
        trained = known if isinstance(known, Record) else known.accuracy
        if isinstance(trained, Record) and not trained.trainings:
            return [_NOTHING] * (3 if self.certainty else 2)
        if self.certainty is None:
            return [accuracy_text(trained), _listed(same_accuracy(trained, self.rivals))]
        told = accuracy_text(trained, self.certainty.noise)
        if isinstance(trained, Accuracy) or trained not in self.certainty:
            return [told, _NOTHING, _NOTHING]
        low, high = self.certainty.interval(trained)
        likely = tag("small", f"likely {100 * low:.1f} to {100 * high:.1f}%")
        chance = percent(self.certainty.on_front_probability(trained))
        return [joined([told, likely]), chance, _listed(self.certainty.replacements(trained))]


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
    words = count_of(len(trials), "trial") if len(trials) > _MOST_LISTED else listed(trials) or _NOTHING
    return tag("div", words, class_="list")


def _share(top1: float | None, images: int) -> str:
    if top1 is None:
        return _NOTHING
    return f"{100 * top1:.1f} ± {100 * wilson_margin(top1, images):.1f}%"


def _latency(latency: Latency | None) -> object:
    if latency is None:
        return _NOTHING
    return joined([milliseconds(latency.latency_ms), tag("small", ratio_text(latency))])
