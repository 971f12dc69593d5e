"""OpenVINO on the CPU with the latency hint."""

from ....search_space import BackendError
from ....search_space.network import Network, NetworkPart, example_input
from ....search_space.onnx_graph import build_onnx_model
from ...optional_dependencies import optional_import
from ..measurement import Runner
from .cpu import CpuBackend, make_runner

with optional_import("latency backend openvino", extra="openvino"):
    import openvino


class OpenVinoBackend(CpuBackend):
    """Compiled models in fp32 with one stream. A single thread is the calling one; threads are not pinned."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        super().__init__(name, f"openvino {openvino.__version__.partition('-')[0]}", threads, batch_size)
        self.core = openvino.Core()
        if "CPU" not in self.core.available_devices:
            raise BackendError(
                "latency backend openvino: this build of openvino has no CPU plugin; pip install openvino"
            )

    def prepare(self, network: Network | NetworkPart) -> Runner:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self.device.threads,
            "INFERENCE_PRECISION_HINT": "f32",  # the default is bf16 on processors that support it
            "ENABLE_CPU_PINNING": False,  # a pinned thread waits for a busy core while another is idle
        }
        images = example_input(network, self.device.batch_size).numpy()
        try:
            model = self.core.read_model(build_onnx_model(network.eval()).SerializeToString())
            model.reshape(list(images.shape))
            request = self.core.compile_model(model, "CPU", settings).create_infer_request()
            request.set_input_tensor(openvino.Tensor(images))
        except RuntimeError as error:
            raise BackendError(f"openvino cannot load the network: {_reason(error)}") from None
        return make_runner(lambda: request.infer(share_outputs=True)[0], self.clock)


def _reason(error: Exception) -> str:
    """The first line that is not a location in OpenVINO's source."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("Exception from")]
    return lines[0] if lines else type(error).__name__


backend = OpenVinoBackend
