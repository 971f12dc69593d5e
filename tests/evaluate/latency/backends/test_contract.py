"""What every latency backend keeps, whatever it runs on."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bneck.evaluate.latency.backends import BACKEND_NAMES, LatencyBackend, latency_backend, torch_cuda
from bneck.evaluate.latency.measurement import MeasurementPlan, ReferenceRunners, Runner, measure
from bneck.evaluate.latency.meter import build_network_for_timing
from bneck.evaluate.optional_dependencies import optional_import
from bneck.search_space import Architecture, BackendError, Block, Head, Stem
from bneck.search_space.network import Network, NetworkPart, build_network, example_input

PACKAGES = {"openvino": ("openvino",), "executorch": ("executorch",), "ncnn": ("ncnn", "pnnx")}
GPU = ("torch-cuda", "torch-cuda-graph")


def backend_param(name: str) -> Any:
    """The name, with the marks of what it needs."""
    missing = [package for package in PACKAGES.get(name, ()) if find_spec(package) is None]
    marks: list[pytest.MarkDecorator] = []
    if name in PACKAGES:
        marks = [
            pytest.mark.backends,
            pytest.mark.skipif(bool(missing), reason=f"no {' and '.join(missing)}"),
        ]
    elif name == "torch-compile":
        compiler = shutil.which(os.environ.get("CXX", "g++"))
        marks = [pytest.mark.backends, pytest.mark.skipif(compiler is None, reason="no C++ compiler")]
    elif name in GPU:
        marks = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
    return pytest.param(name, marks=marks, id=name)


RUNTIMES = [backend_param(name) for name in BACKEND_NAMES]
ALL = [*RUNTIMES, pytest.param("fake", id="fake")]


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def network_of(blocks: int, resolution_px: int = 48) -> Architecture:
    """Equal blocks, and next to nothing before and after them."""
    block = Block(3, 72, 24, "se", "hardswish", 1, squeeze=8)
    return Architecture(resolution_px, Stem(24), (block,) * blocks, Head(32), classes=2)


VARIED = Architecture(
    resolution_px=32,
    stem=Stem(8),
    blocks=(
        Block(3, 8, 8, "none", "relu", 1),
        Block(5, 24, 16, "se", "hardswish", 2, squeeze=8),
        Block(7, 32, 16, "eca", "silu", 1),
        Block(3, 48, 24, "none", "relu6", 2),
    ),
    head=Head(40, hidden=24),
    classes=10,
)


# Numbers


@cache
def network_that_shows_its_layers() -> Network:
    """Weights and statistics far from those of a new network, whose logits are all about 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(VARIED)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, 0.2, 1)
        network(example_input(network, 16))
    return network.eval()


@pytest.fixture
def outputs_of(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[LatencyBackend, Network | NetworkPart], NDArray[Any]]:
    """What a backend's run gives, one row an image: its stopwatch tells what it would time."""

    def outputs(backend: LatencyBackend, network: Network | NetworkPart) -> NDArray[Any]:
        module = sys.modules[type(backend).__module__]
        timed: list[Callable[[], Any]] = []

        def watch(run: Callable[[], Any], *clock: str) -> Runner:
            timed.append(run)
            return float

        monkeypatch.setattr(module, "cuda_event_runner" if backend.name in GPU else "make_runner", watch)
        backend.prepare(network)
        (run,) = timed
        run()
        given = run()
        if isinstance(given, torch.Tensor):
            given = given.cpu()
        return np.asarray(given).reshape(backend.device.batch_size, -1)

    return outputs


