"""What a run was asked to do, as `run.yaml` keeps it: enough to repeat it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from ..evaluate import Constraint, Goals, Objective, Recipe
from ..search_space import Architecture, SearchSpace, published
from ..search_space.architecture_file import read_architecture
from ..search_space.entry import Entry, parse_file
from ..search_space.space_file import read_space, space_to_dict

FORMAT = "run/1"


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how many of them at most.

    Attributes:
        class_names: of the classifier's outputs, in order.
        pixel_mean, pixel_std: how pixels (0 to 255) are normalised, one number a channel.
    """

    name: str
    root: str | None = None
    train_images: int | None = None
    validation_images: int | None = None
    class_names: tuple[str, ...] = ()
    pixel_mean: tuple[float, ...] = ()
    pixel_std: tuple[float, ...] = ()


@dataclass(frozen=True)
class LatencySettings:
    """Where latency is measured, and against what.

    Attributes:
        reference_ms: of the reference network on this device when the run began.
    """

    backend: str
    reference: str
    architecture: Architecture
    reference_ms: float = 0.0


@dataclass(frozen=True)
class RunSettings:
    """One search: the space, the goals, the means.

    Attributes:
        study: the study's name in its storage.
        storage: an Optuna storage URL; empty for `study.db` in the run's folder.
        trials: networks to judge; those that break a limit or were judged before do not count.
    """

    study: str
    created: str
    space: SearchSpace
    data: DataSettings
    goals: Goals
    recipe: Recipe
    latency: LatencySettings
    trials: int
    seed: int
    sampler: str
    warm_start: bool
    baselines: tuple[str, ...]
    torch_device: str
    storage: str
    device: Mapping[str, str]
    versions: Mapping[str, str]

    def published(self, name: str) -> Architecture:
        """A published network for this run's images, at the highest resolution of its space."""
        return for_images(published(name), self.space)

    def with_reference_ms(self, reference_ms: float) -> "RunSettings":
        return replace(self, latency=replace(self.latency, reference_ms=reference_ms))


def for_images(architecture: Architecture, space: SearchSpace) -> Architecture:
    """The same network for the images and classes of a space, at its highest resolution."""
    return replace(
        architecture,
        resolution_px=max(space.resolution_px),
        image_channels=space.image_channels,
        classes=space.classes,
    )


def settings_to_dict(settings: RunSettings) -> dict[str, Any]:
    """The versioned form that `run.yaml` holds."""
    form: dict[str, Any] = {"bneck": FORMAT}
    for field in fields(RunSettings):
        form[field.name] = getattr(settings, field.name)
    form["space"] = space_to_dict(settings.space)
    form["data"] = asdict(settings.data)
    form["goals"] = {
        "objectives": [objective.quantity for objective in settings.goals.objectives],
        "limits": [asdict(constraint) for constraint in settings.goals.constraints],
    }
    form["recipe"] = asdict(settings.recipe)
    form["latency"] = asdict(settings.latency) | {"architecture": settings.latency.architecture.to_dict()}
    form["baselines"] = list(settings.baselines)
    form["device"] = dict(settings.device)
    form["versions"] = dict(settings.versions)
    return form


def save_settings(settings: RunSettings, path: Path) -> None:
    path.write_text(yaml.safe_dump(settings_to_dict(settings), sort_keys=False, width=110), encoding="utf-8")


def load_settings(path: Path) -> RunSettings:
    """Read a `run.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    return read_settings(parse_file(path))


def read_settings(entry: Entry) -> RunSettings:
    """Settings from a parsed file."""
    given = entry.mapping(("bneck", *(field.name for field in fields(RunSettings))))
    if given["bneck"].value != FORMAT:
        raise given["bneck"].error(f"must be {FORMAT}, got {given['bneck'].shown}")
    plain: dict[str, Any] = {name: item.plain() for name, item in given.items() if name != "bneck"}
    with entry.placed():
        goals = given["goals"].mapping(("objectives", "limits"))
        latency = given["latency"].mapping(tuple(field.name for field in fields(LatencySettings)))
        plain["space"] = read_space(given["space"])
        plain["data"] = _build(DataSettings, given["data"])
        plain["goals"] = Goals(
            tuple(Objective(quantity) for quantity in goals["objectives"].plain()),
            tuple(_build(Constraint, limit) for limit in goals["limits"].items()),
        )
        plain["recipe"] = _build(Recipe, given["recipe"])
        plain["latency"] = LatencySettings(
            latency["backend"].text(),
            latency["reference"].text(),
            read_architecture(latency["architecture"]),
            latency["reference_ms"].number(),
        )
        plain["baselines"] = tuple(plain["baselines"])
        return RunSettings(**plain)


def _build(kind: type[Any], entry: Entry) -> Any:
    """A flat dataclass from a mapping with all its fields; lists become tuples."""
    given = {name: item.plain() for name, item in entry.mapping([f.name for f in fields(kind)]).items()}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
