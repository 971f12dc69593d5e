"""How an adaptation is done, as its folder keeps it."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from ..evaluate import Constraint, LatencySetup, Recipe
from ..evaluate.latency_setup import read_setup
from ..search_space import Architecture
from ..search_space.architecture_file import read_architecture
from ..search_space.entry import Entry, dump, parse_file
from ..search_space.flat import read_as, read_flat
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
    host: dict[str, str]
    versions: dict[str, str]

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
    names = [field.name for field in fields(AdaptationSettings)]
    given = parse_file(path).versioned(FORMAT, names)
    hints = get_type_hints(AdaptationSettings)
    readers: dict[str, Any] = {
        "architecture": read_architecture,
        "data": lambda entry: read_flat(DataSettings, entry),
        "recipe": lambda entry: read_flat(Recipe, entry),
        "limit": lambda entry: read_flat(Constraint, entry),
        "final": _read_final,
        "latency": lambda entry: None if entry.value is None else read_setup(entry),
        "host": _read_words,
        "versions": _read_words,
    }
    return AdaptationSettings(
        **{
            name: readers[name](given[name]) if name in readers else read_as(hints[name], given[name])
            for name in names
        }
    )


def _read_final(entry: Entry) -> Final:
    for known in get_args(Final):
        if entry.value == known:
            final: Final = known
            return final
    raise entry.error(f"must be {' or '.join(get_args(Final))}, got {entry.shown}")


def _read_words(entry: Entry) -> dict[str, str]:
    return {key: each.text() for key, each in entry.mapping((), entry.value or ()).items()}
