"""Ways of running a network on a device and telling how long it takes.

Each is a `LatencyBackend`, found by its name; the runtime it needs is imported when it is chosen.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from ....search_space import UnknownNameError
from ..device import Device
from ..measurement import Plan, Runner

if TYPE_CHECKING:
    from ....search_space.network import Network, Part


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
    plan: Plan

    def prepare(self, network: "Network | Part") -> Runner:
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
COMMAND = "command:"


def latency_backend(name: str, *, threads: int = 1, batch: int = 1) -> LatencyBackend:
    """A backend by its name, or `command:TEMPLATE`.

    Raises:
        UnknownNameError: no such backend.
        BackendError: its runtime is not installed or does not run here; says how to get it.
    """
    if name.startswith(COMMAND):
        from .command import CommandBackend

        return CommandBackend(name.removeprefix(COMMAND), threads=threads, batch=batch)
    if name not in _MODULES:
        raise UnknownNameError("latency backend", name, [*BACKEND_NAMES, f"{COMMAND}TEMPLATE"])
    make: Callable[..., LatencyBackend] = import_module(f".{_MODULES[name]}", __name__).backend
    return make(name, threads=threads, batch=batch)
