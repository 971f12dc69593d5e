"""Eager torch on the CPU, evaluation mode, `channels_last`."""

import torch

from ....search_space.network import Network, Part, example_input
from ..device import this_cpu
from ..measurement import Plan, Runner
from .stopwatch import clock_for, stopwatch


class TorchBackend:
    """The modules as they are. Preparing sets the number of threads of the whole process."""

    def __init__(self, name: str, threads: int, batch: int) -> None:
        self.name = name
        self.clock = clock_for(threads)
        runtime = f"torch {torch.__version__}"
        self.device = this_cpu(name, runtime, threads=threads, batch=batch, layout="channels_last")
        self.plan = Plan()

    def prepare(self, network: Network | Part) -> Runner:
        torch.set_num_threads(self.device.threads)
        images = example_input(network, self.device.batch).contiguous(memory_format=torch.channels_last)
        ready = network.eval().to(memory_format=torch.channels_last)

        def run() -> object:
            with torch.inference_mode():
                return ready(images)

        return stopwatch(run, self.clock)


backend = TorchBackend
