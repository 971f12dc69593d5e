"""Eager PyTorch on the CPU, `channels_last`, in inference mode."""

import torch

from ....search_space.network import Network, NetworkPart, example_input
from ..measurement import Runner
from .cpu import CpuBackend, make_runner


class TorchBackend(CpuBackend):
    """The modules as they are. `prepare` sets torch's number of threads for the whole process."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        super().__init__(name, f"torch {torch.__version__}", threads, batch_size, layout="channels_last")

    def prepare(self, network: Network | NetworkPart) -> Runner:
        torch.set_num_threads(self.device.threads)
        images = example_input(network, self.device.batch_size).contiguous(memory_format=torch.channels_last)
        model = network.eval().to(memory_format=torch.channels_last)

        def run() -> object:
            with torch.inference_mode():
                return model(images)

        return make_runner(run, self.clock)


backend = TorchBackend
