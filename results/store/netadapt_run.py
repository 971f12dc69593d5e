"""A NetAdapt run: settings, the networks on its pruning path, and the result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...evaluate import Constraint, Latency, wilson_interval
from ...evaluate.trust import Kind
from ...search_space import Architecture, Cost, RunError, cost
from ...search_space.errors import first_line
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.bounded_json import load_json
from ...search_space.serialization.yaml_nodes import parse
from .experiment import NETADAPT_FILE, Experiment
from .netadapt_settings import NetAdaptSettings, netadapt_yaml, read_netadapt_settings

if TYPE_CHECKING:
    from .training_run import TrainingRun

PATH_FORMAT = "netadapt-path/2"
NETADAPT_DIRECTORY = "netadapt"


@dataclass(frozen=True)
class NetAdaptRow:
    """A network on the pruning path.

    Attributes:
        step: 0 for the initial network.
        place: the place that was cut, such as `expansion of block 3`; empty for the initial network.
        before, after: size of the place, as of a `Cut`.
        top1, loss: on the validation images, after fine-tuning; of the initial network without it.
        unpruned_top1, unpruned_loss: of the network before this step after the same fine-tuning; None for
            the initial network.
        images: number of validation images.
        proposals: number of proposals that were fine-tuned in this step.
        n_indistinguishable: other proposals whose top-1 lies within the 95% interval of this one.
        top1s: lowest and highest top-1 of the proposals; empty for the initial network.
    """

    step: int
    place: str
    before: int
    after: int
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
    def top1_ci95(self) -> tuple[float, float]:
        """95% confidence interval of `top1` for the number of images."""
        return wilson_interval(self.top1, self.images)

    @property
    def description(self) -> str:
        """`expansion of block 3: 120 to 96`."""
        return f"{self.place}: {self.before} to {self.after}" if self.step else "initial network"

    def value(self, limit: Constraint) -> float:
        """The value of the quantity that the limit constrains."""
        measured = limit.measured_value(self.cost, self.latency)
        assert measured is not None
        return measured

    def as_row(self) -> dict[str, Any]:
        """The columns of `path.csv`."""
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
            "unpruned_top1": self.unpruned_top1,
            "unpruned_loss": self.unpruned_loss,
            "top1": self.top1,
            "loss": self.loss,
            "top1_low": self.top1_ci95[0],
            "top1_high": self.top1_ci95[1],
            "proposals": self.proposals,
            "n_indistinguishable": self.n_indistinguishable,
            "seconds": self.seconds,
        }


class NetAdaptRun(Experiment[NetAdaptSettings]):
    """A NetAdapt run: a starting network pruned step by step to a limit, then trained once more."""

    SETTINGS_NAME = NETADAPT_FILE
    COMMAND = "bneck netadapt"
    SUBFOLDERS = ("steps",)
    RESULT_KEYS = ("start", "final", "n_steps", "test_images")

    @classmethod
    def _read_settings(cls, path: Path) -> NetAdaptSettings:
        return read_netadapt_settings(path)

    @property
    def named_values(self) -> Mapping[Kind, str]:
        settings = self.settings
        backend = settings.latency.backend if settings.latency else ""
        return {"data set": settings.data.name, "latency backend": backend}

    def _settings_yaml(self) -> str:
        return netadapt_yaml(self.settings)

    def network_file(self, step: int) -> Path:
        """Weights of the network after a step; step 0 is the initial network."""
        return self.folder / "steps" / f"{step}.safetensors"

    def proposal_file(self, step: int, architecture: Architecture) -> Path:
        """Weights of a proposal; removed when the step is complete."""
        return self.folder / "steps" / f"{step}-proposals" / f"{architecture.key}.safetensors"

    @property
    def pretrained_file(self) -> Path:
        """Weights that the training of the initial network starts from, if they are not random."""
        return self.folder / "steps" / "pretrained.safetensors"

    @property
    def latency_predictor_file(self) -> Path:
        return self.folder / "latency-predictor.json"

    @property
    def start_folder(self) -> Path:
        """The training of an initial network without weights."""
        return self.folder / "start"

    @property
    def final_folder(self) -> Path:
        """The training of the final network."""
        return self.folder / "final"

    def final(self) -> "TrainingRun":
        from .training_run import TrainingRun

        return TrainingRun.open(self.final_folder)

    def path(self) -> list[NetAdaptRow]:
        """The initial network and the network after every step so far.

        Raises:
            RunError: `path.json` is damaged.
        """
        file = self.folder / "path.json"
        if not file.is_file():
            return []
        try:
            content = load_json(file.read_text(encoding="utf-8"))
            if content["bneck"] != PATH_FORMAT:
                raise RunError(f"{file}: must have format {PATH_FORMAT}, got {content['bneck']}")
            return [_read_row(row, file) for row in content["rows"]]
        except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise RunError(f"{file}: damaged ({first_line(error)})") from None

    def write_path(self, rows: Sequence[NetAdaptRow]) -> None:
        """Write `path.json`, and `path.csv` without the architectures."""
        import pandas

        form = {"bneck": PATH_FORMAT, "rows": [_row_to_dict(row) for row in rows]}
        write_atomic(self.folder / "path.json", json.dumps(form, indent=1) + "\n")
        table = pandas.DataFrame([row.as_row() for row in rows])
        write_atomic(self.folder / "path.csv", table.to_csv(index=False, lineterminator="\n"))


def netadapt_runs_of(run: Path) -> list[NetAdaptRun]:
    """NetAdapt runs in the folder of a search run, by name."""
    settings_files = sorted((run / NETADAPT_DIRECTORY).glob(f"[!.]*/{NETADAPT_FILE}"))  # no unfinished one
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
