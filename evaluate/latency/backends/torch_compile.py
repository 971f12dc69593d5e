"""`torch.compile` on the CPU: inductor in its default mode, `channels_last`."""

import shutil
import subprocess

import torch

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import Network, NetworkPart, example_input
from ..device import cpu_device
from ..measurement import MeasurementPlan, Runner
from .stopwatch import make_runner, select_clock


class TorchCompileBackend:
    """Networks compiled one by one. Preparing sets the number of threads of the whole process.

    A network takes tens of seconds, or seconds where torch's cache on disk knows its architecture.
    """

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name = name
        self.clock = select_clock(threads)
        runtime = f"torch {torch.__version__}, inductor with {_compiler()}"
        self.device = cpu_device(
            name, runtime, threads=threads, batch_size=batch_size, layout="channels_last"
        )
        self.plan = MeasurementPlan()

    def prepare(self, network: Network | NetworkPart) -> Runner:
        torch.set_num_threads(self.device.threads)
        images = example_input(network, self.device.batch_size).contiguous(memory_format=torch.channels_last)
        model = network.eval().to(memory_format=torch.channels_last)
        try:
            # Traced, every network has a `forward` of its own. What is compiled is kept by function: with
            # one for all, each run looks through all networks so far, and at a limit torch gives up.
            compiled = torch.compile(torch.fx.symbolic_trace(model), fullgraph=True, dynamic=False)

            def run() -> object:
                with torch.inference_mode():
                    return compiled(images)

            run()
        except Exception as error:
            raise BackendError(f"torch.compile cannot compile the network: {first_line(error)}") from None
        return make_runner(run, self.clock)


def _compiler() -> str:
    """Inductor's C++ compiler with its version, such as `g++ 13`."""
    from torch._inductor import config

    names = [name for name in config.cpp.cxx if name]
    compiler = next((name for name in names if shutil.which(name)), None)
    if compiler is None:
        raise BackendError(
            f"latency backend torch-compile needs a C++ compiler, and there is no {' or '.join(names)}; "
            "get one: apt install g++ on Debian, xcode-select --install on macOS, or name yours in CXX"
        )
    completed = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True)
    return f"{compiler} {completed.stdout.strip()}".strip()


backend = TorchCompileBackend
