"""Eager torch on the CPU, evaluation mode, `channels_last`."""

import torch

from ....search_space.network import Network, NetworkPart, example_input
from ..device import cpu_device
from ..measurement import MeasurementPlan, Runner
from .stopwatch import make_runner, select_clock


class TorchBackend:
    """The modules as they are. Preparing sets the number of threads of the whole process."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name = name
        self.clock = select_clock(threads)
        runtime = f"torch {torch.__version__}"
        self.device = cpu_device(
            name, runtime, threads=threads, batch_size=batch_size, layout="channels_last"
        )
        self.plan = MeasurementPlan()

    def prepare(self, network: Network | NetworkPart) -> Runner:
        torch.set_num_threads(self.device.threads)
        images = example_input(network, self.device.batch_size).contiguous(memory_format=torch.channels_last)
        model = network.eval().to(memory_format=torch.channels_last)

        def run() -> object:
            with torch.inference_mode():
                return model(images)

        return make_runner(run, self.clock)


backend = TorchBackend
