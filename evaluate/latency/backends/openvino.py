"""OpenVINO on the CPU, by its latency hint."""

from ....search_space import BackendError
from ....search_space.network import Network, NetworkPart, example_input
from ....search_space.onnx_graph import build_onnx_model
from ...optional_dependencies import optional_import
from ..device import cpu_device
from ..measurement import MeasurementPlan, Runner
from .stopwatch import make_runner, select_clock

with optional_import("latency backend openvino", extra="openvino"):
    import openvino


class OpenVinoBackend:
    """Compiled models in fp32, one stream. One thread is the calling one; more are bound to no core."""

    def __init__(self, name: str, threads: int, batch_size: int) -> None:
        self.name = name
        self.clock = select_clock(threads)
        runtime = f"openvino {openvino.__version__.partition('-')[0]}"
        self.device = cpu_device(name, runtime, threads=threads, batch_size=batch_size)
        self.plan = MeasurementPlan()
        self.core = openvino.Core()
        if "CPU" not in self.core.available_devices:
            raise BackendError("latency backend openvino: this openvino has no plugin for the CPU")

    def prepare(self, network: Network | NetworkPart) -> Runner:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self.device.threads,
            "INFERENCE_PRECISION_HINT": "f32",  # otherwise bf16 where the processor has it
            "ENABLE_CPU_PINNING": False,  # a bound thread waits for a busy core while another is free
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
    """The first line that is not a place in OpenVINO's source."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("Exception from")]
    return lines[0] if lines else type(error).__name__


backend = OpenVinoBackend
