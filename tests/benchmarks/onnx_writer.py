"""Time to write an ONNX model with bneck's writer and with torch.onnx.export, and latency of both models.

pip install onnxscript
python tests/benchmarks/onnx_writer.py
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch

from bneck.evaluate.latency.backends.cpu import CPU_TIME, make_runner
from bneck.evaluate.latency.measurement import MeasurementPlan, ReferenceRunners, measure, min_time
from bneck.search_space import published_architecture
from bneck.search_space.network import Network, build_network, example_images
from bneck.search_space.onnx_graph import build_onnx_model

NAMES = ("mobilenet_v3_small", "mobilenet_v3_large", "mobilenet_v2", "mnasnet_a1")
REPEATS = 3


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def session(model: bytes | str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def exported(network: Network, path: Path) -> str:
    images = (example_images(network.architecture),)
    torch.onnx.export(network, images, str(path), dynamo=True, verbose=False)
    return str(path)


def compare(name: str, path: Path) -> str:
    network = build_network(published_architecture(name)).eval()
    ours = statistics.median(seconds(lambda: build_onnx_model(network)) for _ in range(REPEATS))
    theirs = statistics.median(seconds(lambda: exported(network, path)) for _ in range(REPEATS))
    mine, other = session(build_onnx_model(network).SerializeToString()), session(str(path))
    images = example_images(network.architecture).numpy()
    feed = {other.get_inputs()[0].name: images}
    reference = make_runner(lambda: other.run(None, feed), CPU_TIME)
    reference_ms = 1000 * min_time(reference, 1, MeasurementPlan())
    runner = make_runner(lambda: mine.run(None, {"images": images}), CPU_TIME)
    latency = measure(runner, ReferenceRunners([reference], [1.0], reference_ms))
    return f"{name:>20} {ours:9.3f} {theirs:9.3f} {theirs / ours:6.0f}x {latency.ratio:21.3f}"


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"{'network':>20} {'writer s':>9} {'export s':>9} {'faster':>7} {'latency, ours/theirs':>21}")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            print(compare(name, Path(folder) / "exported.onnx"), flush=True)


if __name__ == "__main__":
    main()