@pytest.mark.parametrize("part", ["whole", "stem", "block 2", "block 3", "head"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_network_and_its_parts_give_the_numbers_of_torch(
    name: str, part: str, outputs_of: Callable[[LatencyBackend, Network | NetworkPart], NDArray[Any]]
) -> None:
    whole = network_that_shows_its_layers()
    network = whole if part == "whole" else NetworkPart(whole, part).eval()
    with torch.inference_mode():
        expected = network(example_input(network, 2)).reshape(2, -1).numpy()
    size = float(np.abs(expected).max())
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * size
    outputs = outputs_of(latency_backend(name, batch_size=2), network)
    # TF32 has 10 bits
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=(1e-2 if name in GPU else 1e-4) * size)


# Order


def ratio_low(slow: Runner, quick: Runner) -> float:
    """How many times longer one takes than the other, at least: both in turn, 95%."""
    plan = MeasurementPlan(max_abba_blocks=6, max_timings=4)
    return measure(slow, ReferenceRunners([quick], [1.0], reference_ms=1), plan).ratio_low


@pytest.mark.parametrize("name", ALL)
def test_three_times_the_blocks_more_pixels_and_more_images_take_longer(name: str) -> None:
    # a GPU does small work in the time that beginning it takes
    side, batch_size, few = (512, 2048, 64) if name in GPU else (112, 4, 1)
    prepare = latency_backend(name, batch_size=few).prepare
    network = prepare(build_network_for_timing(network_of(2)))
    assert ratio_low(prepare(build_network_for_timing(network_of(6))), network) > 1.3
    assert ratio_low(prepare(build_network_for_timing(network_of(2, side))), network) > 1.5
    larger = latency_backend(name, batch_size=batch_size).prepare(build_network_for_timing(network_of(2)))
    assert ratio_low(larger, network) > 1.5


@pytest.mark.parametrize("name", ALL)
def test_a_runner_gives_the_seconds_of_all_its_runs(name: str) -> None:
    run = latency_backend(name).prepare(
        NetworkPart(build_network_for_timing(network_of(2)), "block 1").eval()
    )
    run(1)
    one = min(run(1) for _ in range(20))
    assert 0 < 5 * one < run(20) < 1


# Devices


@pytest.mark.parametrize("name", ALL)
def test_a_device_is_the_same_each_time_and_another_for_another_batch(name: str) -> None:
    backend = latency_backend(name)
    again = latency_backend(name)
    assert (backend.name, backend.device, backend.clock) == (name, again.device, again.clock)
    assert backend.device.key == again.device.key
    assert (backend.device.backend, backend.device.threads, backend.device.batch_size) == (name, 1, 1)
    assert latency_backend(name, batch_size=4).device == replace(backend.device, batch_size=4)
    assert latency_backend(name, batch_size=4).device.key != backend.device.key


@pytest.mark.parametrize("name", ALL)
def test_a_device_is_another_with_more_threads_which_a_gpu_does_not_have(name: str) -> None:
    if name in GPU:
        with pytest.raises(BackendError, match="threads must be 1, got 2"):
            latency_backend(name, threads=2)
        return
    device = latency_backend(name).device
    assert latency_backend(name, threads=2).device == replace(device, threads=2)
    assert latency_backend(name, threads=2).device.key != device.key


@pytest.mark.backends
@pytest.mark.skipif(find_spec("executorch") is None, reason="no executorch")
def test_the_threads_of_executorch_stay_as_they_are_while_a_network_may_use_them() -> None:
    network = NetworkPart(network_that_shows_its_layers(), "stem").eval()
    run = latency_backend("executorch").prepare(network)
    with pytest.raises(BackendError) as caught:
        latency_backend("executorch", threads=2).prepare(network)
    assert str(caught.value) == (
        "executorch has 1 thread in this process, not 2: the first network fixes them; start another process"
    )
    assert run(1) > 0


@pytest.mark.parametrize("name", [backend_param(name) for name in ("onnxruntime", "openvino", "ncnn")])
def test_what_a_runtime_says_of_a_network_it_cannot_run_is_told_in_a_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = latency_backend(name)
    broken = SimpleNamespace(SerializeToString=lambda: b"no model")
    monkeypatch.setattr(sys.modules[type(backend).__module__], "build_onnx_model", lambda network: broken)
    reason = {
        "onnxruntime": "cannot load the network: .*protobuf parsing failed",
        "openvino": "cannot load the network: Unable to read the model",
        "ncnn": "pnnx exits with code ",
    }
    with pytest.raises(BackendError, match=f"^{name}:? {reason[name]}") as caught:
        backend.prepare(network_that_shows_its_layers())
    assert "\n" not in str(caught.value)


# What is missing


@pytest.mark.parametrize(
    ("name", "package"),
    [(name, package) for name, packages in PACKAGES.items() for package in packages],
)
def test_a_backend_without_its_package_says_how_to_get_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [package, *sys.modules]:
        if module.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"bneck.evaluate.latency.backends.{name}", raising=False)
    if package == "pnnx" and find_spec("ncnn") is None:
        package = "ncnn"
    with pytest.raises(BackendError) as caught:
        latency_backend(name)
    message = str(caught.value)
    assert message.startswith(f"latency backend {name} needs the package {package}")
    assert message.endswith(f", which is not installed; install it: pip install 'bneck[{name}]'")


def test_a_package_that_does_not_run_here_is_told_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(BackendError) as caught, optional_import("latency backend openvino", extra="openvino"):
        raise ImportError("libopenvino.so: cannot open shared object file\nand more")
    assert str(caught.value) == (
        "latency backend openvino cannot be imported on Linux riscv64: "
        "libopenvino.so: cannot open shared object file"
    )


@pytest.mark.backends
def test_torch_compile_without_a_compiler_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(
        BackendError, match=r"torch-compile needs a C\+\+ compiler.*; get one: apt install g\+\+"
    ):
        latency_backend("torch-compile")


@pytest.mark.parametrize("name", GPU)
def test_cuda_without_a_gpu_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(
        BackendError, match=f"^latency backend {name} needs a GPU, .* none here; check its driver"
    ):
        latency_backend(name)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(BackendError, match=r"; get a torch with CUDA from https://pytorch\.org/get-started$"):
        latency_backend(name)


def test_the_milliseconds_between_two_cuda_events_become_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")

        def synchronize(self) -> None:
            log.append("wait")

        def elapsed_time(self, ended: "Event") -> float:
            assert ended is not self
            return 12.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("idle"))
    seconds = torch_cuda.cuda_event_runner(lambda: log.append("run"))(3)
    assert seconds == 0.012
    assert log == ["idle", "record", "run", "run", "run", "record", "wait"]
