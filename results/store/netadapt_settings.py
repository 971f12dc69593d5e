"""Settings of a NetAdapt run, as stored in `netadapt.yaml`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...evaluate import Constraint, LatencySetup, Recipe
from ...evaluate.latency.setup import read_latency_setup
from ...evaluate.netadapt.cuts import CutKind
from ...search_space import Architecture
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.dataclass_reader import read_choice, read_versioned_file
from ...search_space.serialization.yaml_nodes import dump
from .settings import DataSettings, read_data_settings

FORMAT = "netadapt/2"

FinalInitialization = Literal["inherit", "scratch"]


@dataclass(frozen=True)
class NetAdaptSettings:
    """Everything that repeats a NetAdapt run.

    Attributes:
        name: the initial network as the user named it.
        architecture: the initial network.
        initial_weights: source of its weights; empty if they are random.
        limit: the constraint that the pruned network must satisfy.
        cuts: kinds of cuts that a step proposes.
        step: minimum cost reduction per step, as a fraction of the initial cost.
        finetune_images: training images for fine-tuning a proposal.
        finetune_lr_scale: learning rate of the fine-tuning, as a fraction of the recipe's.
        distillation: weight of the initial network's soft labels in the loss; 0 for none.
        final: whether the final training starts from `inherit`ed or random (`scratch`) weights.
        device: `cpu` or `cuda`.
        threads: of the initial and the final training; a proposal is fine-tuned with one thread.
        latency: the device and its reference panel; None without latencies.
    """

    created: str
    name: str
    architecture: Architecture
    initial_weights: str
    data: DataSettings
    recipe: Recipe
    seed: int
    limit: Constraint
    cuts: tuple[CutKind, ...]
    step: float
    finetune_images: int
    finetune_lr_scale: float
    distillation: float
    final: FinalInitialization
    device: str
    threads: int
    latency: LatencySetup | None
    host: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def reference_ms(self) -> float:
        return self.latency.reference_ms if self.latency else 0.0


def netadapt_yaml(settings: NetAdaptSettings) -> str:
    """The content of `netadapt.yaml`."""
    latency = settings.latency.to_dict() if settings.latency else None
    form = {"bneck": FORMAT, **asdict(settings), "architecture": settings.architecture.to_dict()}
    return dump(form | {"cuts": list(settings.cuts), "latency": latency})


def read_netadapt_settings(path: Path) -> NetAdaptSettings:
    """Read a `netadapt.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    readers: dict[str, Any] = {
        "architecture": read_architecture,
        "data": read_data_settings,
        "cuts": lambda entry: tuple(read_choice(CutKind, each) for each in entry.items()),
        "final": lambda entry: read_choice(FinalInitialization, entry),
        "latency": lambda entry: None if entry.value is None else read_latency_setup(entry),
    }
    return read_versioned_file(NetAdaptSettings, path, FORMAT, readers)
