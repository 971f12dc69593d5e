"""ncnn on the CPU; pnnx converts the networks."""

import tempfile
from pathlib import Path
from typing import Any

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import Network, NetworkPart, example_input
from ....search_space.onnx_graph import build_onnx_model
from ...optional_dependencies import optional_import
from ..measurement import Runner
from .cpu import CpuBackend, make_runner
from .process import run_program

with optional_import("latency backend ncnn", extra="ncnn"):
    import ncnn
    import pnnx


class NcnnBackend(CpuBackend):
    """Nets in fp32. ncnn takes one image at a time: the images of a batch run one after another."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        runtime = f"ncnn {ncnn.__version__}, pnnx {pnnx.__version__}"
        super().__init__(name, runtime, threads, batch_size)

    def prepare(self, network: Network | NetworkPart) -> Runner:
        net = _load_net(network, self.device.threads)
        images = [ncnn.Mat(image).clone() for image in example_input(network, self.device.batch_size).numpy()]

        def run() -> list[Any]:
            outputs = []
            for image in images:
                extractor = net.create_extractor()
                extractor.input("in0", image)
                outputs.append(extractor.extract("out0")[1])
            return outputs

        if any(output.empty() for output in run()):
            raise BackendError("ncnn cannot run the network: its output is empty")
        return make_runner(run, self.clock)


def _load_net(network: Network | NetworkPart, threads: int) -> Any:
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_packing_layout = True
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder:
        param, weights = convert_to_ncnn(network, Path(folder))
        if net.load_param(str(param)) or net.load_model(str(weights)):
            raise BackendError(
                "ncnn cannot load the network that pnnx converted: an operator is not supported"
            )
    return net


def convert_to_ncnn(network: Network | NetworkPart, folder: Path) -> tuple[Path, Path]:
    """Write ncnn's two files for batch size 1 with fp32 weights."""
    (folder / "model.onnx").write_bytes(build_onnx_model(network.eval()).SerializeToString())
    shape = ",".join(str(size) for size in (1, *network.input_shape))
    command = [pnnx.EXEC_PATH, "model.onnx", f"inputshape=[{shape}]", "fp16=0"]
    try:
        completed = run_program(command, folder=folder)
    except OSError as error:
        raise BackendError(f"ncnn: pnnx does not run on this machine: {first_line(error)}") from None
    param, weights = folder / "model.ncnn.param", folder / "model.ncnn.bin"
    if completed.returncode or not (param.is_file() and weights.is_file()):
        raise BackendError(f"ncnn: pnnx exits with code {completed.returncode}: {completed.reason}")
    return param, weights


backend = NcnnBackend
