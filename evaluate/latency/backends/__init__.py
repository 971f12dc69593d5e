"""Ways of running a network on a device and telling how long it takes.

Each is a `LatencyBackend`, found by its name; the runtime it needs is imported when it is chosen.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from ....search_space import UnknownNameError
from ..device import Device
from ..measurement import MeasurementPlan, Runner

if TYPE_CHECKING:
    from ....search_space.network import Network, NetworkPart


class LatencyBackend(Protocol):
    """A runtime on a device.

    Attributes:
        clock: what its runners' seconds are of, for people.
        device: with everything that may move the times.
        plan: how long this device is asked.
    """

    name: str
    clock: str
    device: Device
    plan: MeasurementPlan

    def prepare(self, network: "Network | NetworkPart") -> Runner:
        """Make a settled network ready to run noise images.

        Raises:
            BackendError: the runtime cannot run it.
        """


_MODULES = {
    "onnxruntime": "onnxruntime",
    "torch": "torch_eager",
    "torch-compile": "torch_compile",
    "torch-cuda": "torch_cuda",
    "torch-cuda-graph": "torch_cuda",
    "openvino": "openvino",
    "executorch": "executorch",
    "ncnn": "ncnn",
    "fake": "fake",
}
BACKEND_NAMES = tuple(name for name in _MODULES if name != "fake")
COMMAND_PREFIX = "command:"


def latency_backend(name: str, *, threads: int = 1, batch_size: int = 1) -> LatencyBackend:
    """A backend by its name, or `command:TEMPLATE`.

    Raises:
        UnknownNameError: no such backend.
        BackendError: its runtime is not installed or does not run here; says how to get it.
    """
    if name.startswith(COMMAND_PREFIX):
        from .command import CommandBackend

        return CommandBackend(name.removeprefix(COMMAND_PREFIX), threads=threads, batch_size=batch_size)
    if name not in _MODULES:
        raise UnknownNameError("latency backend", name, [*BACKEND_NAMES, f"{COMMAND_PREFIX}TEMPLATE"])
    make: Callable[..., LatencyBackend] = import_module(f".{_MODULES[name]}", __name__).backend
    return make(name, threads=threads, batch_size=batch_size)
