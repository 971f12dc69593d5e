"""How an adaptation is done, as its folder keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ...evaluate import Constraint, LatencySetup, Recipe
from ...evaluate.latency.setup import read_latency_setup
from ...search_space import Architecture
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.dataclass_reader import read_dataclass, read_versioned_file
from ...search_space.serialization.yaml_nodes import YamlNode, dump
from .settings import DataSettings

FORMAT = "netadapt/1"

FinalInitialization = Literal["inherit", "scratch"]


@dataclass(frozen=True)
class NetAdaptSettings:
    """One adaptation: enough to repeat it.

    Attributes:
        name: of the network, as the user wrote it.
        architecture: that it starts from.
        initial_weights: where the start's weights are from; empty where it is trained first.
        limit: that the network is cut down to.
        step: what a cut saves at least, as a share of what the start costs.
        finetune_images, finetune_lr_scale: training images that a cut is tuned on, and the share of the
            recipe's learning rate.
        final: whether the last training begins from the weights of the path, or from random ones.
        device: `cpu` or `cuda`.
        threads: that compute in the trainings of start and result; a cut is tuned by one.
        latency: where latencies are from; None where there are none.
    """

    created: str
    name: str
    architecture: Architecture
    initial_weights: str
    data: DataSettings
    recipe: Recipe
    seed: int
    limit: Constraint
    step: float
    finetune_images: int
    finetune_lr_scale: float
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
    """The versioned form that `netadapt.yaml` holds."""
    latency = settings.latency.to_dict() if settings.latency else None
    form = {"bneck": FORMAT, **asdict(settings), "architecture": settings.architecture.to_dict()}
    return dump(form | {"latency": latency})


def read_netadapt_settings(path: Path) -> NetAdaptSettings:
    """Read a `netadapt.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    readers: dict[str, Any] = {
        "architecture": read_architecture,
        "data": lambda entry: read_dataclass(DataSettings, entry),
        "recipe": lambda entry: read_dataclass(Recipe, entry),
        "limit": lambda entry: read_dataclass(Constraint, entry),
        "final": _read_final,
        "latency": lambda entry: None if entry.value is None else read_latency_setup(entry),
    }
    return read_versioned_file(NetAdaptSettings, path, FORMAT, readers)


def _read_final(entry: YamlNode) -> FinalInitialization:
    for known in get_args(FinalInitialization):
        if entry.value == known:
            final: FinalInitialization = known
            return final
    raise entry.error(f"must be {' or '.join(get_args(FinalInitialization))}, got {entry.value_text}")
