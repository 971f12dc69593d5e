"""ONNX Runtime on the CPU with all graph optimizations."""

import onnxruntime

from ....search_space import BackendError
from ....search_space.errors import first_line
from ....search_space.network import Network, NetworkPart, example_input
from ....search_space.onnx_graph import build_onnx_model
from ..measurement import Runner
from .cpu import CpuBackend, make_runner


class OnnxRuntimeBackend(CpuBackend):
    """One session per network; with several threads, idle ones do not spin."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        super().__init__(name, f"onnxruntime {onnxruntime.__version__}", threads, batch_size)

    def prepare(self, network: Network | NetworkPart) -> Runner:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.device.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        model = build_onnx_model(network.eval()).SerializeToString()
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BackendError(f"onnxruntime cannot load the network: {first_line(error)}") from None
        images = {"images": example_input(network, self.device.batch_size).numpy()}
        return make_runner(lambda: session.run(None, images), self.clock)


backend = OnnxRuntimeBackend
