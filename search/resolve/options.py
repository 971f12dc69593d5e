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
REQUIRED: Any = MISSING


@dataclass(frozen=True)
class Option:
    """How a setting is shown and checked.

    Attributes:
        help: one line, verb first, with the unit.
        minimum, maximum: inclusive bounds; None for no bound.
        metavar: placeholder of the value in the help.
        names: spellings on the command line; by default the field's name with dashes.
        is_argument: given by position instead of by name.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    metavar: str | None = None
    names: tuple[str, ...] = ()
    is_argument: bool = False


def option(default: Any, help: str, **shown: Any) -> Any:
    """A field of a request; `shown` are the other attributes of `Option`."""
    return field(default=default, metadata={"option": Option(help, **shown)})


def argument(default: Any, help: str, metavar: str) -> Any:
    """A field of a request that the command line takes by position."""
    return option(default, help, metavar=metavar, is_argument=True)


def flag_of(name: str) -> str:
    """The option that a field is set by: `--max-macs` for `max_macs`."""
    return "--" + name.replace("_", "-")


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
            if shown.minimum is not None and not value >= shown.minimum:
                raise GoalError(f"{name} must be at least {shown.minimum:g}, got {value}")
            if shown.maximum is not None and not value <= shown.maximum:
                raise GoalError(f"{name} must be at most {shown.maximum:g}, got {value}")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Request):
    """Which images."""

    panel: ClassVar[str | None] = "Data"

    data: str = option("digits", DATA_HELP)
    data_root: Path | None = option(None, "folder of a named data set's files", metavar="DIR")
    download: bool = option(False, "download missing data files")
    train_images: int | None = option(None, "maximum number of training images, balanced by class", minimum=1)
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
        "mobilenet_v3_small", "published network that a limit such as 0.5x refers to", metavar="NAME"
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
