"""ExecuTorch on the CPU, with the operators of XNNPACK."""

import copy
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import ClassVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import ConvNorm, Network, NetworkPart, example_input
from ...optional_dependencies import optional_import
from ..device import cpu_device
from ..measurement import MeasurementPlan, Runner
from .stopwatch import make_runner, select_clock


@contextmanager
def _suppress_output() -> Iterator[None]:
    """Drop deprecation warnings, and what C++ writes to the standard error stream."""
    sys.stderr.flush()
    saved_stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        os.dup2(saved_stderr, 2)
        os.close(saved_stderr)
        os.close(devnull)


with optional_import("latency backend executorch", extra="executorch"), _suppress_output():
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime


class ExecuTorchBackend:
    """Programs, each run with its images copied in and its logits copied out.

    All programs of a process share one pool of threads, which may not change while one is loaded:
    the first network that is prepared fixes how many there are.

    Attributes:
        threadpool_size: the number of threads in it, 0 before the first network.
    """

    threadpool_size: ClassVar[int] = 0

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name = name
        self.clock = select_clock(threads)
        runtime = f"executorch {version('executorch')} with XNNPACK"
        self.device = cpu_device(name, runtime, threads=threads, batch_size=batch_size)
        self.plan = MeasurementPlan()
        if not Runtime.get().backend_registry.is_available("XnnpackBackend"):
            raise BackendError("latency backend executorch: this executorch is built without XNNPACK")

    def prepare(self, network: Network | NetworkPart) -> Runner:
        self._set_threads()
        file = export_executorch(network, self.device.batch_size)
        images = (example_input(network, self.device.batch_size),)
        try:
            program = Runtime.get().load_program(file)
            program.load_method("forward").execute(images)
        except RuntimeError as error:
            raise BackendError(f"executorch cannot load the network: {first_line(error)}") from None
        # asked of the program at every run, which alone keeps the weights
        return make_runner(lambda: program.load_method("forward").execute(images), self.clock)

    def _set_threads(self) -> None:
        if not ExecuTorchBackend.threadpool_size:
            with _suppress_output():
                portable_lib._unsafe_reset_threadpool(self.device.threads)
                ExecuTorchBackend.threadpool_size = portable_lib._threadpool_get_thread_count()
        if ExecuTorchBackend.threadpool_size != self.device.threads:
            size = ExecuTorchBackend.threadpool_size
            has = f"{size} thread{'' if size == 1 else 's'}"
            raise BackendError(
                f"executorch has {has} in this process, not {self.device.threads}: "
                "the first network fixes them; start another process"
            )


def export_executorch(network: Network | NetworkPart, batch_size: int) -> bytes:
    """What a `.pte` file holds: the network in evaluation mode, for XNNPACK and so many images a run.

    Raises:
        BackendError: ExecuTorch cannot convert it.
    """
    images = (example_input(network, batch_size),)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            exported = torch.export.export(_fold_batchnorm(network), images)
            lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
            return bytes(lowered.to_executorch().buffer)
    except Exception as error:
        raise BackendError(f"executorch cannot convert the network: {first_line(error)}") from None


def _fold_batchnorm(network: Network | NetworkPart) -> nn.Module:
    """A copy without batch normalisation: XNNPACK would fold it too, after twice the time.

    Its weights are not `channels_last`, as those of a network that torch has run may be: the
    conversion fails on them.
    """
    folded = copy.deepcopy(network).eval().to(memory_format=torch.contiguous_format)
    for module in folded.modules():
        if isinstance(module, ConvNorm):
            conv, norm = module.conv, module.norm
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            module.conv, module.norm = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return folded


backend = ExecuTorchBackend
