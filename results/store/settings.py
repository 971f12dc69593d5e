"""Settings of a search run, as stored in `run.yaml`."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ...evaluate import Constraint, Goals, LatencySetup, Objective, Recipe
from ...evaluate.latency.setup import read_latency_setup
from ...evaluate.scorers import scorer_kind
from ...evaluate.trust import Kind, from_file, require_trusted
from ...search_space import (
    Architecture,
    CandidateSpace,
    DataError,
    Parent,
    PretrainedSpace,
    published_architecture,
)
from ...search_space.errors import FieldError
from ...search_space.serialization.dataclass_reader import read_choice, read_dataclass, read_versioned_file
from ...search_space.serialization.pretrained_space import candidate_space_to_dict, read_candidate_space
from ...search_space.serialization.yaml_nodes import YamlNode, dump
from .fidelities import Rungs
from .pretrained_baseline import is_pretrained, pretrained_architecture
from .storage import public_url

if TYPE_CHECKING:
    from ...evaluate.data.dataset import Data

FORMAT = "run/3"
LatencyPolicy = Literal["measurements", "model", "both"]


@dataclass(frozen=True)
class DataSettings:
    """A data set and the number of images used.

    Attributes:
        name: built-in data set, or `folder:PATH`.
        root: where built-in data sets are stored; None for the default.
        train_images, validation_images: upper limits; None for all images.
        class_names: names of the classifier's outputs, in order.
        pixel_mean, pixel_std: normalization of pixels (0 to 255), one number per channel.
        fingerprint: hash of the splits; empty in files of earlier versions.
        validation_counts: validation images of each class; empty in files of earlier versions.
        normalized: whether the normalization is that of the initial weights instead of the data's own.
    """

    OPTIONAL_KEYS: ClassVar[tuple[str, ...]] = ("fingerprint", "validation_counts", "normalized")

    name: str
    root: str | None = None
    train_images: int | None = None
    validation_images: int | None = None
    class_names: tuple[str, ...] = ()
    pixel_mean: tuple[float, ...] = ()
    pixel_std: tuple[float, ...] = ()
    fingerprint: str = ""
    validation_counts: tuple[int, ...] = ()
    normalized: bool = False

    @property
    def kind(self) -> str:
        """`folder` for a folder, `torchvision`, or the name of a built-in data set."""
        return self.name.partition(":")[0]

    def load(
        self,
        data: "Data | None" = None,
        *,
        download: bool = False,
        whole_with_classes: Sequence[str] | None = None,
    ) -> "Data":
        """Open the images.

        Args:
            data: the object that the experiment was started with, if its name is only a label.
            download: fetch a built-in data set that is not on disk.
            whole_with_classes: classes of a network that is evaluated on all images; see `load_whole`.
        Raises:
            BneckError: they are missing or broken.
            TrustError: only a file names the code that gives them, or the folder to download to.
        """
        from ...evaluate.data.dataset import load_data, load_whole, subsample
        from ...evaluate.plugins import is_object_label

        if data is None:
            if is_object_label(self.name):
                raise DataError(f"data {self.name} existed only in the process that started the run")
            if download:
                require_trusted(self.root)
            root = Path(self.root) if self.root else None
            if whole_with_classes is not None:
                return load_whole(self.name, whole_with_classes, root=root, download=download)
            data = load_data(self.name, root=root, download=download)
        data = subsample(data, train=self.train_images, validation=self.validation_images)
        return data.with_normalization(self.pixel_mean, self.pixel_std) if self.normalized else data

    def moved_to(self, other: "DataSettings") -> "DataSettings":
        """The same images in the place of another data set, if both are folders or have the same name."""
        is_place = other.name == self.name or {self.kind, other.kind} == {"folder"}
        return replace(self, name=other.name, root=other.root) if is_place else self

    def with_images_of(self, other: "DataSettings") -> "DataSettings":
        """These settings with the classes, normalization and splits of another data set."""
        return replace(
            self,
            class_names=other.class_names,
            pixel_mean=other.pixel_mean,
            pixel_std=other.pixel_std,
            fingerprint=other.fingerprint,
            validation_counts=other.validation_counts,
            normalized=other.normalized,
        )

    def of(self, data: "Data") -> "DataSettings":
        """The same settings with the class names, normalization and splits of opened images."""
        from ...evaluate.data.manifest import fingerprint

        return replace(
            self,
            class_names=data.class_names,
            pixel_mean=data.pixel_mean,
            pixel_std=data.pixel_std,
            fingerprint=fingerprint(data),
            validation_counts=tuple(
                data.labels("validation").bincount(minlength=len(data.class_names)).tolist()
            ),
        )


@dataclass(frozen=True)
class RunSettings:
    """Everything that repeats a search: space, goals, data, training, latency, sampler.

    Attributes:
        study: name of the Optuna study in its storage.
        created: local time, ISO 8601.
        latency_policy: `measurements`, `model` (predictions only), or `both`: predict every latency and
            measure those that decide.
        n_trials: number of networks to evaluate; infeasible and duplicate trials do not count.
        seed: of the sampler; those of the trainings are derived from it.
        torch_device: `cpu` or `cuda`, for training.
        storage: an Optuna storage URL; empty for `study.db` in the folder. In the process that was given
            a password it has that; the file never does.
        host, versions: machine and package versions, for the report.
        replicates: number of additional trainings with other seeds, over the whole search.
        evaluator: how accuracy is evaluated, such as `train` or `supernet:FILE`.
        rungs: epochs at which the best networks are promoted; None to train all networks in full.
        teacher: name of the network whose soft labels are learned, too; a copy of it is in the folder.
        soft_label_weight: weight of the soft labels in the loss; 0 without a teacher.
    Raises:
        FieldError: the last rung differs from the epochs of the recipe.
    """

    OPTIONAL_KEYS: ClassVar[tuple[str, ...]] = ("teacher", "soft_label_weight")

    study: str
    created: str
    space: CandidateSpace
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
    storage: str = field(repr=False)  # may hold a password in memory
    host: Mapping[str, str]
    versions: Mapping[str, str]
    replicates: int = 0
    evaluator: str = "train"
    rungs: Rungs | None = None
    teacher: str = ""
    soft_label_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.rungs and self.rungs.last != self.recipe.epochs:
            raise FieldError(
                "rungs", f"must end with the recipe's {self.recipe.epochs} epochs, got {self.rungs.last}"
            )

    @property
    def saves_weights(self) -> bool:
        """Whether evaluated networks have weights that are stored."""
        return scorer_kind(self.evaluator) not in ("table", "object", "plugin")

    def training_seed(self, key: str, replicate: int = 0) -> int:
        """Seed of a training: of the first, or of a replicate (1, 2, ...).

        It depends on the network and not on its trial, so that repeated work repeats its result. Networks
        have different seeds, so that no effect of a shared seed can be mistaken for one of the networks.
        """
        digest = hashlib.sha256(f"{self.seed} {key}".encode()).hexdigest()
        return int(digest[:6], 16) + replicate

    @property
    def parents(self) -> Mapping[str, Parent]:
        """The pretrained networks that trainings start from, by name; none in other spaces."""
        space = self.space
        return {each.name: each for each in space.parents} if isinstance(space, PretrainedSpace) else {}

    def data_for(self, architecture: Architecture) -> DataSettings:
        """The data set with the pixel normalization that a network was trained with."""
        tuning = architecture.fine_tuning
        if tuning is None:
            return self.data
        parent = self.parents[tuning.parent]
        mean, std = parent.normalization(len(self.data.pixel_mean) or self.space.image_channels)
        return replace(self.data, pixel_mean=mean, pixel_std=std)

    def published_architecture(self, name: str) -> Architecture:
        """A baseline fitted to the space of this run; a pretrained one has its own resolution."""
        if is_pretrained(name):
            space = self.space
            network = pretrained_architecture(name)
            return replace(network, image_channels=space.image_channels, classes=space.classes)
        return fitted_to_space(published_architecture(name), self.space)


def fitted_to_space(architecture: Architecture, space: CandidateSpace) -> Architecture:
    """The network with the image channels, classes and highest resolution of a space."""
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
            **{each.name: getattr(settings, each.name) for each in fields(RunSettings)},
            "space": candidate_space_to_dict(settings.space),
            "data": asdict(settings.data),
            "goals": {
                "objectives": [_objective_form(objective) for objective in settings.goals.objectives],
                "limits": [asdict(constraint) for constraint in settings.goals.constraints],
            },
            "recipe": asdict(settings.recipe),
            "latency": settings.latency.to_dict(),
            "storage": public_url(settings.storage),
            "rungs": rungs and asdict(rungs),
        }
    )


def load_settings(path: Path) -> RunSettings:
    """Read a `run.yaml`.

    Raises:
        FileFormatError: names file, line and key.
    """
    readers: dict[str, Callable[[YamlNode], Any]] = {
        "space": read_candidate_space,
        "data": read_data_settings,
        "goals": _read_goals,
        "latency": read_latency_setup,
        "latency_policy": lambda entry: read_choice(LatencyPolicy, entry),
        "n_trials": lambda entry: entry.integer(minimum=1),
        "seed": lambda entry: entry.integer(minimum=0),
        "baselines": lambda entry: tuple(_read_published(item) for item in entry.items()),
        "replicates": lambda entry: entry.integer(minimum=0),
        "evaluator": read_evaluator,
        "sampler": lambda entry: from_file(entry.text(), "sampler", entry.place),
        "storage": lambda entry: from_file(entry.text(), "storage", entry.place),
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


def read_data_settings(entry: YamlNode) -> DataSettings:
    """The data set of an experiment; what could do harm is marked, see `evaluate.trust`."""
    settings = read_dataclass(DataSettings, entry, DataSettings.OPTIONAL_KEYS)

    def marked(key: str, kind: Kind) -> str:
        node = entry.value[key]
        return from_file(node.text(), kind, node.place)

    root = marked("root", "data root") if settings.root else None
    return replace(settings, name=marked("name", "data set"), root=root)


def read_evaluator(entry: YamlNode) -> str:
    """The name of an evaluator; `module:attribute` is marked."""
    name = entry.text()
    with entry.error_context():
        scorer_kind(name)
    return from_file(name, "evaluator", entry.place)


def _read_rungs(entry: YamlNode) -> Rungs:
    given = entry.mapping(("epochs", "reduction_factor"))
    epochs = tuple(item.integer(minimum=1) for item in given["epochs"].items())
    with entry.error_context():
        return Rungs(epochs, given["reduction_factor"].integer(minimum=2))


def _read_published(entry: YamlNode) -> str:
    name = entry.text()
    with entry.error_context():
        (pretrained_architecture if is_pretrained(name) else published_architecture)(name)
    return name
