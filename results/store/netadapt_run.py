"""An adaptation: a folder with its settings, the networks on its path, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evaluate import Constraint, Latency, wilson_half_width
from ...search_space import Architecture, Cost, RunError, cost
from ...search_space.errors import first_line
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.yaml_nodes import parse
from .experiment import NETADAPT_FILE, Experiment
from .netadapt_settings import NetAdaptSettings, netadapt_yaml, read_netadapt_settings

if TYPE_CHECKING:
    from .training_run import TrainingRun

PATH_FORMAT = "netadapt-path/1"
NETADAPT_DIRECTORY = "netadapt"


@dataclass(frozen=True)
class NetAdaptRow:
    """A network on the path: the start, or one that a cut left.

    Attributes:
        step: 0 for the start.
        group: that was cut, from so many channels to so many; empty for the start.
        top1, loss: on the validation images; after a brief tuning, the start's as it was given.
        unpruned_top1, unpruned_loss: of the network before the cut, tuned alike; None for the start.
        images: number of validation images.
        proposals: that were tuned in this step.
        n_indistinguishable: how many of the others so many images do not tell from this one by top-1.
        top1s: least and greatest top-1 among the proposals; empty for the start.
    """

    step: int
    group: str
    channels_before: int
    channels_after: int
    architecture: Architecture
    latency: Latency | None
    top1: float
    loss: float
    unpruned_top1: float | None
    unpruned_loss: float | None
    images: int
    proposals: int
    n_indistinguishable: int
    top1s: tuple[float, ...]
    seconds: float

    @cached_property
    def cost(self) -> Cost:
        return cost(self.architecture)

    @property
    def top1_ci95(self) -> float:
        """Half the 95% interval of `top1` that so many validation images leave."""
        return wilson_half_width(self.top1, self.images)

    @property
    def description(self) -> str:
        """`expansion of block 3: 120 to 96`."""
        return (
            f"{self.group}: {self.channels_before} to {self.channels_after}"
            if self.step
            else "initial network"
        )

    def value(self, limit: Constraint) -> float:
        """What the limit looks at."""
        measured = limit.measured_value(self.cost, self.latency)
        assert measured is not None
        return measured

    def as_row(self) -> dict[str, Any]:
        """The values of a row of a table, without the network itself."""
        latency = self.latency
        return {
            "step": self.step,
            "group": self.group,
            "channels_before": self.channels_before,
            "channels_after": self.channels_after,
            "key": self.architecture.key,
            "macs": self.cost.macs,
            "params": self.cost.params,
            "latency_ms": latency.latency_ms if latency else None,
            "latency_ratio": latency.ratio if latency else None,
            "latency_source": latency.source if latency else None,
            "unpruned_top1": self.unpruned_top1,
            "unpruned_loss": self.unpruned_loss,
            "top1": self.top1,
            "loss": self.loss,
            "top1_ci95": self.top1_ci95,
            "proposals": self.proposals,
            "n_indistinguishable": self.n_indistinguishable,
            "seconds": self.seconds,
        }


class NetAdaptRun(Experiment[NetAdaptSettings]):
    """A NetAdapt run: a starting network pruned step by step to a limit, then trained once more."""

    SETTINGS_NAME = NETADAPT_FILE
    COMMAND = "bneck netadapt"
    SUBFOLDERS = ("steps",)

    @classmethod
    def _read_settings(cls, path: Path) -> NetAdaptSettings:
        return read_netadapt_settings(path)

    def _settings_yaml(self) -> str:
        return netadapt_yaml(self.settings)

    def network_file(self, step: int) -> Path:
        """The network after a step; 0 is the start."""
        return self.folder / "steps" / f"{step}.safetensors"

    def proposal_file(self, step: int, architecture: Architecture) -> Path:
        """Where a proposal of a step is kept until the step is over."""
        return self.folder / "steps" / f"{step}-proposals" / f"{architecture.key}.safetensors"

    @property
    def latency_predictor_file(self) -> Path:
        return self.folder / "latency-predictor.json"

    @property
    def start_folder(self) -> Path:
        """The training of the start, where it had no weights."""
        return self.folder / "start"

    @property
    def final_folder(self) -> Path:
        """The training of the result."""
        return self.folder / "final"

    def final(self) -> "TrainingRun":
        from .training_run import TrainingRun

        return TrainingRun.open(self.final_folder)

    def path(self) -> list[NetAdaptRow]:
        """The start and every cut so far.

        Raises:
            RunError: `path.json` is damaged.
        """
        file = self.folder / "path.json"
        if not file.is_file():
            return []
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["bneck"] != PATH_FORMAT:
                raise RunError(f"{file}: must be of form {PATH_FORMAT}, got {content['bneck']}")
            return [_read_row(row, file) for row in content["rows"]]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{file}: is damaged ({first_line(error)})") from None

    def write_path(self, rows: Sequence[NetAdaptRow]) -> None:
        """`path.json`, and `path.csv` without the networks themselves."""
        import pandas

        form = {"bneck": PATH_FORMAT, "rows": [_row_to_dict(row) for row in rows]}
        write_atomic(self.folder / "path.json", json.dumps(form, indent=1) + "\n")
        table = pandas.DataFrame([row.as_row() for row in rows])
        write_atomic(self.folder / "path.csv", table.to_csv(index=False, lineterminator="\n"))


def netadapt_runs_of(run: Path) -> list[NetAdaptRun]:
    """Those that started from networks of a search, in its folder."""
    settings_files = sorted((run / NETADAPT_DIRECTORY).glob(f"*/{NETADAPT_FILE}"))
    return [NetAdaptRun.open(file.parent) for file in settings_files]


def _row_to_dict(row: NetAdaptRow) -> dict[str, Any]:
    return {**asdict(row), "architecture": row.architecture.to_dict(), **row.as_row()}


def _read_row(stored: dict[str, Any], file: Path) -> NetAdaptRow:
    values = {field.name: stored[field.name] for field in fields(NetAdaptRow)}
    network = parse(json.dumps(values["architecture"]), f"{file}: step {values['step']}")
    latency = values["latency"]
    return NetAdaptRow(
        **values
        | {
            "architecture": read_architecture(network),
            "latency": Latency(**latency) if latency else None,
            "top1s": tuple(values["top1s"]),
        }
    )
