"""Latency backends: inference runtimes on a device, found by name."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ....search_space import PluginError
from ...plugins import resolve
from ...trust import COMMAND_PREFIX as COMMAND_PREFIX
from ...trust import require_trusted
from ..device import Device
from ..measurement import MeasurementPlan, Runner

if TYPE_CHECKING:
    from ....search_space.network import Network, NetworkPart


class LatencyBackend(Protocol):
    """An inference runtime on a device.

    `bneck.testing` has contract tests for implementations.

    Attributes:
        name: the name it was created by.
        clock: description of the clock of its runners.
        device: everything that affects latency apart from the network.
        plan: stopping rule and timing parameters for this device.
    """

    name: str
    clock: str
    device: Device
    plan: MeasurementPlan

    def prepare(self, network: "Network | NetworkPart") -> Runner:
        """Load a network, in evaluation mode, ready to run `device.batch_size` noise images.

        Raises:
            BackendError: the runtime cannot run it.
        """


class BackendFactory(Protocol):
    """Creates a backend; its name must be the given one."""

    def __call__(self, name: str, threads: int, batch_size: int) -> LatencyBackend: ...


ENTRY_POINT_GROUP = "bneck.latency_backends"
_MODULES = {
    "onnxruntime": "onnxruntime",
    "torch": "torch_eager",
    "torch-compile": "torch_compile",
    "torch-cuda": "torch_cuda",
    "torch-cuda-graph": "torch_cuda",
    "openvino": "openvino",
    "executorch": "executorch",
    "ncnn": "ncnn",
}
BACKEND_NAMES = tuple(_MODULES)


def latency_backend(name: str, *, threads: int = 1, batch_size: int = 1) -> LatencyBackend:
    """Create a latency backend.

    Args:
        name: one of `BACKEND_NAMES`, a name in the entry-point group `bneck.latency_backends`,
            `module:attribute` of a `BackendFactory`, or `command:TEMPLATE`.
    Raises:
        UnknownNameError: no such backend.
        BackendError: its runtime is not installed or does not work here; names the remedy.
        PluginError: a third-party backend cannot be imported or does not follow the protocol.
        TrustError: a command or `module:attribute` that only a file names.
    """
    require_trusted(name)
    if name.startswith(COMMAND_PREFIX):
        from .command import CommandBackend

        return CommandBackend(name.removeprefix(COMMAND_PREFIX), threads=threads, batch_size=batch_size)
    builtin = {each: partial(_load_factory, module) for each, module in _MODULES.items()}
    if name == "fake":  # for tests; not listed among the names
        builtin["fake"] = partial(_load_factory, "fake")
    make: BackendFactory = resolve(
        "latency backend", name, ENTRY_POINT_GROUP, builtin, [f"{COMMAND_PREFIX}TEMPLATE"]
    )
    if not callable(make):
        raise PluginError(f"latency backend {name} must be callable, got {type(make).__name__}")
    backend = make(name, threads=threads, batch_size=batch_size)
    if missing := [
        each for each in ("name", "clock", "device", "plan", "prepare") if not hasattr(backend, each)
    ]:
        raise PluginError(f"latency backend {name}: {type(backend).__name__} has no {', '.join(missing)}")
    if backend.name != name:
        raise PluginError(f"latency backend {name}: its name must be the given one, got {backend.name}")
    return backend


def _load_factory(module: str) -> Any:
    return import_module(f".{module}", __name__).backend
