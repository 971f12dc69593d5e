"""What a run was asked to do, as `run.yaml` keeps it: enough to repeat it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from ...evaluate import Constraint, Goals, LatencySetup, Objective, Recipe
from ...evaluate.latency.setup import read_setup
from ...evaluate.scorers import scorer_kind
from ...search_space import Architecture, SearchSpace, published
from ...search_space.serialization.atomic_write import write_whole
from ...search_space.serialization.dataclass_reader import read_as, read_flat
from ...search_space.serialization.space import read_space, space_to_dict
from ...search_space.serialization.yaml_nodes import Entry, dump, parse_file
from .fidelities import Rungs

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data

FORMAT = "run/2"
LatencyFrom = Literal["measurements", "model", "both"]
_LATER = ("repeats", "scorer", "rungs")  # runs that began before they were known lack them


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

    def of(self, data: "Data") -> "DataSettings":
        """The same with the classes and the normalisation of the images that were found."""
        return replace(
            self, class_names=data.class_names, pixel_mean=data.pixel_mean, pixel_std=data.pixel_std
        )


@dataclass(frozen=True)
class RunSettings:
    """One search: the space, the goals, the means.

    Attributes:
        study: the study's name in its storage.
        latency_from: `both` predicts every latency and measures where it matters.
        storage: an Optuna storage URL; empty for `study.db` in the run's folder.
        trials: networks to judge; those that break a limit or were judged before do not count.
        repeats: trainings of networks that were judged already, with other seeds, for the whole search.
        scorer: that judges a network, such as `train` or `supernet:FILE`.
        rungs: where the best networks alone are trained on; None where all are trained in full.
    """

    study: str
    created: str
    space: SearchSpace
    data: DataSettings
    goals: Goals
    recipe: Recipe
    latency: LatencySetup
    latency_from: LatencyFrom
    trials: int
    seed: int
    sampler: str
    warm_start: bool
    baselines: tuple[str, ...]
    torch_device: str
    storage: str
    host: Mapping[str, str]
    versions: Mapping[str, str]
    repeats: int = 0
    scorer: str = "train"
    rungs: Rungs | None = None

    @property
    def keeps_weights(self) -> bool:
        """Whether the networks that are judged have weights worth keeping."""
        return scorer_kind(self.scorer) != "table"

    def published(self, name: str) -> Architecture:
        """A published network for this run's images, at the highest resolution of its space."""
        return for_images(published(name), self.space)


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
        "objectives": [_objective_form(objective) for objective in settings.goals.objectives],
        "limits": [asdict(constraint) for constraint in settings.goals.constraints],
    }
    form["recipe"] = asdict(settings.recipe)
    form["latency"] = settings.latency.to_dict()
    form["baselines"] = list(settings.baselines)
    if settings.rungs:
        form["rungs"] = {"epochs": list(settings.rungs.epochs), "reduction": settings.rungs.reduction}
    form["host"] = dict(settings.host)
    form["versions"] = dict(settings.versions)
    return form


def save_settings(settings: RunSettings, path: Path) -> None:
    """Write `run.yaml`."""
    write_whole(path, dump(settings_to_dict(settings)))


def load_settings(path: Path) -> RunSettings:
    """Read a `run.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    return read_settings(parse_file(path))


def read_settings(entry: Entry) -> RunSettings:
    """Settings from a parsed file."""
    names = [field.name for field in fields(RunSettings) if field.name not in _LATER]
    given = entry.versioned(FORMAT, names, _LATER)
    hints = get_type_hints(RunSettings)
    plain_names = ("study", "created", "sampler", "warm_start", "torch_device", "storage", "host", "versions")
    plain = {name: read_as(hints[name], given[name]) for name in plain_names}
    readers: Mapping[str, Callable[[Entry], Any]] = {
        "repeats": lambda each: each.integer(least=0),
        "scorer": _read_scorer,
        "rungs": _read_rungs,
    }
    recipe = read_flat(Recipe, given["recipe"])
    later = {name: readers[name](given[name]) for name in _LATER if name in given}
    if (rungs := later.get("rungs")) and rungs.last != recipe.epochs:
        raise given["rungs"].error(f"must end with the recipe's {recipe.epochs} epochs, got {rungs.last}")
    return RunSettings(
        space=read_space(given["space"]),
        data=read_flat(DataSettings, given["data"]),
        goals=_read_goals(given["goals"]),
        recipe=recipe,
        latency=read_setup(given["latency"]),
        latency_from=_read_latency_from(given["latency_from"]),
        trials=given["trials"].integer(least=1),
        seed=given["seed"].integer(least=0),
        baselines=tuple(_read_published(item) for item in given["baselines"].items()),
        **plain,
        **later,
    )


def _read_goals(entry: Entry) -> Goals:
    given = entry.mapping(("objectives", "limits"))
    objectives = [_read_objective(item) for item in given["objectives"].items()]
    limits = [read_flat(Constraint, item) for item in given["limits"].items()]
    with entry.placed():
        return Goals(tuple(objectives), tuple(limits))


def _objective_form(objective: Objective) -> str | dict[str, Any]:
    if objective.target is None:
        return objective.quantity
    return {"quantity": objective.quantity, "target": asdict(objective.target)}


def _read_objective(entry: Entry) -> Objective:
    given = entry.mapping(("quantity", "target")) if isinstance(entry.value, dict) else {"quantity": entry}
    quantity: Any = given["quantity"].text()
    target = read_flat(Constraint, given["target"]) if "target" in given else None
    with entry.placed():
        return Objective(quantity, target)


def _read_latency_from(entry: Entry) -> LatencyFrom:
    known: tuple[LatencyFrom, ...] = get_args(LatencyFrom)
    for each in known:
        if entry.value == each:
            return each
    raise entry.error(f"must be {', '.join(known[:-1])} or {known[-1]}, got {entry.shown}")


def _read_scorer(entry: Entry) -> str:
    name = entry.text()
    with entry.placed():
        scorer_kind(name)
    return name


def _read_rungs(entry: Entry) -> Rungs | None:
    if entry.value is None:
        return None
    given = entry.mapping(("epochs", "reduction"))
    epochs = tuple(item.integer(least=1) for item in given["epochs"].items())
    with entry.placed():
        return Rungs(epochs, given["reduction"].integer(least=2))


def _read_published(entry: Entry) -> str:
    name = entry.text()
    with entry.placed():
        published(name)
    return name
