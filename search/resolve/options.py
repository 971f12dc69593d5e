"""Settings of the commands, each written once: default, bound, unit and help.

A request is a frozen dataclass whose fields are made by `option`. The command line expands
the fields to options; `run_search` takes them as keyword arguments.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...search_space import GoalError

DATA_HELP = "digits, fashion-mnist, cifar10, cifar100, folder:PATH, torchvision:NAME or module:attribute"
BACKENDS_HELP = (
    "onnxruntime, torch, torch-compile, openvino, executorch, ncnn, torch-cuda, torch-cuda-graph, "
    "'command:TEMPLATE' for any other device (docs/guide/devices.md) or module:attribute"
)


@dataclass(frozen=True)
class Option:
    """How a setting is shown and checked.

    Attributes:
        help: one line, verb first, with the unit.
        minimum: least value allowed; None for no bound.
        metavar: what stands for the value in the help.
        names: spellings on the command line; by default the field's name with dashes.
    """

    help: str
    minimum: float | None = None
    metavar: str | None = None
    names: tuple[str, ...] = ()


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    metavar: str | None = None,
    names: tuple[str, ...] = (),
) -> Any:
    """A field of a request."""
    return field(default=default, metadata={"option": Option(help, minimum, metavar, names)})


def flag_of(name: str) -> str:
    """The option that a field is set by: `--max-macs` for `max_macs`."""
    return "--" + name.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests: checks every field against its bound.

    Raises:
        GoalError: a value is below its minimum.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            shown, value = each.metadata.get("option"), getattr(self, each.name)
            if shown and shown.minimum is not None and value is not None and value < shown.minimum:
                raise GoalError(f"{flag_of(each.name)} must be at least {shown.minimum:g}, got {value}")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Request):
    """Which images."""

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

    latency_backend: str = option("onnxruntime", BACKENDS_HELP, metavar="BACKEND")
    latency_threads: int = option(1, "threads that run the network", minimum=1)
    reference_model: str = option("mobilenet_v3_small", "published network that `0.5x` refers to")


@dataclass(frozen=True, kw_only=True)
class LimitOptions(Request):
    """Hard limits on networks."""

    max_macs: str | None = option(None, "limit on multiply-adds, such as 60M", metavar="LIMIT")
    max_params: str | None = option(None, "limit on parameters, such as 3M", metavar="LIMIT")
    max_latency: str | None = option(
        None, "limit on measured latency: 5ms, or 0.5x the reference model's", metavar="LIMIT"
    )

    @property
    def limits(self) -> dict[str, str | None]:
        """Limits by quantity, as `parse_goals` takes them."""
        return {"macs": self.max_macs, "params": self.max_params, "latency": self.max_latency}
