"""How an adaptation is done, as its folder keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ...evaluate import Constraint, LatencySetup, Recipe
from ...evaluate.latency.setup import read_setup
from ...search_space import Architecture
from ...search_space.serialization.architecture import read_architecture
from ...search_space.serialization.dataclass_reader import read_flat, read_versioned
from ...search_space.serialization.yaml_nodes import Entry, dump
from .settings import DataSettings

FORMAT = "adaptation/1"

Final = Literal["inherit", "scratch"]


@dataclass(frozen=True)
class AdaptationSettings:
    """One adaptation: enough to repeat it.

    Attributes:
        name: of the network, as the user wrote it.
        architecture: that it starts from.
        begins_from: where the start's weights are from; empty where it is trained first.
        limit: that the network is cut down to.
        step: what a cut saves at least, as a share of what the start costs.
        tune_images, tune_rate: training images that a cut is tuned on, and the share of the
            recipe's learning rate.
        final: whether the last training begins from the weights of the path, or from random ones.
        device: `cpu` or `cuda`.
        threads: that compute in the trainings of start and result; a cut is tuned by one.
        latency: where latencies are from; None where there are none.
    """

    created: str
    name: str
    architecture: Architecture
    begins_from: str
    data: DataSettings
    recipe: Recipe
    seed: int
    limit: Constraint
    step: float
    tune_images: int
    tune_rate: float
    final: Final
    device: str
    threads: int
    latency: LatencySetup | None
    host: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def reference_ms(self) -> float:
        return self.latency.reference_ms if self.latency else 0.0


def adaptation_yaml(settings: AdaptationSettings) -> str:
    """The versioned form that `adaptation.yaml` holds."""
    latency = settings.latency.to_dict() if settings.latency else None
    form = {"bneck": FORMAT, **asdict(settings), "architecture": settings.architecture.to_dict()}
    return dump(form | {"latency": latency})


def read_adaptation(path: Path) -> AdaptationSettings:
    """Read an `adaptation.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    readers: dict[str, Any] = {
        "architecture": read_architecture,
        "data": lambda entry: read_flat(DataSettings, entry),
        "recipe": lambda entry: read_flat(Recipe, entry),
        "limit": lambda entry: read_flat(Constraint, entry),
        "final": _read_final,
        "latency": lambda entry: None if entry.value is None else read_setup(entry),
    }
    return read_versioned(AdaptationSettings, path, FORMAT, readers)


def _read_final(entry: Entry) -> Final:
    for known in get_args(Final):
        if entry.value == known:
            final: Final = known
            return final
    raise entry.error(f"must be {' or '.join(get_args(Final))}, got {entry.shown}")
