"""Torch on a GPU, eager or as one CUDA graph, timed by the GPU's own events."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import Network, Part, example_input
from ..device import Device, host
from ..measurement import Plan, Runner

WARM_RUNS = 3


class TorchCudaBackend:
    """Copies of the networks on the current GPU, `channels_last`, in evaluation mode.

    Eager, launching the kernels counts, and often is most of the time. TF32 and cuDNN's search for
    the quickest algorithms are as the process has set them, and are told in the device's features.
    """

    def __init__(self, name: str, threads: int, batch: int) -> None:
        if not torch.cuda.is_available():
            built = torch.version.cuda or torch.version.hip
            remedy = (
                "check its driver" if built else "get a torch with CUDA from https://pytorch.org/get-started"
            )
            raise BackendError(
                f"latency backend {name} needs a GPU, and torch {torch.__version__} finds none here; {remedy}"
            )
        if threads != 1:
            raise BackendError(f"latency backend {name} runs on a GPU: threads must be 1, got {threads}")
        self.name = name
        self.clock = "CUDA events"
        self.device = Device(
            name,
            runtime=f"torch {torch.__version__}, {_toolkit()}",
            processor=torch.cuda.get_device_name(),
            features=_settings(),
            layout="channels_last",
            batch=batch,
            system=host()["system"],
        )
        self.plan = Plan()

    def prepare(self, network: Network | Part) -> Runner:
        try:
            ready = copy.deepcopy(network).eval().to("cuda").to(memory_format=torch.channels_last)
            images = example_input(network, self.device.batch).to("cuda", memory_format=torch.channels_last)
            run: Callable[[], Tensor] = partial(_forward, ready, images)
            if self.name == "torch-cuda-graph":
                run = _Replay(ready, images)
            for _ in range(WARM_RUNS):
                run()
            torch.cuda.synchronize()
        except RuntimeError as error:
            raise BackendError(f"{self.name} cannot run the network: {first_line(error)}") from None
        return event_stopwatch(run)


def event_stopwatch(run: Callable[[], object]) -> Runner:
    """A runner that times calls which put work on the current stream."""
    began, ended = _event(), _event()

    def runner(count: int) -> float:
        torch.cuda.synchronize()  # behind work that still waits, launching would cost nothing
        began.record()
        for _ in range(count):
            run()
        ended.record()
        ended.synchronize()
        return float(began.elapsed_time(ended)) / 1000

    return runner


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _forward(ready: Network | Part, images: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = ready(images)
        return logits


class _Replay:
    """One forward pass as a graph. The graph knows only addresses: what lies there is kept here."""

    def __init__(self, ready: Network | Part, images: Tensor) -> None:
        self.ready, self.images = ready, images
        # What is made on first use may not be captured, and a capture is not on the default stream.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_RUNS):
                _forward(ready, images)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = _forward(ready, images)

    def __call__(self) -> Tensor:
        self.graph.replay()
        return self.logits


def _toolkit() -> str:
    if torch.version.cuda:
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return f"CUDA {torch.version.cuda}, cuDNN {cudnn}"
    return f"ROCm {torch.version.hip}"


def _settings() -> str:
    """What moves fp32 arithmetic on a GPU, such as `tf32 convolutions, ieee matrix products`."""
    convolutions = _precision(torch.backends.cudnn.conv.fp32_precision)  # type: ignore[attr-defined]
    products = _precision(torch.backends.cuda.matmul.fp32_precision)
    search = "with" if torch.backends.cudnn.benchmark else "without"
    return f"{convolutions} convolutions, {products} matrix products, {search} cuDNN's search"


def _precision(setting: str) -> str:
    return "ieee" if setting == "none" else setting


backend = TorchCudaBackend
