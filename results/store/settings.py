"""What a run was asked to do, as `run.yaml` keeps it: enough to repeat it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ...evaluate import Constraint, Goals, LatencySetup, Objective, Recipe
from ...evaluate.latency.setup import read_latency_setup
from ...evaluate.scorers import scorer_kind
from ...search_space import Architecture, DataError, SearchSpace, published_architecture
from ...search_space.errors import FieldError
from ...search_space.serialization.dataclass_reader import read_dataclass, read_versioned_file
from ...search_space.serialization.space import read_space, space_to_dict
from ...search_space.serialization.yaml_nodes import YamlNode, dump
from .fidelities import Rungs

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data

FORMAT = "run/3"
LatencyPolicy = Literal["measurements", "model", "both"]


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

    def load(self, data: "Data | None" = None, *, download: bool = False) -> "Data":
        """Open the images.

        Args:
            data: the object that the experiment was started with, if its name is only a label.
            download: fetch a built-in data set that is not on disk.
        Raises:
            BneckError: they are missing or broken.
        """
        from ...evaluate.data.dataset import load_data, subsample
        from ...evaluate.plugins import is_object_label

        if data is None:
            if is_object_label(self.name):
                raise DataError(f"data {self.name} existed only in the process that started the run")
            root = Path(self.root) if self.root else None
            data = load_data(self.name, root=root, download=download)
        return subsample(data, train=self.train_images, validation=self.validation_images)

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

    def __post_init__(self) -> None:
        if self.rungs and self.rungs.last != self.recipe.epochs:
            raise FieldError(
                "rungs", f"must end with the recipe's {self.recipe.epochs} epochs, got {self.rungs.last}"
            )

    @property
    def saves_weights(self) -> bool:
        """Whether the networks that are judged have weights worth keeping."""
        return scorer_kind(self.evaluator) not in ("table", "object", "plugin")

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


def settings_yaml(settings: RunSettings) -> str:
    """The content of `run.yaml`."""
    rungs = settings.rungs
    return dump(
        {
            "bneck": FORMAT,
            **{field.name: getattr(settings, field.name) for field in fields(RunSettings)},
            "space": space_to_dict(settings.space),
            "data": asdict(settings.data),
            "goals": {
                "objectives": [_objective_form(objective) for objective in settings.goals.objectives],
                "limits": [asdict(constraint) for constraint in settings.goals.constraints],
            },
            "recipe": asdict(settings.recipe),
            "latency": settings.latency.to_dict(),
            "rungs": rungs and asdict(rungs),
        }
    )


def load_settings(path: Path) -> RunSettings:
    """Read a `run.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    readers: dict[str, Callable[[YamlNode], Any]] = {
        "space": read_space,
        "data": lambda entry: read_dataclass(DataSettings, entry),
        "goals": _read_goals,
        "recipe": lambda entry: read_dataclass(Recipe, entry),
        "latency": read_latency_setup,
        "latency_policy": _read_latency_policy,
        "n_trials": lambda entry: entry.integer(minimum=1),
        "seed": lambda entry: entry.integer(minimum=0),
        "baselines": lambda entry: tuple(_read_published(item) for item in entry.items()),
        "replicates": lambda entry: entry.integer(minimum=0),
        "evaluator": _read_evaluator,
        "rungs": lambda entry: None if entry.value is None else _read_rungs(entry),
    }
    return read_versioned_file(RunSettings, path, FORMAT, readers)


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


def _read_evaluator(entry: YamlNode) -> str:
    name = entry.text()
    with entry.error_context():
        scorer_kind(name)
    return name


def _read_rungs(entry: YamlNode) -> Rungs:
    given = entry.mapping(("epochs", "reduction_factor"))
    epochs = tuple(item.integer(minimum=1) for item in given["epochs"].items())
    with entry.error_context():
        return Rungs(epochs, given["reduction_factor"].integer(minimum=2))


def _read_published(entry: YamlNode) -> str:
    name = entry.text()
    with entry.error_context():
        published_architecture(name)
    return name
