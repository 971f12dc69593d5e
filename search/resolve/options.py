"""Settings of the commands, each written once: default, bound, unit and help.

A request is a frozen dataclass whose fields are made by `option` or `argument`. The command line
expands the fields to options; `run_search` takes them as keyword arguments. The groups below are
shared by several requests; `panel` is their heading in the help.
"""

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from ...search_space import GoalError

DATA_HELP = "digits, fashion-mnist, cifar10, cifar100, folder:PATH, torchvision:NAME or module:attribute"
BACKENDS_HELP = (
    "onnxruntime, torch, torch-compile, openvino, executorch, ncnn, torch-cuda, torch-cuda-graph, "
    "'command:TEMPLATE' for any other device (docs/guide/devices.md) or module:attribute"
)
NETWORKS_HELP = "published names, files, RUN#TRIAL or folders of `bneck train`"
RESOLUTION_HELP = "side of the images, px; by default that of the network, or of small images"
TEACHER_HELP = (
    "learn the soft labels of a network that was trained on these classes, too: RUN, RUN#TRIAL, a folder of "
    "`bneck train`, its file or an ONNX model"
)
PREDICTOR_HELP = "predict latency by a file of `bneck latency-predictor build`"
DEFAULT = "default"  # as --recipe: that for the data
RECIPE_HELP = (
    "few-images, small-images, fine-tuning, guide, torchvision-mobilenetv3 or a YAML file; default: "
    "fine-tuning for trained weights, else few-images below 10,000 training images, small-images above"
)
AUGMENT_HELP = (
    "none, or flip-crop, autoaugment, randaugment, trivialaugment, mixup, cutmix, random-erase joined by +"
)
RECIPE_FIELDS = ("epochs", "batch_size", "learning_rate", "optimizer", "augment", "ema", "freeze")
REQUIRED: Any = MISSING
MAX_VALUE = 10**9  # of numbers without a bound of their own; refuses infinity and NaN too


@dataclass(frozen=True)
class Option:
    """How a setting is shown and checked.

    Attributes:
        help: one line, verb first, with the unit.
        minimum, maximum: inclusive bounds; None for no bound.
        metavar: placeholder of the value in the help.
        names: spellings on the command line; by default the field's name with dashes.
        is_argument: given by position instead of by name.
        panel: heading in the help, if not that of the class.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    metavar: str | None = None
    names: tuple[str, ...] = ()
    is_argument: bool = False
    panel: str | None = None


def option(default: Any, help: str, **shown: Any) -> Any:
    """A field of a request; `shown` are the other attributes of `Option`."""
    return field(default=default, metadata={"option": Option(help, **shown)})


def argument(default: Any, help: str, metavar: str) -> Any:
    """A field of a request that the command line takes by position."""
    return option(default, help, metavar=metavar, is_argument=True)


def flag_of(name: str) -> str:
    """The option that a field is set by: `--max-macs` for `max_macs`."""
    return "--" + name.replace("_", "-")


def network_argument(help: str = "published name, file, RUN#TRIAL or folder of `bneck train`") -> Any:
    """The network of a command."""
    return argument(REQUIRED, help, "ARCH")


def networks_argument() -> Any:
    """Several networks."""
    return argument(REQUIRED, NETWORKS_HELP, "ARCH...")


def resolution_option() -> Any:
    """Resolution of the images."""
    return option(None, RESOLUTION_HELP, minimum=8, metavar="PX", names=("--resolution",))


def backend_option() -> Any:
    """Latency backend of a command that can do without one."""
    return option("onnxruntime", f"none, {BACKENDS_HELP}", metavar="BACKEND")


def seed_option(help: str = "random seed") -> Any:
    """A random seed."""
    return option(0, help, minimum=0)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests: checks every field against its bounds.

    Raises:
        GoalError: a value is out of bounds.
    """

    panel: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        for each in fields(self):
            shown, value = each.metadata.get("option"), getattr(self, each.name)
            if shown is None or value is None:
                continue
            name = shown.names[0] if shown.names else flag_of(each.name)
            minimum, maximum = shown.minimum, shown.maximum
            if isinstance(value, int | float) and not isinstance(value, bool):
                minimum = -MAX_VALUE if minimum is None else minimum
                maximum = MAX_VALUE if maximum is None else maximum
            if minimum is not None and not value >= minimum:
                raise GoalError(f"{name} must be at least {minimum:,}, got {str(value)[:40]}")
            if maximum is not None and not value <= maximum:
                raise GoalError(f"{name} must be at most {maximum:,}, got {str(value)[:40]}")


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(Request):
    """Which data set."""

    panel: ClassVar[str | None] = "Data"

    data: str = option("digits", DATA_HELP)
    data_root: Path | None = option(None, "folder of a named data set's files", metavar="DIR")
    download: bool = option(False, "download missing data files")


@dataclass(frozen=True, kw_only=True)
class TrainImagesOptions(DatasetOptions):
    """Which training images."""

    train_images: int | None = option(None, "maximum number of training images, balanced by class", minimum=1)


@dataclass(frozen=True, kw_only=True)
class DataOptions(TrainImagesOptions):
    """Which training and validation images."""

    validation_images: int | None = option(
        None, "maximum number of validation images, balanced by class", minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class LatencyOptions(Request):
    """How latency is measured."""

    panel: ClassVar[str | None] = "Latency"

    latency_backend: str = option("onnxruntime", BACKENDS_HELP, metavar="BACKEND")
    latency_threads: int = option(1, "threads that run the network", minimum=1)
    reference_model: str = option(
        "mobilenet_v3_small",
        "published network that a limit such as 0.5x refers to, at its own resolution or as in NAME@64px",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class LimitOptions(Request):
    """Hard limits on networks."""

    panel: ClassVar[str | None] = "Limits"

    max_macs: str | None = option(None, "limit on multiply-adds, such as 60M", metavar="LIMIT")
    max_params: str | None = option(None, "limit on parameters, such as 3M", metavar="LIMIT")
    max_latency: str | None = option(
        None, "limit on measured latency: 5ms, or 0.5x that of the reference model", metavar="LIMIT"
    )

    @property
    def limits(self) -> dict[str, str | None]:
        """Limits by quantity, as `parse_goals` takes them."""
        return {"macs": self.max_macs, "params": self.max_params, "latency": self.max_latency}


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(Request):
    """Where networks are trained and evaluated."""

    panel: ClassVar[str | None] = "Training"

    device: str = option("auto", "compute device: auto, cpu or cuda")


@dataclass(frozen=True, kw_only=True)
class RecipeOptions(DeviceOptions):
    """How a network is trained: a recipe, and values that replace those of the recipe."""

    recipe: str | None = option(None, RECIPE_HELP, metavar="NAME|FILE")
    epochs: int | None = option(None, "number of epochs; by default of the recipe", minimum=1)
    batch_size: int | None = option(None, "images per training step; by default of the recipe", minimum=1)
    learning_rate: float | None = option(
        None, "peak learning rate; by default of the recipe", minimum=0.0, maximum=1e38
    )
    optimizer: str | None = option(None, "sgd, adam, adamw or rmsprop")
    augment: str | None = option(None, AUGMENT_HELP, metavar="A+B")
    ema: float | None = option(None, "decay of the exponential moving average of the weights")

    @property
    def recipe_overrides(self) -> dict[str, Any]:
        """Fields of the recipe that are replaced."""
        values = {name: getattr(self, name, None) for name in RECIPE_FIELDS}
        return {name: value for name, value in values.items() if value is not None}
