"""ExecuTorch on the CPU with the XNNPACK delegate."""

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
from ..measurement import Runner
from .cpu import CpuBackend, make_runner


@contextmanager
def _suppress_output() -> Iterator[None]:
    """Suppress deprecation warnings and everything that C++ writes to stderr."""
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


class ExecuTorchBackend(CpuBackend):
    """ExecuTorch programs; a run includes copying images in and logits out.

    All programs of a process share one thread pool, which must not change while a program is loaded: the
    first prepared network fixes its size.

    Attributes:
        threadpool_size: number of threads; 0 before the first network.
    """

    threadpool_size: ClassVar[int] = 0

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        super().__init__(name, f"executorch {version('executorch')} with XNNPACK", threads, batch_size)
        if not Runtime.get().backend_registry.is_available("XnnpackBackend"):
            raise BackendError(
                "latency backend executorch: this build has no XNNPACK; pip install executorch"
            )

    def prepare(self, network: Network | NetworkPart) -> Runner:
        self._set_threads()
        file = export_executorch(network, self.device.batch_size)
        images = (example_input(network, self.device.batch_size),)
        try:
            program = Runtime.get().load_program(file)
            program.load_method("forward").execute(images)
        except RuntimeError as error:
            raise BackendError(f"executorch cannot load the network: {first_line(error)}") from None
        # the method is loaded at every run: the program alone keeps the weights alive
        return make_runner(lambda: program.load_method("forward").execute(images), self.clock)

    def _set_threads(self) -> None:
        if not ExecuTorchBackend.threadpool_size:
            with _suppress_output():
                portable_lib._unsafe_reset_threadpool(self.device.threads)
                ExecuTorchBackend.threadpool_size = portable_lib._threadpool_get_thread_count()
        if ExecuTorchBackend.threadpool_size != self.device.threads:
            raise BackendError(
                f"executorch: threads must be {ExecuTorchBackend.threadpool_size} in this process, fixed by "
                f"its first network, got {self.device.threads}; start another process"
            )


def export_executorch(network: Network | NetworkPart, batch_size: int) -> bytes:
    """Content of a `.pte` file: the network in evaluation mode, lowered to XNNPACK for one batch size.

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
    """A copy with batch norm folded into the convolutions, which halves the conversion time.

    Its weights are contiguous: the conversion fails on `channels_last` weights.
    """
    folded = copy.deepcopy(network).eval().to(memory_format=torch.contiguous_format)
    for module in folded.modules():
        if isinstance(module, ConvNorm):
            conv, norm = module.conv, module.norm
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            module.conv, module.norm = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return folded


backend = ExecuTorchBackend
