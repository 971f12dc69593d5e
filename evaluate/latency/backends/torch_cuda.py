"""PyTorch on a GPU, eager or as a CUDA graph, timed by CUDA events."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import Network, NetworkPart, example_input
from ..device import Device, host
from ..measurement import MeasurementPlan, Runner

WARMUP_RUNS = 3


class TorchCudaBackend:
    """Copies of the networks on the current GPU, `channels_last`, in evaluation mode.

    Eager execution includes kernel launches, often most of the time. TF32 and cuDNN autotuning are left as
    the process has set them, and are recorded in `device.features`.
    """

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        if not torch.cuda.is_available():
            built = torch.version.cuda or torch.version.hip
            install = "install a torch with CUDA from https://pytorch.org/get-started"
            remedy = "check the driver" if built else install
            raise BackendError(
                f"latency backend {name} needs a GPU, and torch {torch.__version__} finds none; {remedy}"
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
            batch_size=batch_size,
            system=host()["system"],
        )
        self.plan = MeasurementPlan()

    def prepare(self, network: Network | NetworkPart) -> Runner:
        try:
            model = copy.deepcopy(network).eval().to("cuda").to(memory_format=torch.channels_last)
            images = example_input(network, self.device.batch_size).to(
                "cuda", memory_format=torch.channels_last
            )
            run: Callable[[], Tensor] = partial(_forward, model, images)
            if self.name == "torch-cuda-graph":
                run = _CudaGraph(model, images)
            for _ in range(WARMUP_RUNS):
                run()
            torch.cuda.synchronize()
        except RuntimeError as error:
            raise BackendError(f"{self.name} cannot run the network: {first_line(error)}") from None
        return cuda_event_runner(run)


def cuda_event_runner(run: Callable[[], object]) -> Runner:
    """A runner that times calls which enqueue work on the current stream."""
    start, end = _event(), _event()

    def runner(count: int) -> float:
        torch.cuda.synchronize()  # launches would be hidden behind pending work
        start.record()
        for _ in range(count):
            run()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000

    return runner


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _forward(model: Network | NetworkPart, images: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model(images)
        return logits


class _CudaGraph:
    """One captured forward pass. The graph refers to tensors by address, so they are kept alive here."""

    def __init__(self, model: Network | NetworkPart, images: Tensor) -> None:
        self.model, self.images = model, images
        # Lazy initialization may not be captured, and capture needs a stream other than the default one.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP_RUNS):
                _forward(model, images)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = _forward(model, images)

    def __call__(self) -> Tensor:
        self.graph.replay()
        return self.logits


def _toolkit() -> str:
    if torch.version.cuda:
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return f"CUDA {torch.version.cuda}, cuDNN {cudnn}"
    return f"ROCm {torch.version.hip}"


def _settings() -> str:
    """fp32 settings, such as `tf32 convolutions, ieee matrix products, without cuDNN autotuning`."""
    convolutions = _precision(torch.backends.cudnn.conv.fp32_precision)  # type: ignore[attr-defined]
    products = _precision(torch.backends.cuda.matmul.fp32_precision)
    autotuning = "with" if torch.backends.cudnn.benchmark else "without"
    return f"{convolutions} convolutions, {products} matrix products, {autotuning} cuDNN autotuning"


def _precision(setting: str) -> str:
    return "ieee" if setting == "none" else setting


backend = TorchCudaBackend
