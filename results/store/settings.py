"""What a run was asked to do, as `run.yaml` keeps it: enough to repeat it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from ...evaluate import Constraint, Goals, LatencySetup, Objective, Recipe
from ...evaluate.latency.setup import read_latency_setup
from ...evaluate.scorers import scorer_kind
from ...search_space import Architecture, SearchSpace, published_architecture
from ...search_space.serialization.atomic_write import write_atomic
from ...search_space.serialization.dataclass_reader import read_dataclass, read_value
from ...search_space.serialization.space import read_space, space_to_dict
from ...search_space.serialization.yaml_nodes import YamlNode, dump, parse_file
from .fidelities import Rungs

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data

FORMAT = "run/3"
LatencyPolicy = Literal["measurements", "model", "both"]
_OPTIONAL = ("replicates", "evaluator", "rungs")  # runs that began before they were known lack them


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
        latency_policy: `both` predicts every latency and measures where it matters.
        storage: an Optuna storage URL; empty for `study.db` in the run's folder.
        n_trials: networks to judge; those that break a limit or were judged before do not count.
        replicates: trainings of networks that were judged already, with other seeds, for the whole search.
        evaluator: that judges a network, such as `train` or `supernet:FILE`.
        rungs: where the best networks alone are trained on; None where all are trained in full.
    """

    study: str
    created: str
    space: SearchSpace
    data: DataSettings
    goals: Goals
    recipe: Recipe
    latency: LatencySetup
    latency_policy: LatencyPolicy
    n_trials: int
    seed: int
    sampler: str
    enqueue_published: bool
    baselines: tuple[str, ...]
    torch_device: str
    storage: str
    host: Mapping[str, str]
    versions: Mapping[str, str]
    replicates: int = 0
    evaluator: str = "train"
    rungs: Rungs | None = None

    @property
    def saves_weights(self) -> bool:
        """Whether the networks that are judged have weights worth keeping."""
        return scorer_kind(self.evaluator) not in ("table", "object")

    def published_architecture(self, name: str) -> Architecture:
        """A published network for this run's images, at the highest resolution of its space."""
        return fitted_to_space(published_architecture(name), self.space)


def fitted_to_space(architecture: Architecture, space: SearchSpace) -> Architecture:
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
        form["rungs"] = {
            "epochs": list(settings.rungs.epochs),
            "reduction_factor": settings.rungs.reduction_factor,
        }
    form["host"] = dict(settings.host)
    form["versions"] = dict(settings.versions)
    return form


def save_settings(settings: RunSettings, path: Path) -> None:
    """Write `run.yaml`."""
    write_atomic(path, dump(settings_to_dict(settings)))


def load_settings(path: Path) -> RunSettings:
    """Read a `run.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    return read_settings(parse_file(path))


def read_settings(entry: YamlNode) -> RunSettings:
    """Settings from a parsed file."""
    names = [field.name for field in fields(RunSettings) if field.name not in _OPTIONAL]
    given = entry.versioned_mapping(FORMAT, names, _OPTIONAL)
    hints = get_type_hints(RunSettings)
    plain_names = (
        "study",
        "created",
        "sampler",
        "enqueue_published",
        "torch_device",
        "storage",
        "host",
        "versions",
    )
    plain = {name: read_value(hints[name], given[name]) for name in plain_names}
    readers: Mapping[str, Callable[[YamlNode], Any]] = {
        "replicates": lambda each: each.integer(minimum=0),
        "evaluator": _read_scorer,
        "rungs": _read_rungs,
    }
    recipe = read_dataclass(Recipe, given["recipe"])
    optional = {name: readers[name](given[name]) for name in _OPTIONAL if name in given}
    if (rungs := optional.get("rungs")) and rungs.last != recipe.epochs:
        raise given["rungs"].error(f"must end with the recipe's {recipe.epochs} epochs, got {rungs.last}")
    return RunSettings(
        space=read_space(given["space"]),
        data=read_dataclass(DataSettings, given["data"]),
        goals=_read_goals(given["goals"]),
        recipe=recipe,
        latency=read_latency_setup(given["latency"]),
        latency_policy=_read_latency_policy(given["latency_policy"]),
        n_trials=given["n_trials"].integer(minimum=1),
        seed=given["seed"].integer(minimum=0),
        baselines=tuple(_read_published(item) for item in given["baselines"].items()),
        **plain,
        **optional,
    )


def _read_goals(entry: YamlNode) -> Goals:
    given = entry.mapping(("objectives", "limits"))
    objectives = [_read_objective(item) for item in given["objectives"].items()]
    limits = [read_dataclass(Constraint, item) for item in given["limits"].items()]
    with entry.error_context():
        return Goals(tuple(objectives), tuple(limits))


def _objective_form(objective: Objective) -> str | dict[str, Any]:
    if objective.target is None:
        return objective.quantity
    return {"quantity": objective.quantity, "target": asdict(objective.target)}


def _read_objective(entry: YamlNode) -> Objective:
    given = entry.mapping(("quantity", "target")) if isinstance(entry.value, dict) else {"quantity": entry}
    quantity: Any = given["quantity"].text()
    target = read_dataclass(Constraint, given["target"]) if "target" in given else None
    with entry.error_context():
        return Objective(quantity, target)


def _read_latency_policy(entry: YamlNode) -> LatencyPolicy:
    policies: tuple[LatencyPolicy, ...] = get_args(LatencyPolicy)
    for each in policies:
        if entry.value == each:
            return each
    raise entry.error(f"must be {', '.join(policies[:-1])} or {policies[-1]}, got {entry.value_text}")


def _read_scorer(entry: YamlNode) -> str:
    name = entry.text()
    with entry.error_context():
        scorer_kind(name)
    return name


def _read_rungs(entry: YamlNode) -> Rungs | None:
    if entry.value is None:
        return None
    given = entry.mapping(("epochs", "reduction_factor"))
    epochs = tuple(item.integer(minimum=1) for item in given["epochs"].items())
    with entry.error_context():
        return Rungs(epochs, given["reduction_factor"].integer(minimum=2))


def _read_published(entry: YamlNode) -> str:
    name = entry.text()
    with entry.error_context():
        published_architecture(name)
    return name
