"""`torch.compile` on the CPU: inductor in its default mode, `channels_last`."""

import shutil
import subprocess

import torch

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import Network, NetworkPart, example_input
from ..measurement import Runner
from .cpu import CpuBackend, make_runner


class TorchCompileBackend(CpuBackend):
    """Compiled modules. `prepare` sets torch's number of threads for the whole process.

    Compilation takes tens of seconds per network, or seconds if it is in torch's disk cache.
    """

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        runtime = f"torch {torch.__version__}, inductor with {_compiler()}"
        super().__init__(name, runtime, threads, batch_size, layout="channels_last")

    def prepare(self, network: Network | NetworkPart) -> Runner:
        torch.set_num_threads(self.device.threads)
        images = example_input(network, self.device.batch_size).contiguous(memory_format=torch.channels_last)
        model = network.eval().to(memory_format=torch.channels_last)
        try:
            # Dynamo caches compiled code per function. Tracing gives every network its own `forward`; with a
            # shared one, each run would search the code of all networks, up to the recompile limit.
            compiled = torch.compile(torch.fx.symbolic_trace(model), fullgraph=True, dynamic=False)

            def run() -> object:
                with torch.inference_mode():
                    return compiled(images)

            run()
        except Exception as error:
            raise BackendError(f"torch.compile cannot compile the network: {first_line(error)}") from None
        return make_runner(run, self.clock)


def _compiler() -> str:
    """Inductor's C++ compiler and its version, such as `g++ 13`."""
    from torch._inductor import config

    names = [name for name in config.cpp.cxx if name]
    compiler = next((name for name in names if shutil.which(name)), None)
    if compiler is None:
        raise BackendError(
            f"latency backend torch-compile needs a C++ compiler, and {' or '.join(names)} is not installed; "
            "apt install g++ on Debian, xcode-select --install on macOS, or set CXX to another one"
        )
    completed = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True)
    return f"{compiler} {completed.stdout.strip()}".strip()


backend = TorchCompileBackend
