"""An adaptation: a folder with its settings, the networks on its path, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evaluate import Constraint, Latency, Quantity, wilson_margin
from ...search_space import Architecture, Cost, RunError, cost
from ...search_space.errors import first_line
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.atomic_write import write_whole
from ...search_space.serialization.yaml_nodes import parse
from ..text.formatting import milliseconds, network_lines, value_of, value_text
from .directories import make_folder
from .netadapt_settings import AdaptationSettings, adaptation_yaml, read_adaptation

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .training_run import TrainingFolder

PATH_FORMAT = "adaptation-path/1"
SETTINGS_FILE = "adaptation.yaml"
FOLDER_IN_RUN = "adaptations"
PURPLE = "#CC79A7"  # of Okabe and Ito's colours, like those in `plot_style`


@dataclass(frozen=True)
class PathRow:
    """A network on the path: the start, or one that a cut left.

    Attributes:
        step: 0 for the start.
        place: that was cut, from so many channels to so many; empty for the start.
        top1, loss: on the validation images; after a brief tuning, the start's as it was given.
        uncut_top1, uncut_loss: of the network before the cut, tuned alike; None for the start.
        images: number of validation images.
        proposals: that were tuned in this step.
        level: how many of the others so many images do not tell from this one by top-1.
        tops: least and greatest top-1 among the proposals; empty for the start.
    """

    step: int
    place: str
    before: int
    after: int
    architecture: Architecture
    latency: Latency | None
    top1: float
    loss: float
    uncut_top1: float | None
    uncut_loss: float | None
    images: int
    proposals: int
    level: int
    tops: tuple[float, ...]
    seconds: float

    @cached_property
    def cost(self) -> Cost:
        return cost(self.architecture)

    @property
    def margin(self) -> float:
        """Half the 95% interval of `top1` that so many validation images leave."""
        return wilson_margin(self.top1, self.images)

    @property
    def what(self) -> str:
        """`expansion of block 3: 120 to 96`."""
        return f"{self.place}: {self.before} to {self.after}" if self.step else "the start"

    def value(self, limit: Constraint) -> float:
        """What the limit looks at."""
        found = limit.value_of(self.cost, self.latency)
        assert found is not None
        return found

    def plain(self) -> dict[str, Any]:
        """The values of a row of a table, without the network itself."""
        latency = self.latency
        return {
            "step": self.step,
            "place": self.place,
            "before": self.before,
            "after": self.after,
            "key": self.architecture.key,
            "macs": self.cost.macs,
            "params": self.cost.params,
            "latency_ms": latency.latency_ms if latency else None,
            "latency_ratio": latency.ratio if latency else None,
            "latency_source": latency.source if latency else None,
            "uncut_top1": self.uncut_top1,
            "uncut_loss": self.uncut_loss,
            "top1": self.top1,
            "loss": self.loss,
            "margin": self.margin,
            "proposals": self.proposals,
            "level": self.level,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class AdaptationFolder:
    """An opened adaptation."""

    folder: Path
    settings: AdaptationSettings

    @classmethod
    def create(cls, folder: Path, settings: AdaptationSettings) -> "AdaptationFolder":
        """Make the folder and write `adaptation.yaml`.

        Raises:
            RunError: the folder exists, or cannot be made.
        """
        make_folder(folder, f"bneck adapt {folder} --resume")
        (folder / "steps").mkdir()
        write_whole(folder / SETTINGS_FILE, adaptation_yaml(settings))
        return cls(folder, settings)

    @classmethod
    def open(cls, folder: Path) -> "AdaptationFolder":
        """Open a folder that `bneck adapt` made.

        Raises:
            RunError: it is none.
        """
        if not is_adaptation(folder):
            raise RunError(f"{folder} is no adaptation (it has no {SETTINGS_FILE}); `bneck adapt` makes one")
        return cls(folder, read_adaptation(folder / SETTINGS_FILE))

    def network_file(self, step: int) -> Path:
        """The network after a step; 0 is the start."""
        return self.folder / "steps" / f"{step}.safetensors"

    def proposal_file(self, step: int, architecture: Architecture) -> Path:
        """Where a proposal of a step is kept until the step is over."""
        return self.folder / "steps" / f"{step}-proposals" / f"{architecture.key}.safetensors"

    @property
    def latency_model_file(self) -> Path:
        return self.folder / "latency-model.json"

    @property
    def start_folder(self) -> Path:
        """The training of the start, where it had no weights."""
        return self.folder / "start"

    @property
    def final_folder(self) -> Path:
        """The training of the result."""
        return self.folder / "final"

    @property
    def report_file(self) -> Path:
        return self.folder / "report.html"

    @property
    def result_file(self) -> Path:
        """What came out, for programs; there once all is over."""
        return self.folder / "result.json"

    def final(self) -> "TrainingFolder":
        from .training_run import TrainingFolder

        return TrainingFolder.open(self.final_folder)

    def result(self) -> dict[str, Any] | None:
        """What `result.json` holds; None before the end."""
        if not self.result_file.is_file():
            return None
        found: dict[str, Any] = json.loads(self.result_file.read_text(encoding="utf-8"))
        return found

    def path(self) -> list[PathRow]:
        """The start and every cut so far.

        Raises:
            RunError: `path.json` is damaged.
        """
        file = self.folder / "path.json"
        if not file.is_file():
            return []
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["bneck"] != PATH_FORMAT:
                raise RunError(f"{file}: must be of form {PATH_FORMAT}, got {found['bneck']}")
            return [_read_row(row, file) for row in found["rows"]]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{file}: is damaged ({first_line(error)})") from None

    def write_path(self, rows: Sequence[PathRow]) -> None:
        """`path.json`, and `path.csv` without the networks themselves."""
        import pandas

        form = {"bneck": PATH_FORMAT, "rows": [_row_to_dict(row) for row in rows]}
        write_whole(self.folder / "path.json", json.dumps(form, indent=1) + "\n")
        table = pandas.DataFrame([row.plain() for row in rows])
        write_whole(self.folder / "path.csv", table.to_csv(index=False, lineterminator="\n"))


def is_adaptation(folder: Path) -> bool:
    """Whether `bneck adapt` made it."""
    return (folder / SETTINGS_FILE).is_file()


def adaptations_of(run: Path) -> list[AdaptationFolder]:
    """Those that started from networks of a search, in its folder."""
    found = sorted((run / FOLDER_IN_RUN).glob(f"*/{SETTINGS_FILE}"))
    return [AdaptationFolder.open(file.parent) for file in found]


def path_trace(
    rows: Sequence[PathRow], x: Quantity, name: str, result: dict[str, Any] | None = None
) -> "go.Scatter":
    """The path as a line in a plot of validation accuracy, in percent, against a cost.

    Networks without that cost are left out.

    Args:
        name: in the legend.
        result: what came out, whose last training is a star at the end; None without.
    """
    import plotly.graph_objects as go

    from ..plots.style import HOVER

    placed = [(row, at) for row in rows if (at := value_of(x, row.cost, row.latency)) is not None]
    xs, tops = [at for _, at in placed], [row.top1 for row, _ in placed]
    texts, symbols = [_hover(row) for row, _ in placed], ["circle-open"] * len(placed)
    if result is not None and placed:
        xs.append(xs[-1])
        tops.append(result["final"]["validation_top1"])
        texts.append(_hover(placed[-1][0], tops[-1]))
        symbols.append("star")
    return go.Scatter(
        x=xs,
        y=[100 * top1 for top1 in tops],
        customdata=texts,
        hovertemplate=HOVER,
        mode="lines+markers",
        line={"color": PURPLE, "width": 1.5},
        marker={"color": PURPLE, "symbol": symbols, "size": [14 if s == "star" else 7 for s in symbols]},
        name=name,
    )


def path_traces(run: Path, x: Quantity) -> list["go.Scatter"]:
    """The paths of all adaptations in the folder of a search, for its Pareto plot."""
    return [
        path_trace(rows, x, f"adapted: {each.folder.name}", each.result())
        for each in adaptations_of(run)
        if (rows := each.path())
    ]


def _hover(row: PathRow, final_top1: float | None = None) -> str:
    told = f"{100 * (row.top1 if final_top1 is None else final_top1):.1f}% on validation images"
    when = "trained to the end" if final_top1 is not None else "tuned briefly" if row.step else "as given"
    lines = [f"<b>step {row.step}</b>, {row.what}", f"{told}, {when}"]
    if row.latency:
        lines.append(f"{milliseconds(row.latency.latency_ms)} ({row.latency.source})")
    lines += [value_text("macs", row.cost.macs), value_text("params", row.cost.params)]
    return "<br>".join([*lines, "", *network_lines(row.architecture)])


def _row_to_dict(row: PathRow) -> dict[str, Any]:
    return {**asdict(row), "architecture": row.architecture.to_dict(), **row.plain()}


def _read_row(given: dict[str, Any], file: Path) -> PathRow:
    values = {field.name: given[field.name] for field in fields(PathRow)}
    network = parse(json.dumps(values["architecture"]), f"{file}: step {values['step']}")
    latency = values["latency"]
    return PathRow(
        **values
        | {
            "architecture": read_architecture(network),
            "latency": Latency(**latency) if latency else None,
            "tops": tuple(values["tops"]),
        }
    )
